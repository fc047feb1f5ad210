"""Scores of a run for `tune`: the same by every engine, and kept for these alone."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import random_trained, scene

from streamsed.inference.cpu import has_bf16
from streamsed.inference.selection import EngineRequest
from train.config.network import NetworkConfig
from train.config.train import TrainConfig
from train.evaluation.continuous import recordings
from train.evaluation.continuous.kept_scores import KeptScores, ScoredBy, load_scored
from train.export import run_scorer
from train.export.engine_check import network_score
from train.export.run_scorer import Drawing, RunScorer, digest, load_in_engine
from train.fit.checkpoint import LAST, TrainedNetwork, save_atomically
from train.mixing.soundbank import Soundbank
from train.mixing.toy_bank import write_bank
from train.networks.factory import make_network

DRAWING = Drawing(n=1, duration=12.0, seed=20)
EXACT = EngineRequest("cpu", "openvino", "fp32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_bank(tmp_path_factory.mktemp("bank"), n_recordings=10)


@pytest.fixture(scope="module")
def bank(folder):
    return Soundbank.load(folder, split="validation")


@pytest.fixture(autouse=True)
def _short_steady_sounds(monkeypatch):
    monkeypatch.setattr(recordings, "STEADY_DURATION", 4.0)
    monkeypatch.setattr(recordings, "N_STEADY", 1)


def untrained(labels, seed=0):
    torch.manual_seed(seed)
    network = NetworkConfig(width=8, stem_pools=2, multiples=(1,), strides=((2, 2),))
    config = TrainConfig(network=network)
    made = make_network(config, len(labels)).eval()
    with torch.no_grad():
        made.linear.weight *= 30  # scores that differ from frame to frame
    return TrainedNetwork(made, labels, config, 1)


@pytest.fixture(scope="module")
def trained(bank):
    return untrained(bank.labels)


@pytest.fixture
def engines(monkeypatch):
    """The engines that are loaded, by name."""
    loaded = []

    def load(*arguments):
        model = load_in_engine(*arguments)
        loaded.append(model.chosen.name)
        return model

    monkeypatch.setattr(run_scorer, "load_in_engine", load)
    return loaded


@pytest.mark.parametrize(
    ("engine", "precision", "tolerance"),
    [
        ("torchscript", "fp32", 1e-2),  # weights are rounded to 16 bits
        ("openvino", "fp32", 1e-2),
        ("onnx", "fp32", 1e-2),
        ("openvino", "bf16", 0.1),
        ("openvino", "int8", 0.2),
    ],
)
def test_an_engine_gives_the_scores_of_the_network(
    engine, precision, tolerance, capsys
):
    if precision == "bf16" and not has_bf16():
        pytest.skip("needs a processor that computes in bf16")
    trained = random_trained()
    model = load_in_engine(trained, EngineRequest("cpu", engine, precision))
    assert model.chosen.name == f"{engine} {precision}"
    for segment in scene().segments:
        expected = network_score(trained.network)(segment)
        difference = np.abs(model.score(segment).scores - expected)
        assert 0 < difference.max() < tolerance
    assert capsys.readouterr().out == ""  # where the commands print their tables


def test_kept_scores_are_those_that_were_computed_and_no_engine_is_loaded_for_them(
    bank, trained, engines, tmp_path
):
    first = RunScorer(trained, EXACT).score(bank, DRAWING, tmp_path)
    again = RunScorer(trained, EXACT).score(bank, DRAWING, tmp_path)
    assert engines == ["openvino fp32"]
    assert len(first) == len(again) > 3
    for one, other in zip(first, again, strict=True):
        assert (one.part, one.events, one.beds) == (
            other.part,
            other.events,
            other.beds,
        )
        np.testing.assert_array_equal(one.scores.scores, other.scores.scores)
    assert len(load_scored(tmp_path)) == len(first)


def test_scores_are_kept_by_one_process_at_a_time(bank, trained, engines, tmp_path):
    """Two would write the same files, and list each recording twice."""
    code = (
        "import sys; from pathlib import Path; from train.folder_lock import hold_folder\n"
        "with hold_folder(Path(sys.argv.pop()), option=''): print(flush=True); input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, "tune", "runs/one", tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(run_scorer.__file__).parents[2],
    ) as other:
        other.stdout.readline()
        message = (
            rf"^{re.escape(str(tmp_path))}: in use by process {other.pid} \(python -m train tune one\); "
            "wait for it, or name another --scored$"
        )
        with pytest.raises(ValueError, match=message):
            RunScorer(trained, EXACT).score(bank, DRAWING, tmp_path)
    assert engines == []
    assert not (tmp_path / "about.json").exists()
    RunScorer(trained, EXACT).score(bank, DRAWING, tmp_path)


def test_interrupted_scoring_goes_on_where_it_was(bank, trained, tmp_path, monkeypatch):
    whole = RunScorer(trained, EXACT).score(bank, DRAWING)
    append, scored = KeptScores.append, []

    def interrupted(self, recording):
        if len(self) == 2 and not scored:
            raise KeyboardInterrupt
        append(self, recording)

    monkeypatch.setattr(KeptScores, "append", interrupted)
    with pytest.raises(KeyboardInterrupt):
        RunScorer(trained, EXACT).score(bank, DRAWING, tmp_path)
    assert len(load_scored(tmp_path)) == 2

    def counted(self, recording):
        scored.append(recording.part)
        append(self, recording)

    monkeypatch.setattr(KeptScores, "append", counted)
    continued = RunScorer(trained, EXACT).score(bank, DRAWING, tmp_path)
    assert len(scored) == len(whole) - 2
    for one, other in zip(whole, continued, strict=True):
        np.testing.assert_array_equal(one.scores.scores, other.scores.scores)


@pytest.mark.parametrize(
    ("engine", "precision", "name"),
    [
        ("torchscript", "fp32", "torchscript fp32"),
        ("auto", "int8", "openvino int8"),
        ("torchscript", "auto", "torchscript fp32"),
    ],
)
def test_scores_of_another_engine_are_refused_before_any_work(
    engine, precision, name, bank, trained, engines, tmp_path
):
    RunScorer(trained, EXACT).score(bank, DRAWING, tmp_path)
    other = RunScorer(trained, EngineRequest("cpu", engine, precision))
    message = (
        f"{tmp_path}: holds scores by openvino fp32, not {name}; use --engine openvino "
        "--precision fp32, or name another folder for --scored"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        other.score(bank, DRAWING, tmp_path)
    assert engines == ["openvino fp32"]


def test_auto_takes_the_engine_of_kept_scores_or_the_fastest_exact_one(
    bank, trained, engines, tmp_path
):
    exact = EngineRequest("cpu", "onnx", "fp32")
    RunScorer(trained, exact).score(bank, DRAWING, tmp_path / "0")
    scorer = RunScorer(trained, EngineRequest("cpu"))
    for half in ("0", "1"):
        scorer.score(bank, DRAWING, tmp_path / half)
    assert engines == ["onnx fp32", "onnx fp32"]  # and not another for the second half
    RunScorer(trained, EngineRequest("cpu")).score(bank, DRAWING, tmp_path / "new")
    assert engines[2:] == ["openvino fp32"]  # others were not tried on this network


def test_scores_of_another_network_are_refused(bank, trained, tmp_path):
    RunScorer(trained, EXACT).score(bank, DRAWING, tmp_path)
    other = RunScorer(untrained(bank.labels, seed=1), EXACT)
    with pytest.raises(ValueError, match="holds scores of another network; name ano"):
        other.score(bank, DRAWING, tmp_path)


@pytest.mark.parametrize(
    "drawing", [Drawing(1, 12.0, 21), Drawing(2, 12.0, 20), Drawing(1, 14.0, 20)]
)
def test_scores_of_other_recordings_are_refused(drawing, bank, trained, tmp_path):
    scorer = RunScorer(trained, EXACT)
    scorer.score(bank, DRAWING, tmp_path)
    with pytest.raises(ValueError, match="holds scores of other recordings than those"):
        scorer.score(bank, drawing, tmp_path)


def test_scores_of_more_recordings_are_refused(bank, trained, tmp_path):
    scorer = RunScorer(trained, EXACT)
    kept = scorer.score(bank, DRAWING, tmp_path)
    KeptScores(tmp_path).append(kept[-1])
    with pytest.raises(ValueError, match="holds scores of other recordings than those"):
        scorer.score(bank, DRAWING, tmp_path)


def test_scores_that_do_not_say_where_they_come_from_are_refused(
    bank, trained, tmp_path
):
    scorer = RunScorer(trained, EXACT)
    scorer.score(bank, DRAWING, tmp_path)
    (tmp_path / "about.json").unlink()
    with pytest.raises(ValueError, match=r"\(about\.json is missing\); name another"):
        scorer.score(bank, DRAWING, tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("about.json", "["),
        ("about.json", '{"engine": 1}'),
        ("about.json", '{"engine": 1, "network": "1"}'),
        ("about.json", '{"engine": "openvino", "network": "1"}'),
        ("truth.json", "{}"),
    ],
)
def test_a_folder_of_something_else_is_named(name, content, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(
        ValueError, match=rf"{name}: not written by `python -m train tun"
    ):
        KeptScores(tmp_path)


def test_without_scores_yet_a_folder_takes_those_of_another_engine(tmp_path):
    KeptScores(tmp_path).begin(ScoredBy("openvino bf16", "1"))  # which is not installed
    KeptScores(tmp_path).begin(ScoredBy("onnx fp32", "1"))
    assert KeptScores(tmp_path).engine == "onnx fp32"


def test_the_digest_is_of_all_that_scores_depend_on(trained):
    same = untrained(trained.labels)
    assert digest(same) == digest(trained)
    with torch.no_grad():
        same.network.linear.bias[0] += 1e-6
    assert digest(same) != digest(trained)
    renamed = TrainedNetwork(trained.network, ("A", "B"), trained.config, 1)
    assert digest(renamed) != digest(trained)


def write_run(run, trained):
    state = {
        "config": trained.config.to_dict(),
        "labels": trained.labels,
        "scaling": trained.scaling.to_dict(),
        "step": 1,
        "evaluated": trained.network.state_dict(),
    }
    run.mkdir()
    save_atomically(state, run / LAST)


@pytest.fixture
def tune(train, folder, trained, tmp_path):
    """Run `tune` on a run of the network."""
    run = tmp_path / "run"
    write_run(run, trained)
    output = ["--output", tmp_path / "points.json"]
    data = ["--soundbank", folder, "--recordings", 1, "--minutes", 0.5]
    return lambda *options: train("tune", run, *output, *data, *options)


def test_tune_scores_by_the_engine_that_is_asked_for_and_says_so(
    tune, engines, tmp_path
):
    kept = ["--scored", tmp_path / "scored"]
    code, first = tune("--engine", "openvino", "--precision", "fp32", *kept)
    assert code == 0, first.err
    assert engines == ["openvino fp32"]
    figures = json.loads((tmp_path / "points.json").read_text())["figures"]
    assert "--engine openvino --precision fp32" in figures["command"]
    code, printed = tune(*kept)  # torchscript fp32
    assert code == 2
    assert "0: holds scores by openvino fp32, not torchscript fp32" in printed.err
    code, again = tune("--engine", "auto", "--precision", "auto", *kept)
    assert (code, again.out) == (0, first.out)
    assert engines == ["openvino fp32"]


def test_tune_refuses_a_bank_of_other_labels_before_it_scores(
    tune, engines, folder, tmp_path
):
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    (other / "foreground" / "Beeping").rename(other / "foreground" / "Owl")
    manifest = other / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("Beeping", "Owl"))
    code, printed = tune("--soundbank", other)
    assert code == 2
    assert "--soundbank: its label 'Owl' is not one" in printed.err
    assert engines == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--engine", "fast"],
            "--engine must be auto, openvino, onnx or torchscript, not 'fast'",
        ),
        (
            ["--engine", "onnx", "--precision", "bf16"],
            "--engine onnx with precision=bf16 is not available (no engine has both); "
            + "try --engine auto",
        ),
    ],
)
def test_an_engine_that_there_is_not_is_refused_as_by_other_commands(
    options, message, tune
):
    code, printed = tune(*options)
    assert (code, printed.err) == (2, f"train: error: {message}\n")


def leave_out(paths, table):
    """Write which sounds are left out; return the option."""
    table.write_text("\n".join(["path,decision", *(f"{p},drop" for p in paths)]) + "\n")
    return "--leave-out", table


def test_tune_refuses_a_bank_that_cannot_be_halved_before_it_scores(
    tune, engines, bank, tmp_path
):
    _, *others = [c.recording for clips in bank.foreground.values() for c in clips]
    code, printed = tune(*leave_out(others, tmp_path / "audit.csv"))
    assert code == 2
    (line,) = printed.err.splitlines()
    assert "--soundbank: its 1 sound with a label cannot be parted" in line
    assert engines == []


def test_tune_notes_the_labels_that_a_half_lacks(tune, bank, tmp_path):
    _, *others = [clip.recording for clip in bank.foreground["Beeping"]]
    code, printed = tune(*leave_out(others, tmp_path / "audit.csv"))
    assert code == 0, printed.err
    assert "one half, or in both: Beeping; thresholds" in printed.out


def test_export_measures_without_what_a_list_leaves_out(
    train, folder, trained, tmp_path, monkeypatch
):
    measured = []

    def finish(_trained, bank, **_options):
        measured.append(bank.labels)
        raise ValueError("enough")

    monkeypatch.setattr("train.cli.export.finish", finish)
    write_run(tmp_path / "run", trained)
    beeps = [each.relative_to(folder) for each in folder.glob("foreground/Beeping/*")]
    given = ["export", tmp_path / "run", "--output", tmp_path / "m.pt"]
    given += ["--soundbank", folder]
    for options in ([], leave_out(beeps, tmp_path / "audit.csv")):
        code, printed = train(*given, *options)
        assert (code, printed.err) == (2, "train: error: enough\n")
    assert measured == [trained.labels, trained.labels[1:]]  # without Beeping


@pytest.mark.parametrize("command", ["tune", "export"])
def test_segments_in_which_no_score_becomes_final_are_refused_before_any_work(
    command, train, trained, folder, engines, tmp_path, monkeypatch
):
    short = replace(trained.config.frontend, segment_frames=512)
    config = replace(trained.config, frontend=short)
    write_run(tmp_path / "run", replace(trained, config=config))
    monkeypatch.setattr("train.cli.export.finish", lambda *_, **__: engines.append(1))
    output = tmp_path / "points.json"
    given = ["--output", output, "--soundbank", folder]
    code, printed = train(command, tmp_path / "run", *given)
    assert code == 2
    (line,) = printed.err.splitlines()
    assert "frontend.segment_frames=512 must be a segment of 10 s at least" in line
    assert line.endswith("not 5 s")
    assert engines == []
