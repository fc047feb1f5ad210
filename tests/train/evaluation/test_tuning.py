"""Tuning: thresholds per label, short sounds kept, false alarms bought away."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsed.config import FrontendConfig, PostConfig
from streamsed.events import Event
from train.datasets.evaluation_set import EvaluationSet
from train.evaluation.scoring import score_events, scores_to_events
from train.evaluation.tuning import DURATIONS, tune_points, tune_post

CONFIG = FrontendConfig()
FRAME = CONFIG.score_frame_duration
NO_SEGMENTS = np.zeros((1, 1, 1), np.float32)


def event(label, first, last):
    """An event from one score frame to another."""
    return Event(label, first * FRAME, last * FRAME, 1.0)


def alarms_an_hour(quiet, post, labels):
    found = [scores_to_events(each, labels, post, CONFIG) for each in quiet]
    hours = sum(map(len, quiet)) * FRAME / 3600
    return {
        label: sum(e.label == label for each in found for e in each) / hours
        for label in labels
    }


def test_tuning_finds_what_keeps_a_wavering_sound_in_one_piece():
    scores = np.full((128, 2), 0.1, np.float32)
    scores[20:60, 0] = np.where(np.arange(40) % 10 < 5, 0.75, 0.4)  # wavers
    scores[70:74, 0] = 0.65  # a false alarm
    scores[10:14, 1] = 0.55
    hum, click = event("Hum", 20, 60), event("Click", 10, 14)
    recordings = EvaluationSet(NO_SEGMENTS, [[click, hum]], ("Hum", "Click"))
    post = tune_post([scores], recordings, CONFIG)
    assert score_events([scores], recordings, post, CONFIG).macro == 1.0
    assert post.onset_threshold == {"Hum": 0.5, "Click": 0.5}
    assert post.offset_threshold == {"Hum": 0.35, "Click": 0.5}
    assert post.min_duration == {"Hum": 0.5, "Click": 0.2}
    assert post.min_gap == PostConfig().min_gap


def scene():
    """Two labels that are found at 0.8 and 0.45, and an hour's worth of false alarms.

    In the quiet recordings `Loud` is detected at 0.55 again and again, `Faint` never: so
    `Loud` has to rise above 0.55 and `Faint` may stay below 0.5.
    """
    scores = np.full((128, 2), 0.05, np.float32)
    scores[20:60, 0], scores[70:100, 1] = 0.8, 0.45
    reference = [[event("Loud", 20, 60), event("Faint", 70, 100)]]
    quiet = np.full((128, 2), 0.05, np.float32)
    quiet[10:20, 0] = quiet[60:80, 0] = 0.55
    return [scores], EvaluationSet(NO_SEGMENTS, reference, ("Loud", "Faint")), [quiet]


def test_false_alarms_are_bought_away_and_only_where_there_are_some():
    scores, recordings, quiet = scene()
    careless = tune_post(scores, recordings, CONFIG)
    assert careless.onset_threshold == {"Loud": 0.5, "Faint": 0.4}
    post = tune_post(scores, recordings, CONFIG, quiet=quiet)
    assert post.onset_threshold == {"Loud": 0.6, "Faint": 0.4}
    assert alarms_an_hour(quiet, careless, recordings.labels)["Loud"] > 500
    assert set(alarms_an_hour(quiet, post, recordings.labels).values()) == {0.0}
    assert score_events(scores, recordings, post, CONFIG).macro == 1.0


def test_few_enough_false_alarms_cost_nothing():
    scores, recordings, quiet = scene()
    # The same two alarms in an hour and a half.
    silence = [np.zeros((540 * 128, 2), np.float32)]
    post = tune_post(scores, recordings, CONFIG, quiet=quiet + silence)
    assert post.onset_threshold == {"Loud": 0.5, "Faint": 0.4}
    strict = tune_post(
        scores, recordings, CONFIG, quiet=quiet + silence, max_false_alarms=0.0
    )
    assert strict.onset_threshold == {"Loud": 0.6, "Faint": 0.4}


def test_what_no_price_buys_away_still_gives_settings():
    scores, recordings, quiet = scene()
    quiet[0][:, 0] = 1.0  # nothing on the grid is above that
    post = tune_post(scores, recordings, CONFIG, quiet=quiet)
    assert post.onset_threshold["Faint"] == 0.4
    assert score_events(scores, recordings, post, CONFIG).macro == 1.0


def test_no_label_loses_its_short_sounds():
    scores = np.full((128, 1), 0.05, np.float32)
    reference = []
    for first in range(0, 120, 12):
        scores[first : first + 4] = 0.9
        reference.append(event("Click", first, first + 4))
    recordings = EvaluationSet(NO_SEGMENTS, [reference], ("Click",))
    # A `min_duration` of 0.5 s would silence these, and every click.
    quiet = np.tile(np.repeat([[0.9], [0.0]], [5, 8], axis=0), (20, 1))
    post = tune_post([scores], recordings, CONFIG, quiet=[quiet.astype(np.float32)])
    assert post.min_duration == {"Click": DURATIONS[0]}


@settings(max_examples=15)
@given(st.integers(0, 2**31), st.integers(0, 2))
def test_a_label_without_false_alarms_keeps_its_best_f1(seed, n_noisy):
    rng = np.random.default_rng(seed)
    labels = ("a", "b", "c")
    events = [event(label, 8 + 30 * k, 30 + 30 * k) for k, label in enumerate(labels)]
    scores = rng.uniform(0, 0.5, (128, 3)).astype(np.float32)
    for column in range(3):
        scores[8 + 30 * column : 30 + 30 * column, column] += 0.4
    quiet = np.zeros((128, 3), np.float32)
    quiet[:, :n_noisy] = rng.uniform(0, 1, (128, n_noisy))
    recordings = EvaluationSet(NO_SEGMENTS, [events], labels)
    best = score_events(
        [scores], recordings, tune_post([scores], recordings, CONFIG), CONFIG
    ).per_label
    post = tune_post([scores], recordings, CONFIG, quiet=[quiet])
    tuned = score_events([scores], recordings, post, CONFIG).per_label
    for label in labels[n_noisy:]:
        assert tuned[label] == best[label]


def test_smoothing_and_gaps_of_labels_that_last_are_kept():
    scores = np.full((128, 1), 0.1, np.float32)
    scores[30:110, 0] = np.where(np.arange(80) % 20 < 15, 0.9, 0.05)  # drops out
    recordings = EvaluationSet(NO_SEGMENTS, [[event("Hum", 30, 105)]], ("Hum",))
    base = PostConfig(smoothing={"Hum": 2.0}, min_gap={"Hum": 0.5})
    post = tune_post([scores], recordings, CONFIG, base=base)
    assert (post.smoothing, post.min_gap) == (base.smoothing, base.min_gap)
    assert score_events([scores], recordings, post, CONFIG).macro == 1.0
    without = tune_post([scores], recordings, CONFIG)
    assert score_events([scores], recordings, without, CONFIG).macro < 1.0


def test_points_of_several_sensitivities_state_their_false_alarms():
    scores, recordings, quiet = scene()
    silence = [np.zeros((540 * 128, 2), np.float32)]
    limits = {"low": 0.0, "high": 100.0}
    low, high = tune_points(
        scores, recordings, CONFIG, quiet=quiet + silence, settle=10.0, limits=limits
    )
    assert (low.sensitivity, high.sensitivity) == ("low", "high")
    assert low.post == tune_post(
        scores, recordings, CONFIG, quiet=quiet + silence, max_false_alarms=0.0
    )
    assert low.post.onset_threshold == {"Loud": 0.6, "Faint": 0.4}
    assert high.post.onset_threshold == {"Loud": 0.5, "Faint": 0.4}
    assert low.false_alarms == {"Loud": 0.0, "Faint": 0.0}
    measured = alarms_an_hour(quiet + silence, high.post, recordings.labels)
    assert high.false_alarms == {k: round(v, 3) for k, v in measured.items()}
    assert high.total_false_alarms > 0
