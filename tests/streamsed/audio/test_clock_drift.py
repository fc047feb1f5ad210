import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsed.audio.clock_drift import ClockDrift

RATE = 48000


def follow(blocks, drift=None, rate=RATE):
    """Take (clock, samples so far) and return what was said to be missing, each once."""
    drift, found = drift or ClockDrift(rate), []
    for clock, n_samples in blocks:
        if missing := drift.n_missing(n_samples + sum(found), clock):
            found.append(missing)
    return found


@given(
    st.floats(-200e-6, 200e-6),
    st.lists(st.floats(0, 0.4), min_size=10, max_size=10),
    st.floats(0, 1e6),
)
def test_jitter_and_drifting_crystals_are_no_loss(drift, jitter, start):
    blocks = [
        (start + n * (1 + drift) + jitter[n % 10], n * RATE) for n in range(2_000)
    ]
    assert follow(blocks) == []


@given(st.floats(0.6, 1e5), st.integers(1, 500), st.floats(0, 0.05))
def test_silently_lost_sound_is_found_once_to_within_the_jitter(lost, when, jitter):
    blocks = []
    for n in range(600):
        clock = n * 0.5 + (lost if n > when else 0)
        blocks.append((clock + jitter * (n % 3) / 2, n * RATE // 2))
    (found,) = follow(blocks)
    assert found / RATE == pytest.approx(lost, abs=jitter + 2e-3)


def test_sound_that_is_lost_again_is_found_again():
    blocks = [(n + 3.0 * (n // 100), n * RATE) for n in range(1, 350)]
    assert follow(blocks) == pytest.approx([3 * RATE] * 3, abs=RATE / 500)


def test_a_driver_that_catches_up_lost_nothing():
    blocks = [(n * 0.1, round(n * 0.1 * RATE)) for n in range(100)]
    blocks += [(14.0, 100 * RATE // 10)]  # 4 s late, then all at once
    blocks += [(14.0 + n * 0.01, round((10 + n * 0.5) * RATE)) for n in range(1, 9)]
    blocks += [(14.1 + n * 0.1, round((14.1 + n * 0.1) * RATE)) for n in range(100)]
    assert follow(blocks) == []
