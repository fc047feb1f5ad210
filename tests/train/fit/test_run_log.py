"""The log of a run: rows, rewinding, and TensorBoard where it is and where it is not."""

import sys
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.fit.run_log import RunLog


def test_rows_follow_one_header(tmp_path):
    log = RunLog(tmp_path)
    log.add("log", {"step": 50, "total": "0.50000"})
    log.add("log", {"step": 100, "total": "0.25000"})
    log.add("validation", {"step": 100, "a, b": 1.0})
    assert (tmp_path / "log.csv").read_text() == (
        "step,total\n50,0.50000\n100,0.25000\n"
    )
    assert (tmp_path / "validation.csv").read_text() == 'step,"a, b"\n100,1.0\n'


def test_a_second_process_continues_below_the_same_header(tmp_path):
    RunLog(tmp_path).add("log", {"step": 1, "total": 1})
    RunLog(tmp_path).add("log", {"step": 2, "total": 2})
    assert (tmp_path / "log.csv").read_text() == "step,total\n1,1\n2,2\n"


@given(steps=st.lists(st.integers(0, 50), max_size=12), to=st.integers(0, 50))
def test_rewinding_keeps_what_was_reported_until_then(tmp_path_factory, steps, to):
    folder = tmp_path_factory.mktemp("run")
    log, expected = RunLog(folder), RunLog(folder / "expected")
    (folder / "expected").mkdir()
    for name in ("log", "validation"):
        for step in sorted(steps):
            row = {"step": step, "label, with comma": f"{step / 7:.5f}"}
            log.add(name, row)
            if step <= to:
                expected.add(name, row)
    (folder / "notes.csv").write_text("not,mine\n")
    log.rewind(to)
    for name in ("log.csv", "validation.csv"):
        kept, wanted = folder / name, folder / "expected" / name
        assert kept.exists() == wanted.exists()
        assert not kept.exists() or kept.read_bytes() == wanted.read_bytes()
    assert (folder / "notes.csv").read_text() == "not,mine\n"


def test_without_tensorboard_one_line_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)  # importing it now fails
    with pytest.raises(ValueError, match="pip install tensorboard") as caught:
        RunLog(tmp_path, tensorboard=True)
    assert "\n" not in str(caught.value)
    RunLog(tmp_path).add("log", {"step": 1})


def test_tensorboard_gets_the_same_numbers(tmp_path, monkeypatch):
    reported = []

    class SummaryWriter:
        def __init__(self, folder):
            reported.append(folder)

        def add_scalar(self, *arguments):
            reported.append(arguments)

        def flush(self):
            reported.append("flush")

    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    log = RunLog(tmp_path, tensorboard=True)
    log.add("log", {"step": 50, "learning_rate": "1.00e-03"})
    assert reported == [
        str(tmp_path / "tensorboard"),
        ("log/step", 50.0, 50),
        ("log/learning_rate", 0.001, 50),
        "flush",
    ]
