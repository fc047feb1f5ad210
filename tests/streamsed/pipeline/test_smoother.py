import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from sounds import cut

from streamsed.config import FrontendConfig, PostConfig
from streamsed.pipeline.smoother import ScoreSmoother
from streamsed.pipeline.tracker import EventTracker

GRID = FrontendConfig()
LABELS = ("Vacuum", "Dog")


def random_scores(n_frames, n_labels, seed):
    return np.random.default_rng(seed).random((n_frames, n_labels), dtype=np.float32)


REACHES = st.lists(st.sampled_from([0, 1, 2, 3, 7, 40]), min_size=1, max_size=4)


@given(REACHES, st.integers(1, 200), st.integers(0, 999))
def test_a_frame_leaves_as_soon_as_the_stated_latency_has_passed(
    reaches, n_frames, seed
):
    scores = random_scores(n_frames, len(reaches), seed)
    smoother = ScoreSmoother(np.array(reaches))
    assert len(smoother.push(scores)) == max(0, n_frames - smoother.latency)
    assert len(smoother._kept) <= max(n_frames, 2 * smoother.latency) or not max(
        reaches
    )


def test_memory_stays_bounded_however_long_the_stream():
    smoother = ScoreSmoother(np.array([5, 0]))
    for seed in range(200):
        smoother.push(random_scores(3, 2, seed))
        assert len(smoother._kept) <= 10


def wavering(n_frames):
    """A steady sound that drops out for 0.4 s every 1.6 s, and a dog that barks so."""
    column = np.where(np.arange(n_frames) % 20 < 15, 0.9, 0.1).astype(np.float32)
    return np.stack([column, column], axis=1)


def events_of(post, scores, sizes=()):
    tracker = EventTracker(LABELS, post, GRID)
    events = [e for chunk in cut(scores, sizes) for e in tracker.push(chunk)]
    return events + tracker.flush(len(scores) * GRID.score_frame_length)


def test_a_label_that_is_smoothed_is_one_event_and_the_others_keep_theirs():
    events = events_of(PostConfig(smoothing={"Vacuum": 2.0}), wavering(200))
    labels = [event.label for event in events]
    assert labels.count("Vacuum") == 1
    assert labels.count("Dog") == 10
    plain = [e for e in events_of(PostConfig(), wavering(200)) if e.label == "Dog"]
    assert [e for e in events if e.label == "Dog"] == plain


def test_an_edge_stays_where_it_is():
    scores = np.zeros((100, 2), np.float32)
    scores[30:70] = 0.7
    (smoothed,) = [
        event
        for event in events_of(PostConfig(smoothing={"Vacuum": 1.5}), scores)
        if event.label == "Vacuum"
    ]
    (plain,) = [e for e in events_of(PostConfig(), scores) if e.label == "Vacuum"]
    assert (smoothed.onset, smoothed.offset) == (plain.onset, plain.offset)


@given(
    st.lists(st.integers(0, 9), max_size=20),
    st.integers(0, 999),
    st.sampled_from([0.2, 0.5, 3.0]),
)
def test_events_of_smoothed_scores_do_not_depend_on_the_chunks(sizes, seed, seconds):
    post = PostConfig(0.5, 0.4, smoothing={"Vacuum": seconds})
    scores = random_scores(60, 2, seed)
    reach = round(seconds / GRID.score_frame_duration / 2)
    by_hand = events_of(PostConfig(0.5, 0.4), reference.smooth(scores, (reach, 0)))
    expected = events_of(post, scores)
    assert sorted(expected) == sorted(by_hand)
    assert events_of(post, scores, sizes) == expected


@pytest.mark.parametrize(
    ("seconds", "reach"), [(0.0, 0), (0.07, 0), (0.09, 1), (0.5, 3), (0.6, 4)]
)
def test_the_median_reaches_half_its_length_to_the_nearest_frame(seconds, reach):
    assert (
        EventTracker(LABELS, PostConfig(smoothing=seconds), GRID).latency == 3 + reach
    )


def test_an_event_leaves_when_the_smoothing_too_has_passed_its_end():
    tracker = EventTracker(LABELS, PostConfig(smoothing=0.5), GRID)
    assert tracker.latency == 3 + 3
    scores = np.zeros((20, 2), np.float32)
    scores[5:12] = 0.9
    assert tracker.push(scores[: 12 + 5]) == []
    assert len(tracker.push(scores[17:18])) == 2


def test_smoothing_is_bounded_and_named():
    with pytest.raises(ValueError, match=r"smoothing=61 must be from 0 to 60 \(in s\)"):
        PostConfig(smoothing={"Vacuum": 61})
