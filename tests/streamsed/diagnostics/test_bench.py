"""The bench: every engine that runs here, each in a process of its own, in turns."""

import numpy as np
import pytest

from streamsed.diagnostics.bench import Contender, in_turns, measure, requests
from streamsed.inference.cpu import available_cores
from streamsed.inference.model_file import ModelFile
from streamsed.inference.selection import EngineRequest
from streamsed.live.auto_step import MAX_LOAD


def test_what_is_measured_is_what_can_run(exported, older_model_path):
    cores = available_cores()
    found = requests(ModelFile.open(exported), EngineRequest("cpu"))
    assert {w.engine for w in found} == {"openvino", "onnx", "torchscript"}
    assert {w.threads for w in found} == {1, cores}
    assert len(set(found)) == len(found)
    one = requests(ModelFile.open(exported), EngineRequest("cpu", "onnx", "fp32", 3))
    assert one == [EngineRequest("cpu", "onnx", "fp32", 3)]
    old = requests(ModelFile.open(older_model_path), EngineRequest("cpu"))
    assert {(w.engine, w.precision) for w in old} == {("torchscript", "fp32")}


def test_a_row_says_what_its_engine_takes(exported):
    (row,) = measure(
        ModelFile.open(exported), EngineRequest("cpu", "onnx", "fp32", 1), n_rounds=3
    )
    assert (row.engine, row.precision, row.threads) == ("onnx", "fp32", 1)
    assert 0 < row.segment < row.load < 60
    assert row.real_time_factor == pytest.approx(row.segment / 5.0)
    assert row.segment / row.step <= MAX_LOAD or row.step == pytest.approx(10, abs=0.1)
    assert 20 < row.memory < 2000


def test_memory_is_that_of_the_engine_and_not_of_who_asks(exported):
    ballast = np.ones(100_000_000)  # 800 MB here must not be counted there
    (row,) = measure(
        ModelFile.open(exported), EngineRequest("cpu", "onnx", "fp32", 1), n_rounds=1
    )
    assert row.memory < 500
    assert ballast.sum() > 0


def test_contenders_take_turns_and_end(exported):
    contenders = [
        Contender(ModelFile.open(exported), EngineRequest("cpu", "onnx", "fp32", 1))
        for _ in "ab"
    ]
    in_turns(contenders, 2)
    assert [len(contender.seconds) for contender in contenders] == [2, 2]
    for contender in contenders:
        contender.close()
        with pytest.raises(ValueError, match="ended unexpectedly"):
            contender.score()


def test_an_engine_that_cannot_run_says_why(older_model_path):
    with pytest.raises(ValueError, match="of an older kind"):
        Contender(
            ModelFile.open(older_model_path), EngineRequest("cpu", "onnx", "fp32", 1)
        )


def test_the_command_prints_a_line_for_each(streamsed, exported):
    run = streamsed(
        *("bench", exported, "--engine", "onnx", "--precision", "fp32"),
        *("--threads", 1, "--rounds", 1),
    )
    heading, *lines = run.stdout.splitlines()
    assert heading.split()[:3] == ["engine", "precision", "threads"]
    line, model = lines
    assert model == f"model exported, sha256 {ModelFile.open(exported).sha256}"
    assert line.split()[:3] == ["onnx", "fp32", "1"]
    assert (run.stderr, run.returncode) == ("", 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rounds", "0"], "--rounds must be from 1 to 100000, not 0"),
        (
            ["--engine", "openvino"],
            "--engine openvino with precision=auto does not run here",
        ),
        (["--engine", "tvm"], "--engine must be auto"),
        (["--rounds", "1" + 20 * "0"], "--rounds must be from 1 to 100000, not 1000"),
    ],
)
def test_what_is_wrong_is_one_line(streamsed, older_model_path, arguments, words):
    run = streamsed("bench", older_model_path, *arguments)
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"streamsed: error: {words}")
    assert run.returncode == 2
