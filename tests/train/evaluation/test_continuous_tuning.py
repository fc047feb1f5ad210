"""Thresholds from continuous recordings: what is chosen, and that a half never sees itself."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scored_recordings import LABELS, STREAM, dog, recording, vacuum

from streamsed.config import PostConfig
from streamsed.inference.thresholds.operating_points import OperatingPoint
from train.cli import app as cli
from train.evaluation.continuous import latencies, tuning
from train.evaluation.continuous.measures import measure_latency
from train.evaluation.continuous.recall import recall_curves
from train.evaluation.continuous.tuning import false_alarms, tune_continuous
from train.export import crosswise
from train.export.crosswise import measure_crosswise
from train.export.operating_points import (
    Halves,
    Tuned,
    choose_operating_points,
    measure_recall,
    read_operating_points,
    write_operating_points,
)
from train.mixing.toy_bank import write_bank


def test_a_threshold_lies_between_false_scores_and_true_ones():
    true = recording("events", [dog(5), dog(15), dog(25)], [0.9, 0.9, 0.9])
    false = recording("backgrounds", [], [], false=[(dog(12), 0.55)])
    post = tune_continuous([true, false], STREAM, price=0.01)
    assert 0.55 < post.onset_threshold["Dog"] <= 0.9
    assert false_alarms([true, false], STREAM, post)["Dog"] == 0


def test_a_higher_price_gives_up_faint_sounds_for_fewer_false_alarms():
    true = recording("events", [dog(5), dog(15), dog(25)], [0.95, 0.95, 0.45])
    false = recording("others", [], [], false=[(dog(4 * i), 0.7) for i in range(9)])
    cheap = tune_continuous([true, false], STREAM, price=0.0)
    dear = tune_continuous([true, false], STREAM, price=0.01)
    assert cheap.onset_threshold["Dog"] <= 0.45
    assert dear.onset_threshold["Dog"] > 0.7


def test_a_sound_that_lasts_becomes_one_event_and_short_sounds_keep_their_gaps():
    holes = [(12.0, 12.6), (19.0, 19.8), (27.0, 27.5)]
    steady = recording("steady", [vacuum(5, 30)], [0.8], holes=holes)
    pairs = [dog(5), dog(6.6), dog(20), dog(21.6)]
    true = recording("events", [*pairs, vacuum(25, 10)], [0.9] * 4 + [0.8])
    post = tune_continuous([true, steady], STREAM)
    joined = max(post.min_gap["Vacuum_cleaner"], post.smoothing["Vacuum_cleaner"])
    assert joined >= 1.0
    assert post.min_gap["Dog"] < 0.6
    assert post.smoothing["Dog"] == 0.0


def test_events_are_dated_back_to_half_of_the_onset_threshold():
    post = tune_continuous(
        [recording("events", [dog(5), vacuum(15, 10)], [0.9, 0.6])], STREAM
    )
    for label in LABELS:
        half = 0.5 * post.onset_threshold[label]
        assert post.rise_threshold[label] == pytest.approx(half, abs=0.001)


def test_labels_of_a_group_share_their_shape():
    true = recording("events", [dog(5), vacuum(15, 10)], [0.9, 0.6])
    post = tune_continuous([true], STREAM)
    for name in ("min_gap", "min_duration", "smoothing"):
        assert len(set(getattr(post, name).values())) == 1


def test_a_broad_optimum_wins_over_a_high_narrow_one():
    objective = np.array([[0.5], [0.5], [0.5], [0.0], [0.6], [0.0]])
    assert tuning._smoothed(objective).argmax() in (0, 1)


@pytest.fixture
def halves():
    first = [
        recording("events", [dog(5), vacuum(15, 10)], [0.9, 0.9]),
        recording("backgrounds", [], [], false=[(dog(9), 0.3)]),
    ]
    second = [
        recording("events", [dog(8), vacuum(20, 10)], [0.9, 0.9]),
        recording("backgrounds", [], [], false=[(dog(9), 0.3)]),
    ]
    return [first, second]


def test_points_come_for_every_sensitivity_and_settling_and_survive_a_file(
    halves, tmp_path
):
    halves = Halves.count(halves)
    points = choose_operating_points(halves)
    assert {(each.sensitivity, each.settle) for each in points} == {
        (name, settle) for name in ("low", "normal", "high") for settle in (1.0, 10.0)
    }
    figures = measure_crosswise(halves)
    assert figures["10"]["event_f1_macro"] == 1.0
    recall = measure_recall(halves, points)
    assert [each.settle for each in recall] == [1.0, 10.0]
    path = tmp_path / "points.json"
    write_operating_points(path, Tuned(points, recall, figures))
    figures = json.loads(json.dumps(figures))
    assert read_operating_points(path) == (points, recall, figures)


def test_the_table_by_latency_is_the_mean_of_the_halves_each_measured_by_the_other(
    halves,
):
    halves[1][0] = recording("events", [dog(8), vacuum(20, 10)], [0.05, 0.9])
    figures = measure_crosswise(Halves.count(halves))
    table = figures["by_latency"]
    assert [row["latency"] for row in table] == [0.25, 0.5, 1.0, 2.0, 5.0, 10.0]
    for row in table:
        first, second = row["halves"]
        assert first["event_f1_macro"] > second["event_f1_macro"]
        mean = (first["event_f1_macro"] + second["event_f1_macro"]) / 2
        assert row["event_f1_macro"] == pytest.approx(mean, abs=1e-4)
        assert row["announced"]["n"] == 4
        never = [half["announced"]["never"] for half in row["halves"]]
        assert row["announced"]["never"] == pytest.approx(sum(never) / 2, abs=1e-4)
    for settle, row in (("1", table[2]), ("10", table[5])):
        for name in ("event_f1_macro", "event_f1_micro", "psds1"):
            assert row[name] == figures[settle][name]


def test_each_latency_is_measured_with_the_point_that_a_program_would_take(
    halves, monkeypatch
):
    halves, used = Halves.count(halves), {}

    def chosen(self, settle, price):
        return [PostConfig(0.5 if settle == 1.0 else 0.7) for _ in self.recordings]

    def measure(recordings, stream, post):
        used[stream.latency] = post.onset_threshold
        return measure_latency(recordings, stream, post)

    monkeypatch.setattr(Halves, "chosen_elsewhere", chosen)
    monkeypatch.setattr(crosswise, "measure_latency", measure)
    monkeypatch.setattr(latencies, "LATENCIES", (0.25, 2.0, 5.0, 8.0))
    measure_crosswise(halves)
    assert used == {0.25: 0.5, 2.0: 0.5, 5.0: 0.5, 8.0: 0.7}


def test_tune_prints_the_table_by_latency_and_writes_it(
    halves, tmp_path, monkeypatch, capsys
):
    scored = iter(halves)
    scorer = SimpleNamespace(score=lambda *_: next(scored))
    monkeypatch.setattr("train.cli.tune.load_trained", lambda _: None)  # not needed
    monkeypatch.setattr("train.cli.tune.RunScorer", lambda *_: scorer)
    bank, points = write_bank(tmp_path / "bank", n_recordings=2), tmp_path / "p.json"
    arguments = ["--soundbank", bank, "--split", "train", "--output", points]
    arguments = ["tune", "run", *arguments]
    monkeypatch.setattr(sys, "argv", ["train", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 0
    out = capsys.readouterr().out
    rows = json.loads(points.read_text())["figures"]["by_latency"]
    printed = [line.split("|") for line in out.splitlines() if line.startswith("| ")]
    assert len(printed) == 2 + len(rows)  # below the header and the line under it
    for cells, row in zip(printed[2:], rows, strict=True):
        shown = [cell.strip() for cell in cells[1:5]]
        f1 = [100 * row["event_f1_macro"], 100 * row["event_f1_micro"]]
        assert shown[:3] == [f"{row['latency']:g}", *(f"{each:.1f}" for each in f1)]
        assert shown[3] == f"{row['psds1']:.3f}"


def test_what_an_older_version_wrote_has_no_curves(tmp_path):
    path = tmp_path / "points.json"
    write_operating_points(path, Tuned([], [], {}))
    content = json.loads(path.read_text())
    del content["recall_curves"]
    path.write_text(json.dumps(content))
    assert read_operating_points(path) == ([], [], {})


def test_recall_is_the_share_that_an_event_of_the_label_overlaps():
    made = [
        recording("events", [dog(5), dog(9), vacuum(15, 10)], [0.9, 0.4, 0.6]),
        recording("events", [dog(5)], [0.7], false=[(dog(20), 0.99)]),
        recording("backgrounds", [], [], false=[(dog(9), 0.99)]),  # no event to find
    ]
    curves = recall_curves(made, STREAM, PostConfig(), thresholds=(0.3, 0.5, 0.8))
    assert curves.n_events == {"Dog": 3, "Vacuum_cleaner": 1}
    assert curves.recall["Dog"] == pytest.approx((1.0, 2 / 3, 1 / 3), abs=1e-4)
    assert curves.recall["Vacuum_cleaner"] == (1.0, 1.0, 0.0)
    assert curves.settle == STREAM.settled


def test_no_half_is_measured_with_thresholds_chosen_on_it(halves):
    # The second half alone has false alarms, of 0.8: the first, measured with thresholds
    # that avoid them, is chosen for by the second, and the second must let them pass.
    loud = [(dog(4 * i), 0.8) for i in range(9)]
    halves[1][1] = recording("backgrounds", [], [], false=loud)
    first, second = Halves.count(halves).chosen_elsewhere(10.0, 0.01)
    assert first.onset_threshold["Dog"] > 0.8
    assert second.onset_threshold["Dog"] < 0.8


def test_counts_of_two_sets_add_up(halves):
    lasting = ["Vacuum_cleaner"]
    parts = [tuning.Trials.count(half, STREAM, lasting) for half in halves]
    whole = tuning.Trials.count([*halves[0], *halves[1]], STREAM, lasting)
    assert (parts[0] + parts[1]).choose() == whole.choose()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"points": [1], "figures": {}}'])
def test_a_file_that_holds_no_points_is_named(content, tmp_path):
    path = tmp_path / "points.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"points\.json: not operating points"):
        read_operating_points(path)


def test_points_that_are_missing_are_named(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        read_operating_points(tmp_path / "none.json")


def test_a_point_is_what_the_runtime_reads():
    point = OperatingPoint("low", 1.0, PostConfig(), {"Dog": 1.0})
    assert OperatingPoint.from_dict(json.loads(json.dumps(point.to_dict()))) == point
