"""The examples run as they stand, and each is short enough to be read at a glance."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from environment import ENVIRONMENT, without

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def run(name, *arguments, env=ENVIRONMENT, timeout=300):
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=env,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "name",
    ["own_sink.py", "own_source.py", "batch_scores.py", "microphone.py", "stream.py"],
)
def test_an_example_has_forty_lines_at_most(name):
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) <= 40


@pytest.fixture(scope="module")
def streamed():
    return run("stream.py")


def test_a_stream_prints_its_events_as_they_close(streamed):
    lines = streamed.splitlines()
    assert any("Dog" in line for line in lines)
    times = [float(line.split()[1]) for line in lines if line[3:].strip()[0].isdigit()]
    assert times == sorted(times)


def test_the_python_interface_needs_nothing_that_only_posix_has(streamed):
    elsewhere = without("fcntl", "resource", "termios", "pty", "pwd", "grp")
    assert run("stream.py", env=elsewhere) == streamed


def test_a_sink_of_ones_own_gets_every_event():
    *events, sums = run("own_sink.py").splitlines()
    assert len(events) >= 5
    assert {"Dog:", "Speech:", "Alarm_bell_ringing:"} <= set(sums.split())


def test_a_source_of_ones_own_is_listened_to_with_its_hole():
    records = [json.loads(line) for line in run("own_source.py").splitlines()]
    (gap,) = [record for record in records if record["state"] == "gap"]
    assert gap["reason"] == "a second was lost"
    assert gap["offset"] - gap["onset"] == pytest.approx(1.0)
    labels = {record["label"] for record in records if record["state"] == "closed"}
    assert "Dog" in labels


def test_a_folder_is_scored_into_a_frame(tmp_path):
    pytest.importorskip("pandas")
    for name in ("dog.flac", "speech.flac"):
        shutil.copy(ROOT / "tests" / "data" / name, tmp_path / name)
    header, *rows = run("batch_scores.py", tmp_path).splitlines()
    assert header.split() == ["file", "dog.flac", "speech.flac"]
    scores = {row.split()[0]: [float(x) for x in row.split()[1:]] for row in rows}
    assert scores["Dog"][0] > 0.5 > scores["Dog"][1]
    assert scores["Speech"][1] > 0.5


@pytest.mark.live
def test_the_callback_of_a_microphone_feeds_the_detector(mic):
    dog, rate = soundfile.read(ROOT / "tests" / "data" / "dog.flac", dtype="float32")
    assert rate == mic.rate
    mic.play(np.tile(dog, 20)[: 60 * rate])
    assert "Dog" in run("microphone.py", 8, env=ENVIRONMENT | mic.environment)
