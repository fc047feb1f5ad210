import time
from datetime import datetime

import pytest

from streamsed.live.wall_clock import JUMP, WINDOW, WallClock, seconds_suspended

RATE = 1000
NOON = 1_800_000_000.0


class Now:
    def __init__(self):
        self.seconds = NOON

    def __call__(self):
        return self.seconds


def stream(clock, now, seconds, *, card=1.0, late=lambda _: 0.0, start=0.0, chunk=0.1):
    """Let sound come in pieces, of a card whose second lasts `card` seconds."""
    jumps = []
    began = now.seconds
    for n in range(1, round(seconds / chunk) + 1):
        now.seconds = began + n * chunk * card + late(n)
        clock.note(round((start + n * chunk) * RATE), round(chunk * RATE))
        if clock.jumped:
            jumps.append(clock.jumped)
    return jumps


def seconds_of(clock, seconds):
    return datetime.fromisoformat(clock.time_of(seconds)).timestamp() - NOON


def test_the_first_sample_has_the_time_at_which_it_sounded():
    now = Now()
    clock = WallClock(RATE, now=now)
    stream(clock, now, 1.0)
    assert seconds_of(clock, 0) == pytest.approx(0, abs=0.002)
    assert seconds_of(clock, 0.5) == pytest.approx(0.5, abs=0.002)
    assert datetime.fromisoformat(clock.time_of(0)).tzinfo is not None


def test_pieces_that_come_late_do_not_matter():
    now = Now()
    clock = WallClock(RATE, now=now)
    jumps = stream(clock, now, 300, late=lambda n: 0.9 if n % 7 else 0.0)
    assert jumps == []
    assert seconds_of(clock, 0) == pytest.approx(0, abs=0.01)
    assert clock.drift == pytest.approx(0, abs=0.01)


def test_a_card_that_runs_slow_is_followed_and_its_drift_is_stated():
    now = Now()
    clock = WallClock(RATE, now=now)
    jumps = stream(clock, now, 4000, card=1 + 200e-6)
    assert jumps == []
    assert clock.drift == pytest.approx(0.8, abs=0.03)
    assert seconds_of(clock, 4000) == pytest.approx(4000.8, abs=0.03)


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_clock_that_jumps_is_followed_at_once(jump):
    now = Now()
    clock = WallClock(RATE, now=now)
    stream(clock, now, 100)
    now.seconds += jump
    (found,) = stream(clock, now, 10, start=100)
    assert found == pytest.approx(jump, abs=0.2)
    assert seconds_of(clock, 105) == pytest.approx(105 + jump, abs=0.2)


def test_a_program_that_was_too_slow_for_seconds_is_no_jump():
    now = Now()
    clock = WallClock(RATE, now=now)
    stream(clock, now, 30)
    now.seconds += 2 * JUMP  # then all of it comes at once
    clock.note(round((30 + 2 * JUMP) * RATE), round(2 * JUMP * RATE))
    assert clock.jumped == 0
    assert stream(clock, now, WINDOW, start=30 + 2 * JUMP) == []
    assert seconds_of(clock, 0) == pytest.approx(0, abs=0.01)


def test_the_clock_of_a_file_stays():
    now = Now()
    clock = WallClock(RATE, follow=False, now=now)
    clock.note(RATE, RATE)
    now.seconds += 1
    assert stream(clock, now, 1000, start=1, card=0.001) == []
    assert seconds_of(clock, 0) == pytest.approx(-1, abs=0.01)
    assert clock.drift == 0


def test_what_was_recorded_before_a_suspension_keeps_its_time():
    now, slept = Now(), 0.0
    clock = WallClock(RATE, now=now, suspended=lambda: slept)
    stream(clock, now, 100)
    for night in (1, 2):
        now.seconds += 8 * 3600.0
        slept += 8 * 3600.0
        (found,) = stream(clock, now, 100, start=100 * night)
        assert found == pytest.approx(8 * 3600, abs=0.2)
    assert seconds_of(clock, 95) == pytest.approx(95, abs=0.2)
    assert seconds_of(clock, 105) == pytest.approx(105 + 8 * 3600, abs=0.2)
    assert seconds_of(clock, 205) == pytest.approx(205 + 16 * 3600, abs=0.2)
    assert clock.origin == pytest.approx(NOON + 16 * 3600, abs=0.2)


def test_a_suspension_is_recognized_even_if_sound_comes_in_one_piece_after_it():
    now, slept = Now(), 0.0
    clock = WallClock(RATE, now=now, suspended=lambda: slept)
    stream(clock, now, 100)
    now.seconds += 3600.0
    slept += 3600.0
    now.seconds += 2
    clock.note(102 * RATE, 2 * RATE)  # long, so it may have come late
    assert clock.jumped == 0
    stream(clock, now, 10, start=102)
    assert seconds_of(clock, 95) == pytest.approx(95, abs=0.2)
    assert seconds_of(clock, 110) == pytest.approx(110 + 3600, abs=0.2)


def test_the_system_knows_how_long_it_was_suspended():
    assert 0.0 <= seconds_suspended() + 0.01 < time.clock_gettime(time.CLOCK_BOOTTIME)
