"""The onset search: what is carried back, how far, and that chunks make no difference."""

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from sounds import cut

from streamsed.config import FrontendConfig, PostConfig
from streamsed.pipeline.onset_search import MIN_RISE, OnsetSearch
from streamsed.pipeline.tracker import EventTracker

GRID = FrontendConfig()
LABELS = ("Vacuum", "Dog")
REACHES = st.lists(st.sampled_from([0, 1, 2, 7, 15]), min_size=1, max_size=4)


def random_scores(n_frames, n_labels, seed):
    """Scores that mostly stay and sometimes jump, as those of sounds do."""
    random = np.random.default_rng(seed)
    steps = random.normal(size=(n_frames, n_labels)) ** 3
    return (1 / (1 + np.exp(-np.cumsum(steps, axis=0)))).astype(np.float32)


@given(REACHES, st.integers(1, 60), st.integers(0, 999))
def test_no_score_falls_or_exceeds_those_that_follow_within_reach(
    reaches, n_frames, seed
):
    scores = random_scores(n_frames, len(reaches), seed)
    search = OnsetSearch(np.array(reaches))
    carried = np.concatenate([search.push(scores), search.flush()])
    assert (carried >= scores).all()
    for label, reach in enumerate(reaches):
        for frame in range(n_frames):
            following = scores[frame : frame + reach + 1, label]
            assert carried[frame, label] <= following.max()


def test_memory_stays_bounded_and_a_frame_leaves_after_the_latency():
    search = OnsetSearch(np.array([5, 0]))
    assert search.latency == 6
    given, taken = 0, 0
    for seed in range(200):
        taken += len(search.push(random_scores(3, 2, seed)))
        given += 3
        assert taken == max(0, given - 6)
        assert len(search._kept) <= 13


def switched_on(jump=0.2):
    """A vacuum cleaner that is sure only a second after the dog's score says that it began."""
    scores = np.full((80, 2), 0.01, np.float32)
    scores[30:60, 0] = np.minimum(0.02 + 0.06 * np.arange(30), 0.9)
    scores[30:34, 1] = jump
    return scores


def onset_of(post, scores):
    tracker = EventTracker(LABELS, post, GRID)
    events = tracker.push(scores) + tracker.flush(len(scores) * GRID.score_frame_length)
    (vacuum,) = [event for event in events if event.label == "Vacuum"]
    return round(vacuum.onset / GRID.score_frame_duration), vacuum


def test_an_event_begins_where_all_scores_rise_together():
    late, plain = onset_of(PostConfig(0.6), switched_on())
    found, dated = onset_of(
        PostConfig(0.6, onset_search={"Vacuum": 1.2}), switched_on()
    )
    assert (late, found) == (40, 30)
    assert dated.offset == plain.offset


@pytest.mark.parametrize(
    ("seconds", "jump"), [(0.6, 0.2), (1.2, 0.03)], ids=["too far away", "too small"]
)
def test_an_onset_stays_where_no_rise_is_near(seconds, jump):
    scores = switched_on(jump)
    post = PostConfig(0.6, onset_search={"Vacuum": seconds})
    assert onset_of(post, scores)[0] == 40


def test_nothing_is_carried_across_a_higher_rise():
    scores = switched_on()
    scores[36:40, 1] = 0.5  # a bark, which rises by more
    odds = [np.log(p / (1 - p)) for p in (0.01, 0.2, 0.5)]
    assert MIN_RISE < odds[1] - odds[0] < odds[2] - odds[0]
    assert onset_of(PostConfig(0.6, onset_search={"Vacuum": 1.2}), scores)[0] == 36


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(0, 999))
def test_events_do_not_depend_on_the_chunks(sizes, seed):
    post = PostConfig(0.5, 0.4, smoothing={"Vacuum": 0.5}, onset_search={"Vacuum": 1.0})
    scores = random_scores(80, 2, seed)
    by_hand = reference.carried_back(reference.smooth(scores, (3, 0)), (13, 0))

    def events(post, chunks):
        tracker = EventTracker(LABELS, post, GRID)
        found = [event for chunk in chunks for event in tracker.push(chunk)]
        return found + tracker.flush(len(scores) * GRID.score_frame_length)

    expected = events(post, [scores])
    assert events(post, cut(scores, sizes)) == expected
    assert sorted(events(PostConfig(0.5, 0.4), [by_hand])) == sorted(expected)


def test_the_search_delays_the_end_of_events_and_is_bounded_and_named():
    post = PostConfig(onset_search={"Vacuum": 1.2})
    assert EventTracker(LABELS, post, GRID).latency == 3 + 15 + 1
    message = r"onset_search=61 must be from 0 to 60 \(in s\)"
    with pytest.raises(ValueError, match=message):
        PostConfig(onset_search={"Vacuum": 61})
