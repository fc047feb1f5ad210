"""The shipped model, on real sound: right labels at the right times, the same every way."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streamsed.audio.decode import file_chunks
from streamsed.config import StreamConfig
from streamsed.detector import Detector
from streamsed.events import Event
from streamsed.inference.model_file import find_model
from streamsed.recordings.detection import recut

ROOT = Path(__file__).parents[3]
SCENE = ROOT / "examples" / "scene.flac"
DATA = ROOT / "tests" / "data"


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load("default", device="cpu")


def overlap(a: Event, b: Event) -> float:
    """Intersection over union of two events of one label; 0 if the labels differ."""
    if a.label != b.label:
        return 0.0
    shared = min(a.offset, b.offset) - max(a.onset, b.onset)
    return max(0.0, shared) / (max(a.offset, b.offset) - min(a.onset, b.onset))


@pytest.mark.parametrize(
    ("clip", "label"),
    [
        ("dog.flac", "Dog"),
        ("speech.flac", "Speech"),
        ("alarm.flac", "Alarm_bell_ringing"),
    ],
)
def test_a_recording_of_one_sound_is_given_its_name(detector, clip, label):
    events = list(detector.events(file_chunks(DATA / clip)))
    longest = max(events, key=lambda event: event.duration)
    assert longest.label == label


def test_most_events_of_the_scene_are_found_where_they_are(detector):
    with (ROOT / "examples" / "scene.tsv").open(newline="") as stream:
        reference = [
            Event(row["event_label"], float(row["onset"]), float(row["offset"]), 1.0)
            for row in csv.DictReader(stream, delimiter="\t")
        ]
    estimated = list(detector.events(file_chunks(SCENE)))
    found = [max(overlap(r, e) for e in estimated) > 0.5 for r in reference]
    assert sum(found) > len(reference) / 2
    right = [max(overlap(r, e) for r in reference) > 0 for e in estimated]
    assert sum(right) >= len(estimated) / 2


def test_silence_has_no_events(detector):
    assert list(detector.events([np.zeros(15 * 44100, dtype=np.float32)])) == []


@pytest.mark.parametrize(
    "stream", [StreamConfig(), StreamConfig(step=0.5, latency=1.0)]
)
def test_the_stream_gives_what_the_file_gives(stream):
    detector = Detector.load("default", device="cpu", stream=stream)
    whole = np.concatenate(list(file_chunks(SCENE)))
    at_once = list(detector.events([whole]))
    assert at_once
    for seed in range(2):
        cut = recut(file_chunks(SCENE), np.random.default_rng(seed))
        assert list(detector.events(cut)) == at_once


def test_a_model_is_the_same_by_name_and_by_path(detector):
    by_path = Detector.load(find_model("default"), device="cpu")
    clip = list(file_chunks(DATA / "dog.flac"))
    assert list(by_path.events(clip)) == list(detector.events(clip))


def test_the_shipped_model_is_small():
    assert find_model("default").stat().st_size <= 8_000_000


def test_the_examples_run():
    for arguments in (
        ["examples/stream.py"],
        ["examples/compare.py", "examples/scene.flac", "examples/scene.tsv"],
    ):
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "Dog" in done.stdout
