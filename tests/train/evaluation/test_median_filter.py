"""The median filter against loops and scipy, and the events that come of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal
from reference import spans
from scipy import ndimage

from streamsed.config import FrontendConfig
from train.evaluation.median_filter import median_events, median_filter

GRID = FrontendConfig(hop_length=511, n_mels=64, segment_frames=864)

Scores = arrays(
    np.float32,
    st.tuples(st.integers(1, 30), st.integers(1, 3)),
    elements=st.sampled_from([0.0, 0.2, 0.49, 0.5, 0.51, 0.9, 1.0]),
)


def mirrored(values, index):
    """Look past the ends as into mirrors that stand there."""
    n = len(values)
    index %= 2 * n
    return values[index if index < n else 2 * n - 1 - index]


def published(scores, threshold, n_frames):
    """First the threshold, then the majority of each frame's neighbourhood."""
    active = scores >= np.float32(threshold)
    reach = n_frames // 2
    filtered = np.zeros_like(active)
    for k in range(scores.shape[1]):
        for h in range(len(scores)):
            around = [mirrored(active[:, k], h + i) for i in range(-reach, reach + 1)]
            filtered[h, k] = sum(around) > reach
    return filtered


@given(scores=Scores, n_frames=st.sampled_from([1, 3, 5, 9]))
def test_filtering_before_the_threshold_is_filtering_after_it(scores, n_frames):
    filtered = median_filter(scores, n_frames)
    for threshold in (0.2, 0.5, 0.7):
        assert_array_equal(
            filtered >= np.float32(threshold), published(scores, threshold, n_frames)
        )


@given(scores=Scores)
def test_scipy_filters_the_same(scores):
    # The baseline used scipy's filter, whose default is to mirror as well.
    assert_array_equal(median_filter(scores, 5), ndimage.median_filter(scores, (5, 1)))


@given(scores=Scores)
def test_events_are_the_runs_of_the_published_order(scores):
    labels = tuple("abc"[: scores.shape[1]])
    events = median_events(scores, labels, GRID)
    length = GRID.score_frame_length
    found = {(e.label, round(e.onset * 44100), round(e.offset * 44100)) for e in events}
    assert found == {
        (labels[k], onset * length, offset * length)
        for k, column in enumerate(published(scores, 0.5, 5).T)
        for onset, offset in spans(column)
    }
    assert events == sorted(events)


def test_a_burst_of_two_frames_vanishes_and_a_hole_of_two_is_filled():
    scores = np.zeros((30, 2), np.float32)
    scores[10:12, 0] = 0.9
    scores[5:25, 1] = 0.9
    scores[14:16, 1] = 0.1
    (event,) = median_events(scores, ("Cat", "Dog"), GRID)
    second = 8 * 511 / 44100
    assert event.label == "Dog"
    assert (event.onset, event.offset) == pytest.approx((5 * second, 25 * second))
    assert event.score == pytest.approx(0.9)


def test_events_come_by_their_onsets_not_as_they_end():
    scores = np.zeros((30, 2), np.float32)
    scores[8:14, 0] = scores[5:25, 1] = 0.9
    events = median_events(scores, ("Cat", "Dog"), GRID)
    assert [event.label for event in events] == ["Dog", "Cat"]


def test_an_event_ends_with_the_clip():
    scores = np.full((108, 1), 0.8, np.float32)
    (event,) = median_events(scores, ("Dog",), GRID, n_samples=441000)
    assert event.offset == 10.0
    (whole,) = median_events(scores, ("Dog",), GRID)
    assert whole.offset == 108 * 8 * 511 / 44100


def test_the_filter_sees_the_padding_of_a_shorter_clip_and_no_event_is_made_of_it():
    scores = np.zeros((108, 3), np.float32)
    scores[26:33, 0] = 0.9  # three of the frames around the last one are padding
    scores[28:30, 1] = 0.9  # mirrored there, it would have a majority
    scores[50:60, 2] = 0.9
    n_samples = 30 * GRID.score_frame_length
    (event,) = median_events(scores, ("Dog", "Cat", "Cow"), GRID, n_samples=n_samples)
    assert event.label == "Dog"
    assert event.offset == n_samples / 44100


def test_no_scores_give_no_events():
    assert median_events(np.zeros((0, 2), np.float32), ("Cat", "Dog"), GRID) == []


@given(scores=Scores)
def test_time_may_run_backwards(scores):
    assert_array_equal(median_filter(scores[::-1]), median_filter(scores)[::-1])


@pytest.mark.parametrize("n_frames", [0, 4, -1])
def test_a_length_without_a_middle_is_named(n_frames):
    with pytest.raises(ValueError, match=f"n_frames={n_frames} must be odd"):
        median_filter(np.zeros((3, 1), np.float32), n_frames)
