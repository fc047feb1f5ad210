"""Thresholds from continuous recordings: what is chosen, and that a half never sees itself."""

import json
import sys
from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from scored_recordings import LABELS, STREAM, dog, recording, vacuum

from streamsed.config import PostConfig
from streamsed.events import Event
from streamsed.inference.thresholds.operating_points import OperatingPoint
from train.cli import app as cli
from train.config.train import TrainConfig
from train.datasets.scaling import Triple
from train.evaluation.continuous import latencies, tuning
from train.evaluation.continuous.measures import measure_latency
from train.evaluation.continuous.recall import recall_curves
from train.evaluation.continuous.replay import replay
from train.evaluation.continuous.tuning import false_alarms, tune_continuous
from train.export import crosswise
from train.export.crosswise import measure_crosswise
from train.export.operating_points import (
    PRICES,
    Halves,
    Tuned,
    choose_operating_points,
    choose_settings,
    measure_recall,
    read_operating_points,
    write_operating_points,
)
from train.mixing.soundbank import Soundbank
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


def test_low_sensitivity_keeps_the_shape_of_normal_and_raises_thresholds():
    # Joined over their gaps, five false events of an hour are one; so are pairs of dogs. A
    # dear price alone would choose that.
    pairs = [dog(t) for start in (5, 15, 25) for t in (start, start + 1.6)]
    pieces = [(dog(10 + 1.5 * i), 0.97) for i in range(5)]
    faint = [(dog(100 + 9 * i), 0.65) for i in range(2)]
    true = recording("events", [*pairs, dog(34)], [0.97] * 6 + [0.55])
    false = recording("backgrounds", [], [], duration=1200.0, false=[*pieces, *faint])
    trials = tuning.Trials.count([true, false], STREAM, ["Vacuum_cleaner"])
    normal, low = (choose_settings(trials, name) for name in ("normal", "low"))
    alone = trials.choose(PRICES["low"])
    assert alone.min_gap["Dog"] > normal.min_gap["Dog"]
    for name in ("min_gap", "min_duration", "smoothing"):
        assert getattr(low, name) == getattr(normal, name)
    for label in LABELS:
        assert low.onset_threshold[label] >= normal.onset_threshold[label]
    assert low.onset_threshold["Dog"] > normal.onset_threshold["Dog"]


def test_a_shape_that_was_not_tried_is_refused():
    trials = tuning.Trials.count(
        [recording("events", [dog(5)], [0.9])], STREAM, ["Vacuum_cleaner"]
    )
    with pytest.raises(ValueError, match="a shape that is tried"):
        trials.choose(above=PostConfig(min_gap=7.0))


def test_a_sound_that_lasts_becomes_one_event_and_short_sounds_keep_their_gaps():
    holes = [(12.0, 12.6), (19.0, 19.8), (27.0, 27.5)]
    steady = recording("steady", [vacuum(5, 30)], [0.8], holes=holes)
    pairs = [dog(5), dog(6.6), dog(20), dog(21.6)]
    true = recording("events", [*pairs, vacuum(25, 10)], [0.9] * 4 + [0.8])
    post = tune_continuous([true, steady], STREAM)
    events, _ = replay(steady.scores, STREAM, post)
    assert [event.label for event in events] == ["Vacuum_cleaner"]
    assert post.min_gap["Dog"] < 0.6
    assert post.smoothing["Dog"] == 0.0


def test_events_are_dated_back_to_half_of_the_onset_threshold():
    post = tune_continuous(
        [recording("events", [dog(5), vacuum(15, 10)], [0.9, 0.6])], STREAM
    )
    for label in LABELS:
        half = 0.5 * post.onset_threshold[label]
        assert post.rise_threshold[label] == pytest.approx(half, abs=0.001)


def test_long_sounds_alone_have_their_onsets_searched():
    post = tune_continuous(
        [recording("events", [dog(5), vacuum(15, 10)], [0.9, 0.6])], STREAM
    )
    assert post.onset_search == {"Dog": 0.0, "Vacuum_cleaner": tuning.SEARCH}


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


def test_a_sensitivity_is_measured_on_one_half_with_what_it_chose_on_the_other():
    # Finding the faint dog is worth one false event to a high sensitivity alone.
    dogs, levels = [dog(5), dog(15), dog(25)], [0.95, 0.95, 0.45]
    false = recording("backgrounds", [], [], false=[(dog(9), 0.6)])
    others = recording("others", [], [], false=[(dog(9), 0.2)])
    others = replace(others, others=[Event("cough", 9.0, 10.0, 1.0)])
    half = [recording("events", dogs, levels), false, others]
    rows = measure_crosswise(Halves.count([half, half]))["by_sensitivity"]
    found = {(row["sensitivity"], row["latency"]): row for row in rows}
    assert sorted(found) == sorted(product(("low", "normal", "high"), (1.0, 10.0)))
    for settle in (1.0, 10.0):
        low, high = found["low", settle], found["high", settle]
        assert low["announced"]["never"] == pytest.approx(1 / 3, abs=1e-4)
        assert low["backgrounds_per_hour"] == 0.0
        assert high["announced"]["never"] == 0.0
        assert high["backgrounds_per_hour"] == pytest.approx(90.0)
        assert low["others_triggering"] == high["others_triggering"] == 0.0
        normal = found["normal", settle]
        assert normal["announced"]["never"] == low["announced"]["never"]
        # A half without the false event chooses the lower threshold for the other.
    quiet = [recording("events", dogs, levels), recording("backgrounds", [], [])]
    rows = measure_crosswise(Halves.count([half, quiet]))["by_sensitivity"]
    for row in rows:
        first, second = (each["announced"]["never"] for each in row["halves"])
        assert first == 0.0
        assert (second > 0.0) == (row["sensitivity"] != "high")


def test_each_latency_is_measured_with_the_point_that_a_program_would_take(
    halves, monkeypatch
):
    halves, used = Halves.count(halves), {}

    def chosen(self, settle, sensitivity):
        return [PostConfig(0.5 if settle == 1.0 else 0.7) for _ in self.recordings]

    def measure(recordings, stream, post):
        used[stream.latency] = post.onset_threshold
        return measure_latency(recordings, stream, post)

    monkeypatch.setattr(Halves, "chosen_elsewhere", chosen)
    monkeypatch.setattr(crosswise, "measure_latency", measure)
    monkeypatch.setattr(latencies, "LATENCIES", (0.25, 2.0, 5.0, 8.0))
    measure_crosswise(halves)
    assert used == {0.25: 0.5, 2.0: 0.5, 5.0: 0.5, 8.0: 0.7}


def test_tune_prints_the_tables_by_latency_and_by_sensitivity_and_writes_them(
    halves, tmp_path, monkeypatch, capsys
):
    scored = iter(halves)
    scorer = SimpleNamespace(score=lambda *_: next(scored))
    bank, points = write_bank(tmp_path / "bank", n_recordings=2), tmp_path / "p.json"
    labels = Soundbank.load(bank).labels
    config = TrainConfig()
    trained = SimpleNamespace(config=config, labels=labels, scaling=Triple())
    monkeypatch.setattr("train.cli.tune.load_trained", lambda _: trained)
    monkeypatch.setattr("train.cli.tune.RunScorer", lambda *_: scorer)
    arguments = ["--soundbank", bank, "--split", "train", "--output", points]
    arguments = ["tune", "my runs/one", *arguments]
    monkeypatch.setattr(sys, "argv", ["train", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 0
    out = capsys.readouterr().out
    figures = json.loads(points.read_text())["figures"]
    rows, sensitivities = figures["by_latency"], figures["by_sensitivity"]
    printed = [line.split("|") for line in out.splitlines() if line.startswith("| ")]
    tables = printed[: 2 + len(rows)], printed[2 + len(rows) :]
    for cells, row in zip(tables[0][2:], rows, strict=True):
        shown = [cell.strip() for cell in cells[1:5]]
        f1 = [100 * row["event_f1_macro"], 100 * row["event_f1_micro"]]
        assert shown[:3] == [f"{row['latency']:g}", *(f"{each:.1f}" for each in f1)]
        assert shown[3] == f"{row['psds1']:.3f}"
    for cells, row in zip(tables[1][2:], sensitivities, strict=True):
        shown = [cell.strip() for cell in cells[1:-1]]
        assert shown[:2] == [row["sensitivity"], f"{row['latency']:g}"]
        assert shown[2] == f"{row['false_announcements_per_hour']:.0f}"
        assert shown[3] == f"{100 * row['announced']['never']:.1f}"
        assert shown[8:] == [f"{row['backgrounds_per_hour']:.0f}", "-"]  # no others
    export = "python -m train export 'my runs/one' --output one.pt --operating-points"
    assert out.endswith(f"next: {export} {points}\n")


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
    first, second = Halves.count(halves).chosen_elsewhere(10.0, "low")
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
