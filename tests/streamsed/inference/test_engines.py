"""Engines: one network, one answer; the fastest is taken, and said, if it is right."""

import json
import re
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from archives import as_exported, rewritten
from environment import ENVIRONMENT
from networks import scene
from numpy.testing import assert_array_equal
from sounds import RATE
from sounds import scene as some_sound

from streamsed.config import StreamConfig
from streamsed.detector import Detector
from streamsed.inference import cpu, selection
from streamsed.inference.cpu import has_bf16
from streamsed.inference.model import Model
from streamsed.inference.model_file import ModelFile
from streamsed.inference.onnx_weights import Probe, read_graph, read_probe, whole_model
from streamsed.inference.selection import Candidate, EngineRequest, candidates
from streamsed.recordings.detection import recut

ENGINES = [
    ("torchscript", "fp32", 1e-6),
    ("openvino", "fp32", 1e-5),
    ("onnx", "fp32", 1e-5),
    ("openvino", "int8", 0.1),
    ("onnx", "int8", 0.1),
    ("openvino", "bf16", 0.1),
    ("torchscript", "bf16", 0.1),
]


@pytest.fixture(scope="module", params=ENGINES, ids=lambda p: f"{p[0]}-{p[1]}")
def engine(request, exported):
    """A model by each engine, with the difference that its arithmetic explains."""
    name, precision, tolerance = request.param
    if precision == "bf16" and not has_bf16():
        pytest.skip("this processor has no bf16")
    model = Model.load(
        exported, device="cpu", engine=name, precision=precision, threads=1
    )
    return model, tolerance


@pytest.fixture(scope="module")
def features():
    return scene().segments[0]


def test_every_engine_gives_the_scores_of_the_network(engine, exported):
    model, tolerance = engine
    probe = read_probe(ModelFile.open(exported))
    scores, region = model.score(probe.features)
    np.testing.assert_allclose(scores, probe.scores, rtol=0, atol=tolerance)
    assert scores.dtype == region.dtype == np.float32
    assert region.shape == (128,)
    assert 0 < region.min() <= region.max() <= 1
    assert scores.std() > 0.05


def test_every_call_from_every_thread_gives_the_same_bits(engine, features):
    model, _ = engine
    inputs = [features, np.ascontiguousarray(features[::-1])]
    expected = [model.score(x) for x in inputs]
    wrong = []

    def work(number):
        x = inputs[number % 2]
        for _ in range(3):
            found = model.score(x)
            for a, b in zip(found, expected[number % 2], strict=True):
                if a.tobytes() != b.tobytes():
                    wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_stream_gives_what_the_file_gives_by_every_engine(engine):
    model, _ = engine
    detector = Detector(model, stream=StreamConfig(step=2.0, latency=4.0))
    samples = some_sound(14, seed=3)
    whole = list(detector.events([samples]))
    assert whole
    for seed in range(2):
        chunks = recut([samples], np.random.default_rng(seed))
        assert list(detector.events(chunks)) == whole


def test_a_signal_may_come_after_a_model_is_gone(exported):
    code = (
        "import os, signal; from streamsed.inference.model import Model\n"
        "signal.signal(signal.SIGUSR1, lambda *_: print('heard'))\n"
        f"model = Model.load({str(exported)!r}, engine='openvino', precision='fp32')\n"
        "del model\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert (run.returncode, run.stdout) == (0, "heard\n")


def test_other_threads_may_share_a_segment(exported, features):
    for name in ("openvino", "onnx"):
        one, two = (
            Model.load(exported, engine=name, precision="fp32", threads=n)
            for n in (1, 2)
        )
        np.testing.assert_allclose(
            one.score(features).scores, two.score(features).scores, atol=1e-5
        )


def test_a_segment_of_another_shape_is_refused(engine):
    model, _ = engine
    with pytest.raises(ValueError, match=r"shape \(1024, 128\), not \(1024, 127\)"):
        model.score(np.zeros((1024, 127), np.float32))


def test_the_graph_holds_the_weights_that_torchscript_holds(exported, trained):
    import onnx
    from onnx import numpy_helper

    from train.export.fold_batch_norm import fold

    model = onnx.load_from_string(
        whole_model(read_graph(ModelFile.open(exported), "fp32"))
    )
    onnx.checker.check_model(model)
    stored = [
        numpy_helper.to_array(each).astype(np.float32).tobytes()
        for each in model.graph.initializer
    ]
    for parameter in fold(trained.network).parameters():
        if parameter.dim() == 4:
            assert parameter.detach().numpy().tobytes() in stored


def test_a_probe_survives_its_packing():
    rng = np.random.default_rng(0)
    features = rng.integers(0, 256, (16, 8)).astype(np.float32) / np.float32(255)
    probe = Probe(features, rng.random((2, 3), dtype=np.float32))
    packed = probe.to_bytes()
    again = Probe.from_bytes(packed, features=(16, 8), scores=(2, 3))
    assert_array_equal(again.features, probe.features)
    assert_array_equal(again.scores, probe.scores)


# Which one is taken.


@pytest.fixture
def amx(monkeypatch):
    monkeypatch.setattr(cpu, "processor_flags", lambda: {"amx_bf16"})


@pytest.fixture
def old_processor(monkeypatch):
    monkeypatch.setattr(cpu, "processor_flags", lambda: {"avx2"})


def accepting(info):
    """A description whose engines were all accepted at export."""
    good = {
        "accepted": True,
        "events_changed": 0.0,
        "max_difference": 0.0,
        "probe_difference": 0.005,
    }
    return replace(info, engines={f"{e} {p}": good for e, p, _ in ENGINES})


def order(path, request=None, info=None):
    info = info or accepting(ModelFile.open(path).info)
    file = replace(ModelFile.open(path), info=info)
    found = candidates(file, request or EngineRequest(device="cpu"))
    return [c.name for c in found if not c.rejected_because]


def test_where_bf16_has_a_matrix_it_comes_first(exported, amx):
    assert order(exported)[:2] == ["openvino bf16", "openvino int8"]


def test_where_there_is_no_bf16_it_is_never_taken(exported, old_processor):
    assert order(exported)[0] == "openvino int8"
    assert not [name for name in order(exported) if "bf16" in name]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (
            {"accepted": False, "events_changed": 0.25},
            "not accepted at export: 25.0 % of events differed",
        ),
        ({"accepted": False}, "not accepted at export"),  # of a stranger's file
        (
            {"accepted": False, "failed": "no such kernel"},
            "failed at export: no such kernel",
        ),
    ],
)
def test_what_was_not_accepted_at_export_is_passed_over(exported, amx, bad, why):
    file = ModelFile.open(exported)
    info = accepting(file.info)
    info = replace(info, engines={**info.engines, "openvino bf16": bad})
    assert order(exported, info=info)[0] == "openvino int8"
    (said,) = [
        c.rejected_because
        for c in candidates(replace(file, info=info), EngineRequest(device="cpu"))
        if c.name == "openvino bf16"
    ]
    assert said == why
    asked = EngineRequest(device="cpu", precision="bf16")
    assert order(exported, asked, info)[0] == "openvino bf16"


def test_what_is_not_installed_is_passed_over_with_its_remedy(exported, monkeypatch):
    installed = selection.find_spec
    monkeypatch.setattr(
        selection,
        "find_spec",
        lambda name: None if name in ("openvino", "onnxruntime") else installed(name),
    )
    model = Model.load(exported, device="cpu")
    assert model.chosen.engine == "torchscript"
    said = {c.name: c.rejected_because for c in model.rejected}
    assert said["openvino fp32"] == "OpenVINO is not installed: pip install openvino"
    assert said["onnx fp32"] == "ONNX Runtime is not installed: pip install onnxruntime"
    with pytest.raises(ValueError, match=r"^OpenVINO is not installed: pip install"):
        Model.load(exported, engine="openvino")


def test_an_engine_that_answers_otherwise_here_is_passed_over(exported, monkeypatch):
    monkeypatch.setattr(selection, "engine_order", lambda: INT8_FIRST)
    file = ModelFile.open(exported)
    file = replace(file, info=accepting(file.info))
    assert Model.load(file, device="cpu").chosen.name == "openvino int8"
    exact = {"accepted": True, "probe_difference": 0.0}
    engines = {**file.info.engines, "openvino int8": exact}
    file = replace(file, info=replace(file.info, engines=engines))
    model = Model.load(file, device="cpu")
    assert model.chosen.name == "torchscript fp32"
    (said,) = [c.rejected_because for c in model.rejected if c.name == "openvino int8"]
    assert "from the network's, more than the 0.0001 allowed" in said


ENGINE_ORDER = (("openvino", "int8"), ("torchscript", "fp32"))


INT8_FIRST = (("openvino", "int8"), ("torchscript", "fp32"))


@pytest.mark.parametrize("name", ["openvino", "onnx", "torchscript"])
def test_the_last_engine_must_answer_as_at_export_too(exported, tmp_path, name):
    probe = read_probe(ModelFile.open(exported))
    path = rewritten(
        exported,
        tmp_path / "strange.pt",
        {"extra/probe.npz": Probe(probe.features, 1 - probe.scores).to_bytes()},
    )
    with pytest.raises(
        ValueError, match=r"its scores differ from those at export .* more than"
    ):
        Model.load(path, device="cpu", engine=name, precision="fp32")


def test_a_file_without_graphs_runs_by_torchscript(older_model_path):
    model = Model.load(older_model_path, device="cpu")
    assert model.chosen == Candidate("torchscript", "fp32")
    said = {c.rejected_because for c in model.rejected}
    assert said == {
        "the model file is of an older kind, without graphs; export it again"
    }
    with pytest.raises(ValueError, match="of an older kind"):
        Model.load(older_model_path, engine="onnx")


def test_a_frozen_file_of_an_older_export_runs_in_fp32_alone(
    older_model_path, features, tmp_path
):
    import torch

    path = tmp_path / "frozen.pt"
    text = json.dumps(ModelFile.open(older_model_path).info.to_dict())
    frozen = torch.jit.freeze(torch.jit.load(older_model_path).eval())
    torch.jit.save(frozen, str(path), _extra_files={"streamsed.json": text})
    as_exported(path)
    older, newer = (Model.load(p, device="cpu") for p in (path, older_model_path))
    assert_array_equal(older.score(features).scores, newer.score(features).scores)
    with pytest.raises(ValueError, match="of an older kind"):
        Model.load(path, precision="bf16", device="cpu")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"engine": "tvm"}, "engine='tvm' must be auto, openvino, onnx or torchscript"),
        ({"precision": "fp8"}, "precision='fp8' must be auto, fp32, bf16 or int8"),
        ({"threads": 0}, "threads=0 must be 1 or more"),
        (
            {"engine": "onnx", "device": "cuda"},
            "engine='onnx' must be torchscript with",
        ),
        ({"engine": "torchscript", "precision": "int8"}, "no engine has both"),
        ({"device": "cuda", "precision": "int8"}, "no engine has both"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(exported, settings, words):
    with pytest.raises(ValueError, match=words):
        Model.load(exported, **settings)


def test_bf16_is_refused_where_the_processor_has_none(exported, old_processor):
    with pytest.raises(ValueError, match="not supported by this processor"):
        Model.load(exported, engine="openvino", precision="bf16")


# On the command line.


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    soundfile.write(path, some_sound(1), RATE)
    return path


@pytest.mark.parametrize("name", ["openvino", "onnx"])
def test_other_engines_do_without_torch(streamsed, exported, clip, tmp_path, name):
    (tmp_path / "torch.py").write_text("raise RuntimeError('torch was imported')\n")
    environment = ENVIRONMENT | {"PYTHONPATH": str(tmp_path)}
    arguments = ("file", clip, "--model", exported, "--engine")
    run = streamsed(*arguments, name, env=environment)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("filename\t")
    other = streamsed(*arguments, "torchscript", env=environment)
    assert "torch was imported" in other.stderr


def test_info_says_which_engine_runs_and_why(streamsed, exported):
    run = streamsed("info", exported, "--engine", "onnx", "--threads", "1")
    (chosen,) = re.findall(r"^runs here on +(.*)$", run.stdout, re.MULTILINE)
    assert chosen.startswith("cpu (onnx fp32, 1 thread)")


def test_a_wrong_engine_is_one_line(streamsed, exported, clip):
    for arguments, words in (
        (["--engine", "tvm"], "--engine must be auto"),
        (["--precision", "int4"], "--precision must be auto"),
        (["--threads", "-1"], "--threads must be from 1 to 1024, not -1"),
    ):
        run = streamsed("file", clip, "--model", exported, *arguments)
        (line,) = run.stderr.splitlines()
        assert line.startswith(f"streamsed: error: {words}")
        assert run.returncode == 2


def test_flags_are_read_where_there_are_any(monkeypatch, tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu avx2 avx512_bf16\n")
    monkeypatch.setattr(cpu, "CPUINFO", cpuinfo)
    read = cpu.processor_flags.__wrapped__
    assert read() == {"fpu", "avx2", "avx512_bf16"}
    monkeypatch.setattr(cpu, "CPUINFO", tmp_path / "none")
    assert read() == frozenset()


@pytest.mark.gpu
def test_a_cuda_graph_gives_the_scores_of_the_network(exported):
    probe = read_probe(ModelFile.open(exported))
    for precision, tolerance in (("fp32", 1e-3), ("bf16", 0.1)):
        model = Model.load(exported, device="cuda", precision=precision)
        for _ in range(2):
            scores = model.score(probe.features).scores
            np.testing.assert_allclose(scores, probe.scores, rtol=0, atol=tolerance)


def test_the_settings_of_an_engine_reach_the_detector(exported):
    detector = Detector.load(exported, engine="onnx", precision="fp32", threads=1)
    assert detector.model.place == "cpu (onnx fp32, 1 thread)"


def test_start_up_is_quick_without_torch(exported, clip):
    code = (
        "import sys; from streamsed.cli.app import main; "
        f"sys.argv = ['streamsed', 'file', {str(clip)!r}, '-m', {str(exported)!r}, "
        "'--engine', 'openvino']; main()"
    )
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rsplit("|")[-1].strip() for line in run.stderr.splitlines()}
    assert "openvino" in imported
    assert imported.isdisjoint({"torch", "onnxruntime", "matplotlib", "pandas"})
