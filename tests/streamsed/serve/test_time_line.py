"""The time line of a source: no hole in it, as long as the clock, exact where it is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsed.audio.source import Piece
from streamsed.serve.sources import time_line
from streamsed.serve.sources.time_line import CAPACITY, LATE, TimeLine

RATE = 1000


@pytest.fixture(autouse=True)
def read_at_the_end(request, monkeypatch):
    if "nobody_takes" not in request.node.name:
        monkeypatch.setattr(time_line, "CAPACITY", float("inf"))


def sound(seconds):
    return Piece(np.ones(round(seconds * RATE), np.float32), peak=1.0)


def line_at(began=0.0, *, live=True, checked=True):
    return TimeLine(RATE, began=began, live=live, checked=checked)


def taken(line):
    """The line as (reason, seconds), neighbours joined."""
    parts = []
    for piece in line.take():
        seconds = len(piece.samples) / RATE
        if parts and parts[-1][0] == piece.missing:
            parts[-1] = (piece.missing, parts[-1][1] + seconds)
        else:
            parts.append((piece.missing, seconds))
    return [(reason, pytest.approx(seconds)) for reason, seconds in parts]


def test_the_time_before_a_source_is_there_is_missing():
    line = line_at()
    line.put_missing(3.0, "away")
    line.connect(5.0, 500, "away")
    line.put(sound(0.5), 5.0)
    assert taken(line) == [("away", 4.5), ("", 0.5)]


def stream(line, start, seconds, *, pace=1.0, step=0.5):
    """Put sound that comes by the clock; return the clock after it."""
    now = start
    for _ in range(round(seconds / step)):
        now += step / pace
        line.put(sound(step), now)
    return now


def connected(now, **how):
    line = line_at(now, **how)
    line.connect(now, 0, "away")
    return line


def test_a_loss_lasts_from_the_last_sound_to_the_next():
    line = connected(0.0)
    now = stream(line, 0.0, 10.0)
    line.lose(now)
    line.put_missing(now + 20.0, "away")
    line.connect(now + 30.0, 250, "away")
    line.put(sound(0.25), now + 30.0)
    assert taken(line) == [("", 10.0), ("away", 29.75), ("", 0.25)]


def test_what_a_server_gives_ahead_is_not_missing_after_a_loss():
    line = connected(0.0)
    line.put(sound(4.0), 0.1)  # four seconds at once
    now = stream(line, 0.1, 10.0)
    line.lose(now)
    line.connect(now + 10.0, 0, "away")
    line.put(sound(4.0), now + 10.0)
    assert taken(line) == [("", 14.0), ("away", pytest.approx(6.1, abs=0.2)), ("", 4.0)]


def test_what_comes_late_and_at_once_is_not_missing():
    line = connected(0.0)
    now = stream(line, 0.0, 10.0)
    now += 4.0  # the network stalled
    line.put(sound(4.0), now)
    stream(line, now, 20.0)
    assert taken(line) == [("", 34.0)]


def test_what_never_comes_is_missing_by_its_length():
    line = connected(0.0)
    now = stream(line, 0.0, 10.0)
    stream(line, now + 3.0, 20.0)
    [first, gap, last] = taken(line)
    assert gap == ("the network lost it", pytest.approx(3.0, abs=0.02))
    assert first[1].expected + last[1].expected == pytest.approx(30.0)
    assert first[1].expected < 10.0 + LATE + 1.5


def test_a_recording_is_not_measured_by_the_clock():
    line = connected(0.0, live=False, checked=False)
    now = stream(line, 0.0, 5.0)
    line.lose(now)
    line.connect(now + 100.0, 0, "away")
    stream(line, now + 200.0, 5.0)
    assert taken(line) == [("", 10.0)]


def test_a_source_whose_clock_is_fast_is_not_ahead_after_weeks():
    line, now = connected(0.0, checked=False), 0.0
    for _ in range(4 * 7 * 24):
        now = stream(line, now, 3600.0, pace=1.0002, step=3600.0)
        line.take()
    assert line.ahead <= now


def test_a_source_that_floods_is_ahead_by_what_it_gives_too_early():
    line = connected(0.0, checked=False)
    now = stream(line, 0.0, 100.0, pace=10.0)
    assert line.ahead - now == pytest.approx(90.0, abs=0.1)


def test_what_nobody_takes_is_counted_not_kept():
    line = connected(0.0, checked=False)
    stream(line, 0.0, 2 * CAPACITY)
    assert line.waiting == pytest.approx(CAPACITY)
    parts = taken(line)
    assert parts == [("the program was too slow", CAPACITY), ("", CAPACITY)]
    assert taken(line) == []


@given(
    st.lists(
        st.tuples(
            st.floats(6.0, 60.0),
            st.integers(0, 5000),
            st.integers(1, 40),
            st.integers(1, 5000),
        ),
        max_size=8,
    ),
    st.booleans(),
)
def test_a_live_line_is_as_long_as_the_clock_whatever_happens(stretches, checked):
    """Away, a burst ahead of the clock, and blocks by the clock; again and again."""
    line, now, n_total, ahead = line_at(checked=checked), 0.0, 0, 0.0
    for away, n_burst, n_blocks, n_samples in stretches:
        seconds = n_samples / RATE
        now += away + seconds
        line.connect(now, n_samples, "away")
        line.put(sound(seconds), now)
        line.put(sound(n_burst / RATE), now)
        ahead = n_burst / RATE
        for _ in range(n_blocks - 1):
            now += seconds
            line.put(sound(seconds), now)
        line.lose(now)
        n_total += sum(len(piece.samples) for piece in line.take())
    assert n_total / RATE == pytest.approx(now + ahead, abs=0.01)
