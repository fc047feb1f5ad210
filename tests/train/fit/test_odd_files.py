"""Training and what it is given: odd files are refused by name, full disks lose nothing."""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from faults import Faults

from train.annotations.event_lists import read_durations, read_strong
from train.fit.checkpoint import (
    LAST,
    load_trained,
    lock_run,
    read_checkpoint,
    save_atomically,
)
from train.fit.run_log import RunLog
from train.mixing.soundbank import Soundbank

ROOT = Path(__file__).parents[3]


@pytest.fixture
def bank(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 44100).astype(np.float32)
    for folder in ("foreground/Dog", "background/hum"):
        (tmp_path / folder).mkdir(parents=True)
        soundfile.write(tmp_path / folder / "a.wav", noise, 44100)
    return tmp_path


def test_a_manifest_without_splits_is_refused_by_name(bank):
    (bank / "manifest.csv").write_text("path,licence\nforeground/Dog/a.wav,CC0\n")
    with pytest.raises(
        ValueError, match=r"manifest\.csv, line 1: .* lacks the columns split"
    ):
        Soundbank.load(bank, split="train")
    assert Soundbank.load(bank).labels == ("Dog",)


def test_a_folder_that_cannot_be_printed_is_no_label(bank):
    (bank / "foreground" / "Dog").rename(bank / "foreground" / "Dog\x1b[2J")
    with pytest.raises(
        ValueError, match=r"x1b\[2J': the name of the folder is a label"
    ) as error:
        Soundbank.load(bank)
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            "a.wav\t0.0\t1e308\tDog",
            "offset must be at most 1e+07 (in seconds), not '1e308'",
        ),
        (
            "a.wav\t1e300\t1e308\tDog",
            "onset must be at most 1e+07 (in seconds), not '1e300'",
        ),
        (
            "a.wav\t0.0\t1.0\tDog\x1b[2J",
            "event_label must be a printable name, not 'Dog\\x1b[2J'",
        ),
    ],
)
def test_a_list_out_of_bounds_is_refused_by_its_line(tmp_path, row, reason):
    path = tmp_path / "list.tsv"
    path.write_text(f"filename\tonset\toffset\tevent_label\n{row}\n")
    with pytest.raises(ValueError, match="list") as error:
        read_strong(path)
    assert f"line 2: {reason}" in str(error.value)


def test_a_duration_of_an_age_is_refused(tmp_path):
    path = tmp_path / "durations.tsv"
    path.write_text("filename\tduration\na.wav\t1e308\n")
    with pytest.raises(ValueError, match="duration must be at most"):
        read_durations(path)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ([1, 2], "missing: config, labels, step"),
        ({}, "missing: config, labels, step"),
        ({"config": 3, "labels": [], "step": 1}, "missing: its settings"),
        (
            {"config": {}, "labels": 7, "step": 1},
            "the network is not that of its settings",
        ),
        (
            {"config": {}, "labels": ["Dog"], "step": 1},
            "the network is not that of its settings",
        ),
    ],
)
def test_an_odd_checkpoint_is_refused_by_name(tmp_path, state, reason):
    torch.save(state, tmp_path / LAST)
    with pytest.raises(ValueError, match=r"last\.pt") as error:
        load_trained(tmp_path, best=False)
    assert reason in str(error.value)


@pytest.mark.parametrize("cell", ["", "x", "1e3", "-1", "9" * 30])
def test_a_log_with_an_odd_step_is_refused_by_name(tmp_path, cell):
    (tmp_path / "log.csv").write_text(f"step,loss\n1,0.5\n{cell},0.4\n")
    with pytest.raises(ValueError, match=r"log\.csv: step must be a whole number"):
        RunLog(tmp_path).rewind(1)


# Full disks and kills.


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path):
    path = tmp_path / LAST
    state = {"config": {}, "labels": [], "step": 1}
    save_atomically(state, path)
    with (
        Faults(lambda *_: "full", calls=("fsync",)),
        pytest.raises(OSError, match="room"),
    ):
        save_atomically({**state, "step": 2}, path)
    assert read_checkpoint(path)["step"] == 1
    assert [each.name for each in tmp_path.iterdir()] == [LAST]


def test_a_full_disk_while_a_checkpoint_is_written_leaves_the_one_before(tmp_path):
    """A real limit of the system: no file may be larger than 100 kB."""
    code = (
        "import resource, torch; from pathlib import Path\n"
        "from train.fit.checkpoint import save_atomically\n"
        f"path = Path({str(tmp_path / LAST)!r})\n"
        "state = {'config': {}, 'labels': [], 'step': 1}\n"
        "save_atomically(state, path)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try: save_atomically({**state, 'weights': torch.zeros(100_000)}, path)\n"
        "except OSError as error: print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert "no room for the output" in run.stdout
    assert read_checkpoint(tmp_path / LAST)["step"] == 1
    assert [each.name for each in tmp_path.iterdir()] == [LAST]


def keep_saving(path):
    for step in range(1_000_000):
        weights = torch.full((20_000,), float(step))
        save_atomically(
            {"config": {}, "labels": [], "step": step, "weights": weights}, path
        )


def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(tmp_path):
    context = multiprocessing.get_context("fork")
    rng = np.random.default_rng(0)
    for _ in range(20):
        writer = context.Process(target=keep_saving, args=(tmp_path / LAST,))
        writer.start()
        while not (tmp_path / LAST).exists():
            time.sleep(0.001)
        time.sleep(float(rng.uniform(0, 0.1)))
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        state = read_checkpoint(tmp_path / LAST)
        assert (state["weights"] == state["step"]).all()


# Two trainings in one folder.


def test_what_a_killed_training_left_is_gone_when_the_next_begins(tmp_path):
    (tmp_path / ".best-0000007.pt.part").write_bytes(b"half")
    (tmp_path / LAST).write_bytes(b"whole")
    with lock_run(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {".lock", LAST}


def test_a_folder_is_trained_in_by_one_process_at_a_time(tmp_path):
    code = (
        "from pathlib import Path; from train.fit.checkpoint import lock_run\n"
        f"with lock_run(Path({str(tmp_path)!r})): print('held', flush=True); input()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert other.stdout.readline() == "held\n"
    with (
        pytest.raises(
            ValueError,
            match=rf"^{re.escape(str(tmp_path))}: in use by process {other.pid} "
            r"\(python -m train.*\); "
            "wait for it, or name another --run$",
        ),
        lock_run(tmp_path),
    ):
        pass
    other.kill()  # the system lets go of the lock
    other.communicate()
    with lock_run(tmp_path):
        pass
