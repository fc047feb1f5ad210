"""`python -m train`: five rows, the same for the same seed, each scored as it says."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch

from streamsed.config import FrontendConfig
from train.annotations.desed import Desed
from train.annotations.event_lists import read_strong
from train.cli import app as cli
from train.experiments import ablations, table1
from train.experiments.experiment import Experiment
from train.fit.checkpoint import LAST, read_checkpoint
from train.mixing.desed_like import Sizes, imitate
from train.mixing.soundbank import Soundbank
from train.mixing.toy_bank import write_bank

REPORTED = [23.70, 31.65, 32.87, 34.51, 36.09, None, None]
SETTINGS = (
    "steps=2",
    "batch_size=4",
    "validations=2",
    "network.width=8",
    "network.multiples=[1, 2]",
    "network.strides=[[1, 2], [2, 2]]",
    "network.stem_pools=2",
    "threads=1",
)
BASELINE = ("steps=2", "batch_size=6", "unlabelled=2", "network.width=8", "threads=1")
PICTURES = ("curves.png", "labels.png", "psd-roc.png", "clips.png")


@pytest.fixture(autouse=True)
def denormals(monkeypatch):
    """Training flushes them for the whole process, which Hypothesis would mind."""
    monkeypatch.setattr(torch, "set_flush_denormal", lambda _: True)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    bank = write_bank(tmp_path_factory.mktemp("bank"), n_recordings=5)
    train, validation = (
        Soundbank.load(bank, split=split) for split in ("train", "validation")
    )
    sizes = Sizes(synthetic=4, weak=4, unlabelled=4, validation=6)
    return imitate(tmp_path_factory.mktemp("data"), train, validation, sizes=sizes)


@pytest.fixture
def make_table(data, monkeypatch, capsys):
    def run(folder, *more):
        words = ["train", "--data", data, "--run", folder, "--device", "cpu", *more]
        words += [word for line in SETTINGS for word in ("--set", line)]
        words += [word for line in BASELINE for word in ("--set-baseline", line)]
        monkeypatch.setattr(sys, "argv", [str(word) for word in words])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        assert (caught.value.code, err) == (0, "")
        assert (folder / "table1.md").read_text() in out
        return json.loads((folder / "table1.json").read_text())

    return run


def scored(table):
    """Return the rows, and what pictures are made of."""
    return table["rows"], table["psds"]


def test_the_table_is_the_same_for_a_seed_and_nothing_is_trained_twice(
    make_table, tmp_path
):
    table = make_table(tmp_path / "first")
    assert [row["reported"] for row in table["rows"]] == REPORTED
    for name in PICTURES:
        picture = (tmp_path / "first" / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
    again = make_table(tmp_path / "again")
    assert scored(again) == scored(table)
    assert again["facts"]["data"] == table["facts"]["data"]

    runs = [
        tmp_path / "first" / name / LAST for name in (table1.BASELINE, table1.WEAKER)
    ]
    before = [run.stat().st_mtime_ns for run in runs]
    assert scored(make_table(tmp_path / "first")) == scored(table)
    assert [run.stat().st_mtime_ns for run in runs] == before


def test_without_options_the_data_are_what_lies_in_desed(
    data, tmp_path, monkeypatch, capsys
):
    desed = tmp_path / "DESED" / "metadata" / "train"
    desed.mkdir(parents=True)
    shutil.copy(data / "metadata" / "train" / "weak.tsv", desed)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert "data=DESED must hold synthetic clips" in capsys.readouterr().err
    assert not list(tmp_path.rglob("soundbank"))  # nothing was mixed in their place


def test_another_seed_trains_other_networks(make_table, tmp_path):
    make_table(tmp_path / "a", "--seed", "0")
    make_table(tmp_path / "b", "--seed", "1")
    logs = [(tmp_path / name / table1.WEAKER / "log.csv") for name in "ab"]
    losses = [log.read_text().splitlines()[1].split(",")[3] for log in logs]
    assert losses[0] != losses[1]


def broken_scores(data):
    """Replace a network by one that is right but for gaps and blips of a frame."""
    clips = read_strong(data / "metadata" / "validation" / "validation.tsv")
    labels = Desed.load(data).labels

    def network_scores(network, segments):
        for segment, events in zip(segments, clips.values(), strict=True):
            n_frames = len(segment) // 8
            scores = np.zeros((n_frames, len(labels)), np.float32)
            for event in events:
                first, last = (
                    round(n_frames / 10 * time) for time in (event.onset, event.offset)
                )
                scores[first:last, labels.index(event.label)] = 0.9
                if last - first >= 6:
                    scores[(first + last) // 2, labels.index(event.label)] = 0.1
            silent = np.flatnonzero(scores.max(axis=0) == 0)
            scores[n_frames // 3, silent] = 0.9
            yield scores

    return network_scores


def test_only_rows_with_connect_and_cut_mend_gaps_and_blips(
    make_table, data, tmp_path, monkeypatch
):
    monkeypatch.setattr(table1, "network_scores", broken_scores(data))
    rows = make_table(tmp_path)["rows"]
    baseline, plain, connected, ensemble, both, tuned, chance = (
        row["event_f1_macro"] for row in rows
    )
    assert connected == both > 0.95
    assert plain == ensemble < 0.6
    assert baseline > plain  # its median filter mends too
    assert tuned >= both
    assert chance < 0.5


def test_the_ensemble_is_another_network_than_the_best_checkpoint(
    make_table, tmp_path, monkeypatch
):
    asked = []
    real = table1.network_scores

    def network_scores(network, segments):
        asked.append(type(network).__name__)
        return real(network, segments)

    monkeypatch.setattr(table1, "network_scores", network_scores)
    make_table(tmp_path)
    assert asked == ["Crnn", "Network", "Network", "Ensemble"]


def test_ablations_are_left_out_one_by_one(data, tmp_path, monkeypatch):
    monkeypatch.setattr(ablations, "network_scores", broken_scores(data))
    outcomes = list(
        ablations.measure(
            Desed.load(data),
            tmp_path,
            names=["report", "no_mask", "no_excitation", "alpha_0", "baseline"],
            seeds=[0, 1],
            settings=SETTINGS,
            baseline_settings=BASELINE,
            device="cpu",
        )
    )
    assert [(name, seed) for name, seed, _ in outcomes][:2] == [
        ("report", 0),
        ("no_mask", 0),
    ]
    for name, seed, outcome in outcomes:
        config = read_checkpoint(tmp_path / f"{name}-{seed}" / LAST)["config"]
        assert config["seed"] == seed
        assert config["network"]["self_mask"] == (name != "no_mask")
        assert config["network"]["squeeze_excite"] == (name != "no_excitation")
        if name == "baseline":
            assert config["system"] == "crnn"
            assert outcome.plain == outcome.both > 0.6
        else:
            assert config["alpha"] == (0.0 if name == "alpha_0" else 0.01)
            assert outcome.plain == outcome.ensemble < 0.6
            assert outcome.connected == outcome.both > 0.95


def test_ablations_average_over_seeds_with_their_spread():
    outcomes = {
        "report": [ablations.Outcome(0.1, 0.2, 0.3, 0.4)] * 2
        + [ablations.Outcome(0.4, 0.2, 0.3, 0.4)],
        "baseline": [ablations.Outcome(0.25, 0.25, 0.25, 0.25)],
    }
    rows = ablations.to_markdown(outcomes).splitlines()[2:]
    assert [cell.strip() for cell in rows[0].split("|")[2:-1]] == [
        "20.0 ± 17.3",
        "20.0 ± 0.0",
        "30.0 ± 0.0",
        "40.0 ± 0.0",
    ]
    assert [cell.strip() for cell in rows[1].split("|")[2:-1]] == ["25.0", "", "", ""]


def test_an_unknown_ablation_is_refused(data, tmp_path):
    with pytest.raises(ValueError, match=r"name=salt must be one of report, "):
        list(
            ablations.measure(
                Desed.load(data), tmp_path, names=["salt"], seeds=[0], settings=()
            )
        )


def test_a_fingerprint_tells_of_every_change_of_the_data(data, tmp_path):
    def fingerprints():
        subsets = Desed.load(tmp_path / "data").subsets
        return {name: subset.fingerprint for name, subset in subsets.items()}

    shutil.copytree(data, tmp_path / "data")
    before = fingerprints()
    assert len(set(before.values())) == len(before)
    clip = next((tmp_path / "data" / "audio" / "train" / "weak").iterdir())
    clip.write_bytes(clip.read_bytes()[:-2])
    after = fingerprints()
    assert {name for name in before if before[name] != after[name]} == {"weak"}
    clip.unlink()
    assert fingerprints()["weak"] not in (before["weak"], after["weak"])


def test_an_experiment_uses_the_presets_with_the_settings_over_them(data, tmp_path):
    experiment = Experiment(
        Desed.load(data), tmp_path, settings=SETTINGS, overlay="demo", device="cpu"
    )
    run, clips, config = experiment.fit(table1.STRONGER)
    assert run == tmp_path / table1.STRONGER
    assert (config.alpha, config.steps, config.network.width) == (0.1, 2, 8)
    assert config.learning_rate == 2e-3  # the overlay's
    assert config.frontend == FrontendConfig()
    assert len(clips.validation.segments) == 6
