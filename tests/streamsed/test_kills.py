"""Commands killed at any moment: nothing is half-written, nothing that stood is lost.

A few kills by default; `make kills` does 1000 (STREAMSED_KILL_ROUNDS).
"""

import csv
import os
import random

import pytest
from environment import ENVIRONMENT
from fork_server import TRAINING, ForkServer
from kills import Clips, Killer, Log, scratch_files
from small_fit import fit_arguments

from train.fit.checkpoint import LAST, best_checkpoints, read_checkpoint
from train.mixing.toy_bank import write_bank

ROUNDS = int(os.environ.get("STREAMSED_KILL_ROUNDS", "10"))
SCENE = "examples/scene.flac"


@pytest.fixture(scope="module")
def server():
    server = ForkServer(TRAINING, environment=ENVIRONMENT)
    yield server
    server.close()


@pytest.fixture
def killer(server, tmp_path):
    folder = tmp_path / "written"
    folder.mkdir()
    killer = Killer(server, folder, random.Random(ROUNDS))
    yield killer
    print(f"{killer.n_killed} killed, {killer.n_ended} ended before")


def test_a_file_of_events_is_the_old_one_or_the_new_one(killer):
    output = killer.folder / "events.tsv"
    wholes = {}
    for label in ("Dog", "Speech"):
        settings = ["--label", label, "-o", output]
        assert killer.run("streamsed", "file", SCENE, *settings) == 0
        wholes[label] = output.read_bytes()
    assert len(set(wholes.values())) == 2
    for number in range(ROUNDS * 4 // 10):
        settings = ["--label", ("Dog", "Speech")[number % 2], "-o", output]
        killer.kill("streamsed", "file", SCENE, *settings)
        assert output.read_bytes() in wholes.values()
        assert scratch_files(killer.folder) in ([], [".events.tsv.part"])
    assert killer.run("streamsed", "file", SCENE, "--label", "Dog", "-o", output) == 0
    assert output.read_bytes() == wholes["Dog"]
    assert scratch_files(killer.folder) == []


def test_a_log_keeps_its_lines_and_every_clip_is_whole(killer):
    log, clips = Log(killer.folder / "log.jsonl"), Clips(killer.folder / "clips")
    command = ["listen", "--file", SCENE, "--pace", 0, "--step", 1, "--latency", 1]
    command += ["--settle", 1, "--log", log.path, "--save-clips", clips.folder]
    command += ["--save-speech", "--format", "jsonl"]
    assert killer.run("streamsed", *command) == 0
    n_events = sum(record["state"] == "closed" for record in log.check())
    assert len(clips.check()) == n_events > 3
    for _ in range(ROUNDS * 4 // 10):
        killer.kill("streamsed", *command)
        log.check()
        clips.check()
        assert len(scratch_files(killer.folder)) <= 1
    n_clips = len(clips.check())
    assert killer.run("streamsed", *command) == 0
    assert len(clips.check()) == n_clips + n_events
    assert log.check()[-1]["state"] == "stopped"
    assert scratch_files(killer.folder) == []


def test_a_training_continues_from_its_last_checkpoint(killer, tmp_path):
    bank, run = write_bank(tmp_path / "bank", n_recordings=5), killer.folder / "run"
    reached = 0

    def arguments(n_steps):
        more = ["--workers", 0, "--save-every", 0, "--steps", n_steps]
        return fit_arguments(bank, run, *more, *["--resume"] * bool(reached))

    assert killer.run("train", *arguments(3)) == 0
    reached = read_checkpoint(run / LAST)["step"]
    assert reached == 3
    for _ in range(ROUNDS * 2 // 10):
        killer.kill("train", *arguments(reached + 3))
        before, reached = reached, read_checkpoint(run / LAST)["step"]
        assert reached >= before
        assert len(best_checkpoints(run)) <= 5  # the one that is beaten goes last
        assert all(name.endswith(".part") for name in scratch_files(run))
    assert killer.run("train", *arguments(reached + 3)) == 0
    assert read_checkpoint(run / LAST)["step"] == reached + 3
    assert len(best_checkpoints(run)) == 4
    assert scratch_files(run) == []
    for name in ("log", "validation"):
        with (run / f"{name}.csv").open(newline="") as file:
            steps = [int(row["step"]) for row in csv.DictReader(file)]
        assert steps == sorted(set(steps))
