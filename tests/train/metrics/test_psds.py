"""PSDS: hand-made cases, sed_scores_eval, and operating points against the exact curve."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsed.config import FrontendConfig
from streamsed.events import Event
from train.metrics.psds import ScoreTable, psd_rocs, psds, psds1
from train.metrics.psds_points import operating_point_rocs

FRONTEND = FrontendConfig()
LABELS = ("Cat", "Dog")
N_SAMPLES = 441_000
LENGTH = FRONTEND.score_frame_length


def scored(spans, *, level=0.9):
    """Scores that are `level` in some spans (label, first, last frame), 0.1 elsewhere."""
    scores = np.full((128, 2), 0.1, np.float32)
    for label, first, last in spans:
        scores[first:last, LABELS.index(label)] = level
    return scores


def events(spans):
    duration = FRONTEND.score_frame_duration
    return [Event(label, a * duration, b * duration, 1.0) for label, a, b in spans]


def psds_of(truth, guesses):
    return psds(
        [events(spans) for spans in truth],
        guesses,
        LABELS,
        n_samples=[N_SAMPLES] * len(truth),
        frontend=FRONTEND,
    )


TRUTH = [[("Cat", 10, 40)], [("Dog", 50, 90), ("Cat", 100, 120)]]


def test_perfect_scores_have_an_area_of_1():
    assert psds_of(TRUTH, [scored(spans) for spans in TRUTH]) == pytest.approx((1, 1))


def test_scores_that_say_nothing_have_an_area_of_0():
    assert psds_of(TRUTH, [scored([]), scored([])]) == pytest.approx((0, 0), abs=0.02)


def test_scenario_1_wants_exact_times_and_scenario_2_does_not():
    half = [[("Cat", 10, 25)], [("Dog", 50, 70), ("Cat", 100, 110)]]
    exact, named = psds_of(TRUTH, [scored(spans) for spans in half])
    assert exact == pytest.approx(0, abs=0.02)
    assert named == pytest.approx(1)


def test_scenario_1_alone_is_the_first_of_both():
    guesses = [scored([("Cat", 10, 38)], level=0.6), scored([("Dog", 40, 88)])]
    truth = [events(spans) for spans in TRUTH]
    lengths = {"n_samples": [N_SAMPLES] * 2, "frontend": FRONTEND}
    (alone,) = psds1(truth, guesses, LABELS, **lengths)
    first, second = psds(truth, guesses, LABELS, **lengths)
    assert alone == first != second


def test_a_label_that_the_reference_never_names_does_not_count():
    truth = [[("Cat", 10, 40)]]
    wrong = scored([("Cat", 10, 40), ("Dog", 60, 90)])
    assert psds_of(truth, [wrong]) == pytest.approx((1, 1))


def test_false_alarms_cost_area():
    truth = [[("Cat", 10, 40)], [("Dog", 10, 40)]]
    loud = [scored([("Cat", 10, 40), ("Dog", 60, 90)], level=0.95), scored(truth[1])]
    assert max(psds_of(truth, loud)) < 0.9


def test_overlapping_reference_events_are_joined():
    truth = [[("Cat", 10, 30), ("Cat", 20, 40)]]
    assert psds_of(truth, [scored([("Cat", 10, 40)])]) == pytest.approx((1, 1))


@pytest.mark.parametrize(
    ("n_samples", "n_held"), [(441_000, 128), (2 * LENGTH + 1, 3), (2 * LENGTH, 2)]
)
def test_a_clip_has_a_score_frame_for_every_part_of_it_and_none_beyond(
    n_samples, n_held
):
    scores = np.arange(256, dtype=np.float32).reshape(128, 2)
    table = ScoreTable.on_grid(scores, n_samples, FRONTEND)
    assert table.scores.tolist() == scores[:n_held].tolist()
    starts = [frame * LENGTH / FRONTEND.sample_rate for frame in range(n_held)]
    assert table.edges.tolist() == [*starts, n_samples / FRONTEND.sample_rate]


def test_a_reference_that_names_no_label_is_refused():
    with pytest.raises(
        ValueError, match=r"labels=\('Cat', 'Dog'\) must name something"
    ):
        psds_of([[]], [scored([])])


def test_where_the_library_is_missing_the_command_that_installs_it_is_named(
    monkeypatch,
):
    monkeypatch.setitem(sys.modules, "sed_scores_eval", None)
    with pytest.raises(ValueError, match=r"sed_scores_eval: pip install '\.\[train\]'"):
        psds_of(TRUTH, [scored(spans) for spans in TRUTH])


def test_other_numbers_of_clips_are_refused():
    one, two = [events(TRUTH[0])], [scored([])] * 2
    with pytest.raises(ValueError, match="zip"):  # two tables of one clip
        psds(one, two, LABELS, n_samples=[N_SAMPLES], frontend=FRONTEND)
    with pytest.raises(ValueError, match="zip"):
        psds(one, two, LABELS, n_samples=[N_SAMPLES] * 2, frontend=FRONTEND)


def events_above(threshold, table, labels):
    """The events of one clip at a threshold: runs of frames above it."""
    found = []
    for column, label in enumerate(labels):
        on = np.concatenate([[False], table.scores[:, column] > threshold, [False]])
        edges = np.flatnonzero(np.diff(on))
        found += [
            Event(label, table.edges[a], table.edges[b], 1.0)
            for a, b in edges.reshape(-1, 2)
        ]
    return found


CHALLENGE = (
    {"dtc_threshold": 0.7, "gtc_threshold": 0.7, "cttc_threshold": None},
    {"dtc_threshold": 0.1, "gtc_threshold": 0.1, "cttc_threshold": 0.3},
)
"""What the challenge asks of events in scenarios 1 and 2 ..."""
ALPHA_CT = (0.0, 0.5)
"""... and what a confusion costs; a deviation between labels costs itself."""


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_the_scenarios_are_those_of_the_challenge(seed, n_clips):
    from sed_scores_eval import intersection_based
    from sed_scores_eval.base_modules.scores import (
        create_score_dataframe,
    )

    rng = np.random.default_rng(seed)
    edges = np.arange(41) / 2
    tables, truth, frames, spans, lengths = [], [], {}, {}, {}
    for clip in map(str, range(n_clips)):
        tables.append(ScoreTable(rng.random((40, 2)).astype(np.float32), edges))
        truth.append(
            [Event(label, *np.sort(rng.choice(edges, 2, False)), 1) for label in LABELS]
        )
        frames[clip] = create_score_dataframe(tables[-1].scores, edges, LABELS)
        spans[clip] = [(each.onset, each.offset, each.label) for each in truth[-1]]
        lengths[clip] = 2000.0
    ours = psd_rocs(truth, tables, LABELS, durations=list(lengths.values()))
    theirs = [
        intersection_based.psds(
            *(frames, spans, lengths),
            **shares,
            alpha_ct=alpha_ct,
            alpha_st=1.0,
            max_efpr=100.0,
        )[0]
        for shares, alpha_ct in zip(CHALLENGE, ALPHA_CT, strict=True)
    ]
    assert [each.area for each in ours] == pytest.approx(theirs, abs=1e-12)


LEVELS = 6


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_operating_points_at_every_score_give_the_exact_curve(seed, n_clips):
    """Two implementations, of which one is not ours, on clips of 20 half-seconds."""
    rng = np.random.default_rng(seed)
    edges = np.arange(21, dtype=float) / 2
    tables = [
        ScoreTable(
            rng.integers(LEVELS, size=(20, 2)).astype(np.float32) / LEVELS, edges
        )
        for _ in range(n_clips)
    ]
    reference = [
        [
            Event(LABELS[rng.integers(2)], onset / 2, (onset + length) / 2, 1.0)
            for onset, length in rng.integers(1, 7, size=(rng.integers(1, 4), 2))
        ]
        for _ in range(n_clips)
    ]
    durations = [360.0] * n_clips  # so that false alarms stay below 100 an hour
    points = [
        [events_above((level - 0.5) / LEVELS, table, LABELS) for table in tables]
        for level in range(LEVELS + 1)
    ]
    exact = psd_rocs(reference, tables, LABELS, durations=durations)
    through = operating_point_rocs(reference, points, LABELS, durations=durations)
    for one, other in zip(exact, through, strict=True):
        assert one.area == pytest.approx(other.area, abs=1e-9)


def test_a_curve_starts_at_no_false_alarm_and_ends_at_100():
    first, _ = operating_point_rocs(
        [[Event("Cat", 1.0, 2.0, 1.0)]],
        [[[Event("Cat", 1.0, 2.0, 1.0)]], [[Event("Cat", 5.0, 6.0, 1.0)]]],
        LABELS,
        durations=[10.0],
    )
    assert first.false_alarms.tolist() == [0, 100]  # the second point is at 360 an hour
    assert first.hits.tolist() == [1, 1]
    assert first.area == 1


def test_half_the_labels_found_without_a_false_alarm_have_no_area():
    """Mean 0.5 minus deviation 0.5."""
    truth = [[Event("Cat", 1.0, 2.0, 1.0), Event("Dog", 4.0, 6.0, 1.0)]]
    found = [[[Event("Cat", 1.0, 2.0, 1.0)]]]
    first, second = operating_point_rocs(truth, found, LABELS, durations=[10.0])
    assert (first.area, second.area) == (0, 0)


def test_a_confusion_costs_half_of_the_others_rate():
    """One false Cat over the only Dog: an hour's alarms are 1, and 0.5 * 1 / 2 s."""
    truth = [[Event("Cat", 1.0, 3.0, 1.0), Event("Dog", 4.0, 6.0, 1.0)]]
    found = [[*truth[0], Event("Cat", 4.5, 5.5, 1.0)]]
    first, second = operating_point_rocs(truth, [found], LABELS, durations=[360_000.0])
    assert first.area == pytest.approx(0.9999)  # Cat from 0.01 an hour on
    assert second.area == 0  # ... from 900 an hour on: mean 0.5 minus deviation 0.5
