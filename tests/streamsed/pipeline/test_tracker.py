import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import cut

from streamsed.config import FrontendConfig, PostConfig
from streamsed.events import Event
from streamsed.pipeline.tracker import EventTracker

LABELS = ("Speech", "Dog")
GRID = FrontendConfig()
LENGTH = GRID.score_frame_length  # samples
EVALUATION_MIXING = PostConfig(min_gap=0.0, min_duration=0.0)


def scores_of(speech, dog=None):
    """Scores of two labels from one character per frame: `.` is 0, a digit tenths."""
    columns = [speech, dog or "." * len(speech)]
    tenths = [[0 if c == "." else int(c) for c in column] for column in columns]
    return (np.array(tenths, dtype=np.float32).T / 10).copy()


def track(post, scores, *, n_samples=None, labels=LABELS):
    tracker = EventTracker(labels, post, GRID)
    end = len(scores) * LENGTH if n_samples is None else n_samples
    return tracker.push(scores) + tracker.flush(end)


def frames_of(events):
    """(label, onset, offset) with the times counted in score frames."""
    return [
        (e.label, round(e.onset * 44100 / LENGTH), round(e.offset * 44100 / LENGTH))
        for e in events
    ]


def test_an_event_spans_the_samples_of_its_score_frames():
    (event,) = track(EVALUATION_MIXING, scores_of("...99...."))
    assert event.label == "Speech"
    assert (event.onset, event.offset) == (3 * LENGTH / 44100, 5 * LENGTH / 44100)
    assert event.score == pytest.approx(0.9)


def test_a_score_at_the_threshold_is_on():
    post = PostConfig(onset_threshold=0.7, min_gap=0.0, min_duration=0.0)
    assert frames_of(track(post, scores_of("..676.."))) == [("Speech", 3, 4)]


def test_each_label_has_its_own_settings():
    post = PostConfig(
        onset_threshold={"Dog": 0.8},
        min_gap={"Speech": 0.0},
        min_duration={"Dog": 0.5, "Speech": 0.0},
    )
    speech = "..6.6......."
    dog = ".88.88888.8."
    events = frames_of(track(post, scores_of(speech, dog)))
    assert sorted(events) == [("Dog", 1, 11), ("Speech", 2, 3), ("Speech", 4, 5)]
    assert frames_of(track(post, scores_of(speech, ".7777777777."))) == [
        ("Speech", 2, 3),
        ("Speech", 4, 5),
    ]


def test_gaps_and_events_under_0_2_seconds_are_those_under_three_frames():
    two, three = scores_of("..99.999..9.."), scores_of("..999...999..")
    assert frames_of(track(PostConfig(), two)) == [("Speech", 2, 11)]
    assert frames_of(track(PostConfig(), three)) == [
        ("Speech", 2, 5),
        ("Speech", 8, 11),
    ]
    assert track(PostConfig(), scores_of("..99....9..")) == []


def test_gaps_and_short_events_are_those_of_one_label_whatever_the_others_do():
    """The report replaces columns of the scores: here each label is connected and cut alone."""
    speech = "..999.999......"
    dog = ".9..........999"
    assert sorted(frames_of(track(PostConfig(), scores_of(speech, dog)))) == [
        ("Dog", 12, 15),
        ("Speech", 2, 9),
    ]


def test_an_active_label_stays_active_down_to_the_offset_threshold():
    post = PostConfig(0.8, 0.4, 0.0, 0.0)
    scores = scores_of(".5.58545344.")
    assert frames_of(track(post, scores)) == [("Speech", 4, 8)]


def test_an_event_begins_where_its_scores_rose_to_the_rise_threshold():
    post = PostConfig(0.8, 0.8, 0.0, 0.0, rise_threshold=0.4)
    scores = scores_of(".52478985...")
    assert frames_of(track(post, scores)) == [("Speech", 3, 8)]


def test_a_provisional_event_is_dated_back_as_well_and_must_last_as_long():
    post = PostConfig(0.8, min_duration=0.2, rise_threshold=0.4)
    tracker = EventTracker(LABELS, post, GRID)
    tracker.push(scores_of(".556"))
    assert tracker.provisional(scores_of("88")) == ([], [])  # two frames are too short
    ended, ongoing = tracker.provisional(scores_of("888"))
    assert ended == []
    assert frames_of(ongoing) == [("Speech", 1, 7)]


def test_the_score_is_the_mean_over_the_event_with_its_filled_gaps():
    (event,) = track(PostConfig(), scores_of("..8808.."))
    assert event.score == pytest.approx(0.6)


def test_an_event_never_reaches_past_the_end_of_the_recording():
    n_samples = 9 * LENGTH + 100
    (event,) = track(EVALUATION_MIXING, scores_of("........99"), n_samples=n_samples)
    assert event.offset == n_samples / 44100


def test_an_event_without_length_is_no_event():
    assert track(EVALUATION_MIXING, scores_of(".........9"), n_samples=9 * LENGTH) == []


def test_an_event_leaves_when_the_stated_latency_has_passed_its_end():
    for min_gap, latency in ((0.0, 1), (0.2, 3), (0.5, 7)):
        post = PostConfig(min_gap=min_gap, min_duration=0.0)
        tracker = EventTracker(LABELS, post, GRID)
        assert tracker.latency == latency
        assert tracker.push(scores_of("..99" + "." * (latency - 1))) == []
        assert len(tracker.push(scores_of("."))) == 1


def test_a_gap_that_lasts_exactly_as_long_as_the_setting_is_not_shorter():
    """Its quotient may be a little above the number: 0.56 / 0.08 is 7.000000000000001."""
    grid = FrontendConfig(sample_rate=16000, hop_length=160, fmax=8000.0)
    assert grid.score_frame_duration == 0.08
    for n in range(1, 200):
        post = PostConfig(min_gap=round(0.08 * n, 2))
        assert EventTracker(LABELS, post, grid).latency == n
        post = PostConfig(min_gap=round(0.08 * n + 0.01, 2))
        assert EventTracker(LABELS, post, grid).latency == n + 1


def test_the_latency_is_that_of_the_label_with_the_longest_gap():
    post = PostConfig(min_gap={"Dog": 0.5}, min_duration=0.0)
    assert EventTracker(LABELS, post, GRID).latency == 7


def test_times_are_exact_after_a_day():
    day = 1_105_100  # score frames
    tracker = EventTracker(LABELS, EVALUATION_MIXING, GRID)
    assert tracker.push(np.zeros((day, 2), dtype=np.float32)) == []
    (event,) = tracker.push(scores_of("9."))
    assert event.onset == day * LENGTH / 44100
    assert event.offset == (day + 1) * LENGTH / 44100


@given(
    sizes=st.lists(st.integers(0, 9), max_size=20),
    seed=st.integers(0, 1000),
    min_gap=st.sampled_from([0.0, 0.2, 0.5]),
)
def test_chunking_does_not_change_events(sizes, seed, min_gap):
    post = PostConfig(0.5, 0.3, min_gap, 0.2)
    scores = np.random.default_rng(seed).random((60, 2), dtype=np.float32)
    tracker = EventTracker(LABELS, post, GRID)
    events = [e for chunk in cut(scores, sizes) for e in tracker.push(chunk)]
    events += tracker.flush(60 * LENGTH)
    assert events == track(post, scores)
    assert len(events) > 0


def test_provisional_events_are_those_that_would_stand_and_take_nothing():
    tracker = EventTracker(LABELS, PostConfig(min_duration=0.2), GRID)
    tracker.push(scores_of("..999"))
    ahead = scores_of("9....", ".9999")
    ended, ongoing = tracker.provisional(ahead)
    assert frames_of(ended) == [("Speech", 2, 6)]
    assert frames_of(ongoing) == [("Dog", 6, 10)]
    assert tracker.provisional(ahead) == (ended, ongoing)
    assert tracker.push(ahead) == ended
    assert tracker.flush(10 * LENGTH) == ongoing


@given(
    n_before=st.integers(0, 30),
    seed=st.integers(0, 1000),
    smoothing=st.sampled_from([0.0, 0.4, 1.0]),
)
def test_what_is_provisional_is_what_an_end_of_the_recording_would_leave(
    n_before, seed, smoothing
):
    post = PostConfig(0.6, 0.3, smoothing={"Dog": smoothing}, rise_threshold=0.5)
    scores = np.random.default_rng(seed).random((40, 2), dtype=np.float32)
    tracker = EventTracker(LABELS, post, GRID)
    tracker.push(scores[:n_before])
    ended, ongoing = tracker.provisional(scores[n_before:])
    assert tracker.provisional(scores[n_before:]) == (ended, ongoing)
    expected = tracker.push(scores[n_before:]) + tracker.flush(40 * LENGTH)
    assert ended + ongoing == expected


def test_a_provisional_event_must_be_long_enough_already():
    tracker = EventTracker(LABELS, PostConfig(min_duration={"Dog": 0.0}), GRID)
    _, ongoing = tracker.provisional(scores_of("...99", "....9"))
    assert frames_of(ongoing) == [("Dog", 4, 5)]
    _, ongoing = tracker.provisional(scores_of("..999"))
    assert frames_of(ongoing) == [("Speech", 2, 5)]  # 3 frames are long enough


def test_a_reset_tracker_equals_a_new_one():
    for post in (PostConfig(), PostConfig(smoothing=0.5)):
        tracker = EventTracker(LABELS, post, GRID)
        tracker.push(scores_of("..99999"))
        tracker.reset()
        scores = scores_of("....99999..")
        events = tracker.push(scores) + tracker.flush(11 * LENGTH)
        assert events == track(post, scores)
        assert events


def test_a_flushed_tracker_refuses_more_until_reset():
    tracker = EventTracker(LABELS, PostConfig(), GRID)
    tracker.flush(0)
    with pytest.raises(RuntimeError, match="reset"):
        tracker.push(scores_of("..."))
    tracker.reset()
    assert tracker.push(scores_of("...")) == []


def test_scores_of_another_number_of_labels_are_refused():
    tracker = EventTracker(("Dog",), PostConfig(), GRID)
    with pytest.raises(ValueError, match="scores has 2 columns"):
        tracker.push(scores_of("..."))


def test_an_unknown_label_is_refused():
    with pytest.raises(ValueError, match="unknown label 'Cow'; the labels are Speech"):
        EventTracker(LABELS, PostConfig({"Cow": 0.5}), GRID)


def test_events_come_in_the_order_in_which_they_closed():
    events = track(EVALUATION_MIXING, scores_of(".999999..", ".9....9.."))
    assert events == [
        Event("Dog", events[0].onset, 2 * LENGTH / 44100, events[0].score),
        *events[1:],
    ]
    assert [e.offset for e in events] == sorted(e.offset for e in events)
