"""Export: what the file says and computes is what the network does."""

import dataclasses
import json
import math
import shlex
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from networks import LABELS, ONCE, TWICE, random_trained, scene

from streamsed.config import FrontendConfig, PostConfig
from streamsed.events import Event
from streamsed.inference import model as runtime
from streamsed.inference import selection
from streamsed.inference.model import Model
from streamsed.inference.model_file import ModelFile
from train.cli import app as cli
from train.cli.export import _print_engines
from train.config.train import TrainConfig
from train.datasets.scaling import scaling_from_dict
from train.export import engine_check
from train.export.engine_check import CheckSet, EngineCheck, network_score
from train.export.exporter import (
    count_gmac,
    describe,
    export_model,
    largest_difference,
)
from train.export.fold_batch_norm import fold
from train.export.formats import EXPORT_FORMATS
from train.fit import run as fit_run
from train.fit.checkpoint import LAST, save_atomically
from train.networks.factory import make_network


@pytest.fixture(scope="module")
def segments():
    return scene().segments


@pytest.mark.parametrize("config", [ONCE, TWICE])
def test_folding_changes_nothing_but_the_last_bits(config, segments):
    network = random_trained(config).network
    folded = fold(network)
    x = torch.from_numpy(segments)[:, None]
    assert largest_difference(network, folded, x) < 5e-3
    weights = [p for p in folded.parameters() if p.dim() > 1]
    assert all(torch.equal(p, p.half().float()) for p in weights)
    norms = [m for m in folded.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(norms) == 9  # those before an activation, and the head's


def test_a_weight_beyond_16_bits_is_refused():
    network = random_trained().network
    with torch.no_grad():
        network.linear.weight[0, 0] = 1e6
    with pytest.raises(ValueError, match=r"linear\.weight must be finite"):
        fold(network)


def test_the_runtime_computes_what_the_network_does(exported, trained, segments):
    model = Model.load(exported, device="cpu", engine="torchscript", precision="fp32")
    folded = fold(trained.network)
    for segment in segments:
        answer = model.score(segment)
        with torch.no_grad():
            scores, region = folded(torch.from_numpy(segment)[None, None])
        np.testing.assert_allclose(answer.scores, scores[0], atol=1e-5)
        np.testing.assert_allclose(answer.region, region[0], atol=1e-5)


def test_the_file_describes_itself(exported):
    info = ModelFile.open(exported).info
    assert (info.name, info.labels) == ("exported", LABELS)
    assert info.post == PostConfig(onset_threshold={"Dog": 0.4})
    assert info.scores_at_export["event_f1_macro"] == 0.25
    training = info.training
    assert (training["seed"], training["steps"], training["clips"]) == (3, 5, 80)
    assert training["command"] == "python -m train fit"
    assert training["commit"]
    assert info.parameters > 1000
    assert info.gmac > 0


def test_the_file_says_how_every_engine_agreed(exported):
    engines = ModelFile.open(exported).info.engines
    assert {"torchscript fp32", "openvino fp32", "onnx fp32", "openvino int8"} <= set(
        engines
    )
    for name, record in engines.items():
        if name.endswith("fp32"):
            assert record["max_difference"] < 1e-4
            assert record["accepted"]
        else:
            assert 1e-6 < record["max_difference"] < 0.3
        assert 0 <= record["events_changed"] <= 1


def test_weights_are_stored_once_and_in_16_bits(exported):
    n_numbers = ModelFile.open(exported).info.parameters
    with zipfile.ZipFile(exported) as archive:
        sizes = {i.filename.split("/", 1)[1]: i.file_size for i in archive.infolist()}
    weights = sum(size for name, size in sizes.items() if name.startswith("data/"))
    assert weights < 3 * n_numbers
    assert sizes["extra/fp32.onnx"] < 50_000


@pytest.mark.parametrize("to", ["onnx", "openvino", "torch-export"])
def test_other_formats_give_and_compute_the_same(to, trained, segments, tmp_path):
    path = tmp_path / f"model{EXPORT_FORMATS[to].suffix}"
    info = export_model(trained, path, name="other", check_set=scene(), to=to)
    loaded = EXPORT_FORMATS[to].load(path)
    assert loaded.info == info
    assert loaded.info.labels == LABELS
    expected = network_score(fold(trained.network))
    for segment in segments:
        np.testing.assert_allclose(
            loaded.score(segment), expected(segment), rtol=0, atol=1e-5
        )


def test_a_form_whose_name_is_another_forms_is_refused(trained, tmp_path):
    with pytest.raises(ValueError, match=r"model\.pt must end in \.onnx for --to onnx"):
        export_model(
            trained, tmp_path / "model.pt", name="x", check_set=scene(), to="onnx"
        )


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        ({"system": "crnn"}, "", "system=crnn must be resnet, which the runtime runs"),
        ({"scaling": "single"}, "", "scaling=single must be one that the runtime has"),
        ({}, " --to onnx", "--output m.pt must end in .onnx for --to onnx"),
        ({}, " --output run", "--output run: a folder; name a file"),
    ],
)
def test_what_no_file_can_hold_is_refused_before_anything_is_measured(
    tmp_path, monkeypatch, capsys, settings, options, message
):
    monkeypatch.chdir(tmp_path)
    config = TrainConfig(network=ONCE, **settings)
    scaling = scaling_from_dict({"name": config.scaling})
    state = {
        "config": config.to_dict(),
        "labels": LABELS,
        "scaling": scaling.to_dict(),
        "step": 1,
        "evaluated": make_network(config, len(LABELS)).state_dict(),
    }
    Path("run").mkdir()
    save_atomically(state, Path("run") / LAST)
    command = "export run --output m.pt --soundbank nowhere" + options
    assert run_cli(monkeypatch, command) == 2
    assert capsys.readouterr().err.startswith(f"train: error: {message}")
    if settings:  # then thresholds have no use either
        tune = "tune run --output points.json --soundbank nowhere"
        assert run_cli(monkeypatch, tune) == 2
        useless = f"train: error: run: its thresholds would be of no use, as {message}"
        assert capsys.readouterr().err.startswith(useless)


def test_gradients_that_were_not_clipped_are_described_in_json():
    trained = random_trained(clip_norm=math.inf)
    info = describe(trained, "unclipped", PostConfig(), {}, {})
    text = json.dumps(info.to_dict(), allow_nan=False)
    known = {each.name for each in dataclasses.fields(TrainConfig)}
    stated = {k: v for k, v in json.loads(text)["training"].items() if k in known}
    assert TrainConfig.from_dict(stated).clip_norm == sys.float_info.max


def test_a_file_that_differs_is_refused_and_the_old_one_stays(
    trained, tmp_path, monkeypatch
):
    (tmp_path / "model.pt").write_text("the old one")
    monkeypatch.setattr(engine_check, "TOLERANCE", -1.0)
    with pytest.raises(ValueError, match=r"fp32: difference=.* must be at most"):
        export_model(trained, tmp_path / "model.pt", name="tiny", check_set=scene())
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]
    assert (tmp_path / "model.pt").read_text() == "the old one"


def judged(noise, reference=()):
    """A check's verdict on scores that stray by `noise` from a synthetic network's."""

    class Waves(torch.nn.Module):
        def forward(self, x):
            wave = 0.5 + 0.4 * torch.sin(torch.arange(128) / 10.0)
            return wave[None, :, None].repeat(1, 1, 3), x

    check_set = CheckSet(scene().segments, scene().segments, reference)
    check = EngineCheck(
        Waves(), check_set, labels=LABELS, post=PostConfig(), config=FrontendConfig()
    )
    return check.compare(lambda _: check.scores[0] + noise, exact=False)


def test_a_lower_precision_is_judged_by_the_events_it_changes():
    assert judged(0.0)["accepted"]
    shifted = judged(np.float32(-0.35))
    assert shifted["events_changed"] > 0.5
    assert not shifted["accepted"]


def test_a_lower_precision_must_know_the_start_of_a_quiet_stream():
    class Means(torch.nn.Module):
        def forward(self, x):
            return x.mean(dim=(1, 3))[:, ::8, None].repeat(1, 1, 3), x

    options = {"labels": LABELS, "post": PostConfig(), "config": FrontendConfig()}
    check = EngineCheck(Means(), scene(), **options)
    exact = network_score(Means())
    assert check.compare(exact, exact=False)["accepted"]

    def astray(segment):
        flat = (np.ptp(segment, axis=1) == 0)[::8] & (segment[::8, 0] > 0)
        assert not flat.all()
        return np.where(flat[:, None], 1.0, exact(segment))

    untouched = [astray(each) for each in scene().segments]
    np.testing.assert_array_equal(untouched, check.scores)
    record = check.compare(astray, exact=False)
    assert record["max_difference"] == pytest.approx(0.7)  # from what silence is there
    assert record["events_changed"] == 0
    assert not record["accepted"]


def test_where_the_truth_is_known_event_f1_must_not_fall(monkeypatch):
    truth = [[Event("Dog", 8.0, 9.0, 1.0)], []]
    same, other = judged(0.0, truth), judged(np.float32(-0.35), truth)
    assert same["event_f1_macro"] == other["event_f1_macro"] == 0
    assert same["accepted"]
    assert not other["accepted"]  # nothing right was lost, but much changed
    monkeypatch.setattr(engine_check, "F1_DROP", -0.01)
    assert not judged(0.0, truth)["accepted"]


@pytest.fixture
def tried(monkeypatch, trained, exported):
    """Try two engines on an exported file; what is given as failing raises an error."""
    names = ("openvino int8", "onnx fp32")
    order = tuple(tuple(name.split()) for name in names)
    monkeypatch.setattr(engine_check, "engine_order", lambda: order)
    make = runtime.make_engine

    def tried(failing=""):
        def make_or_fail(candidate, *arguments, **settings):
            if candidate.name == failing:
                raise ValueError("no such kernel")
            return make(candidate, *arguments, **settings)

        monkeypatch.setattr(runtime, "make_engine", make_or_fail)
        network = fold(trained.network)
        options = {"labels": LABELS, "post": PostConfig(), "config": FrontendConfig()}
        check = EngineCheck(network, scene(), **options)
        return dict(engine_check.compare_engines(exported, check))

    return tried


def test_an_engine_that_is_not_installed_is_left_out(tried, monkeypatch):
    find = selection.find_spec
    monkeypatch.setattr(
        selection,
        "find_spec",
        lambda name: None if name == "onnxruntime" else find(name),
    )
    assert set(tried()) == {"openvino int8"}


def test_a_lower_precision_that_fails_is_recorded_with_its_reason(tried):
    records = tried(failing="openvino int8")
    assert records["onnx fp32"]["accepted"]
    record = records["openvino int8"]
    assert not record["accepted"]
    assert "no such kernel" in record["failed"]


def test_an_engine_that_fails_in_32_bits_stops_the_export(tried):
    with pytest.raises(ValueError, match=r"^onnx in fp32 fails on .*no such kernel"):
        tried(failing="onnx fp32")


def test_export_says_which_engines_failed_and_which_were_not_tried(capsys):
    info = describe(random_trained(), "x", PostConfig(), {}, {})
    good = {"accepted": True, "max_difference": 0.001, "events_changed": 0.0}
    failed = {"accepted": False, "failed": "no such kernel"}
    _print_engines(
        dataclasses.replace(
            info, engines={"openvino fp32": good, "openvino int8": failed}
        )
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("openvino fp32      accepted: scores within 0.001")
    assert lines[1] == "openvino int8      failed: no such kernel"
    assert lines[2].startswith("not tried, as this machine does not have them: ")
    assert "onnx fp32" in lines[2]


def test_pooling_twice_costs_less_than_half():
    once, twice = (random_trained(config).network for config in (ONCE, TWICE))
    assert count_gmac(twice, FrontendConfig()) < 0.5 * count_gmac(
        once, FrontendConfig()
    )


def run_cli(monkeypatch, command):
    monkeypatch.setattr(sys, "argv", ["train", *shlex.split(command)])
    # These two change the whole process, which other tests share.
    monkeypatch.setattr(torch, "set_flush_denormal", lambda _: True)
    monkeypatch.setattr(fit_run, "keep_freed_memory", lambda: True)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """A bank with both splits: two labels, one background."""
    folder = tmp_path_factory.mktemp("bank")
    rng = np.random.default_rng(0)
    rows = ["path,split"]
    for part in ("foreground/Beep", "foreground/Hiss", "background/room"):
        (folder / part).mkdir(parents=True)
        for split in ("train", "validation"):
            samples = 0.1 * rng.standard_normal(30000)
            if part.endswith("Beep"):
                samples = 0.3 * np.sin(0.2 * np.arange(30000))
            soundfile.write(folder / part / f"{split}.wav", samples, 44100)
            rows.append(f"{part}/{split}.wav,{split}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder


# Python 3.12 and later warn of a fork beside threads; the worker touches no thread.
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_the_command_line_goes_from_bank_to_model(bank, tmp_path, monkeypatch, capsys):
    run, model, log = (tmp_path / name for name in ("run", "model.pt", "log.jsonl"))
    fit = f"fit --soundbank {bank} --run {run} --width 8 --steps 1 --threads 1"
    assert run_cli(monkeypatch, fit + f" --n-validation 2 --json-log {log}") == 0
    reported, complaints = capsys.readouterr()
    assert complaints == ""  # no bar goes into a pipe
    *outcome, following = reported.splitlines()
    assert outcome[0].startswith("1 steps in ")
    assert outcome[1].startswith("best at step 1: validation loss ")
    assert [line.split()[0] for line in outcome[2:]] == ["Beep", "Hiss"]
    exported = f"export {run} --output run.pt --soundbank {bank} --split validation"
    assert following == f"next: python -m train {exported} --tune"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    ended = {line["task"]: line for line in lines if line["state"] == "ended"}
    assert {"mixing", "scoring", "training"} <= set(ended)
    assert (ended["training"]["done"], ended["training"]["unit"]) == (1, "steps")
    (validation,) = [line for line in lines if line["state"] == "validation"]
    assert 0 <= validation["macro"] <= 1
    assert run_cli(monkeypatch, fit) == 2
    assert "--resume" in capsys.readouterr().err
    export = f"export {run} --output {model}"
    measured = f" --soundbank {bank} --n 2"  # and not its split that was trained on
    more = f" --tune --json-log {log}"
    assert run_cli(monkeypatch, export + measured + more) == 0
    assert capsys.readouterr().out.endswith(f"streamsed listen --model {model}\n")
    tasks = {json.loads(line).get("task") for line in log.read_text().splitlines()}
    assert {"tuning", "trying engines"} <= tasks
    info = ModelFile.open(model).info
    assert info.labels == ("Beep", "Hiss")
    assert "event_f1_macro" in info.scores_at_export
    assert "a sound bank (split validation);" in info.scores_at_export["data"]
    assert set(info.post.onset_threshold) == {"Beep", "Hiss"}
    assert run_cli(monkeypatch, export) == 0
    assert ModelFile.open(model).info.scores_at_export == {}


@pytest.mark.parametrize(
    "command",
    [
        "export RUN --output model.pt --to flac",
        "card nothing.pt --soundbank BANK --blueprint nothing.tsv",
        "export nowhere --output model.pt --soundbank BANK",
        "soundscapes out --soundbank nowhere",
        "soundscapes out --soundbank BANK --split test",
        "fit --soundbank BANK --run run --preset huge",
        "fit --soundbank BANK --run run --resume",
        "fit --soundbank BANK",
    ],
)
def test_what_is_wrong_is_one_line_and_exit_code_2(
    bank, tmp_path, monkeypatch, capsys, command
):
    monkeypatch.chdir(tmp_path)
    assert run_cli(monkeypatch, command.replace("BANK", str(bank))) == 2
    error = capsys.readouterr().err
    assert error.startswith("train: error: ")
    assert error.count("\n") == 1
