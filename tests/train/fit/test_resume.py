"""A run that is killed goes on to the same curve, to the last digit."""

import csv
import os
import subprocess
import sys
import time

import pytest
import torch
from small_fit import fit_arguments

from train.fit.checkpoint import LAST, best_checkpoints, read_checkpoint
from train.mixing.toy_bank import write_bank

N_STEPS = 60


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    return write_bank(tmp_path_factory.mktemp("bank"), n_recordings=5)


def start(bank, run, *more):
    """Start `python -m train fit` in a process of its own."""
    arguments = fit_arguments(bank, run, "--steps", N_STEPS, *more)
    return subprocess.Popen(
        [sys.executable, "-m", "train", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(process):
    _, errors = process.communicate(timeout=300)
    return process.returncode, errors


def rows(run, name):
    """What was logged, but for the clocks."""
    with (run / f"{name}.csv").open(newline="") as file:
        return [
            {k: v for k, v in row.items() if k not in ("minutes", "waited")}
            for row in csv.DictReader(file)
        ]


def wait_for(process, run, step):
    """Wait until a checkpoint of at least a step is there, and return its own."""
    while process.poll() is None:
        if (run / LAST).exists():
            reached = read_checkpoint(run / LAST)["step"]
            if reached >= step:
                return reached
        time.sleep(0.01)
    raise AssertionError(f"ended before step {step}: {process.stderr.read()}")


def test_killed_twice_and_resumed_is_as_if_never_interrupted(bank, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    uninterrupted = start(bank, whole, "--workers", "0")
    often = ("--workers", "1", "--save-every", "0")
    reached = []
    for step, more in ((1, ()), (20, ("--resume",))):
        process = start(bank, broken, *often, *more)
        try:
            reached.append(wait_for(process, broken, step))
        finally:
            process.kill()
            finish(process)
    assert reached[0] < reached[1] < N_STEPS
    assert finish(start(bank, broken, *often, "--resume")) == (0, "")
    assert finish(uninterrupted) == (0, "")

    assert [row["step"] for row in rows(whole, "log")] == ["50", "60"]
    assert rows(broken, "log") == rows(whole, "log")
    assert len(rows(whole, "validation")) == 20
    assert rows(broken, "validation") == rows(whole, "validation")
    first, second = (read_checkpoint(run / LAST) for run in (whole, broken))
    for part in ("network", "average", "evaluated"):
        for name, value in first[part].items():
            assert torch.equal(value, second[part][name]), f"{part}: {name}"
    names = [[path.name for path in best_checkpoints(run)] for run in (whole, broken)]
    assert names[0] == names[1]
    assert len(names[0]) == 4
