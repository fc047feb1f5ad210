"""Features on disk and the data set on top: whole after a kill, true to the clips."""

import fcntl
import os
import pickle
import subprocess
import sys
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
from torch.utils.data import DataLoader

from streamsed.config import FrontendConfig
from streamsed.events import Event
from streamsed.pipeline.frontend import Frontend, normalize
from train.annotations.desed import Subset
from train.datasets import feature_cache
from train.datasets.clip_features import log_mel, score_targets
from train.datasets.clips import ClipDataset, evaluation_set
from train.datasets.feature_cache import build_features, features_key
from train.datasets.scaling import Triple

SMALL = FrontendConfig(
    sample_rate=16000,
    n_fft=512,
    win_length=512,
    hop_length=160,
    n_mels=32,
    fmax=8000.0,
    segment_frames=64,
)
"""Segments of 0.64 s."""


Usage = namedtuple("Usage", "total used free")


def write_clips(folder, n_clips, *, duration=0.5, rate=16000):
    """Clips of noise, each a little louder than the one before."""
    rng = np.random.default_rng(0)
    paths = {}
    for index in range(n_clips):
        noise = rng.uniform(-1, 1, int(duration * rate)) * (index + 1) / n_clips
        paths[f"{index}.wav"] = folder / f"{index}.wav"
        soundfile.write(folder / f"{index}.wav", noise, rate, "FLOAT")
    return paths


def samples_of(path):
    return soundfile.read(path, dtype="float32")[0]


@pytest.fixture
def clips(tmp_path):
    (tmp_path / "audio").mkdir()
    return write_clips(tmp_path / "audio", 70)


def test_features_are_those_of_the_front_end(clips, tmp_path):
    built = build_features(tmp_path / "cache", "weak", clips, SMALL)
    assert list(built.rows) == list(clips)
    for name in ("0.wav", "35.wav", "69.wav"):
        expected = log_mel(samples_of(clips[name]), SMALL)
        np.testing.assert_allclose(built.read(name), expected, atol=0.032)


def test_any_sampling_frequency_and_length_will_do(tmp_path):
    (tmp_path / "audio").mkdir()
    paths = write_clips(tmp_path / "audio", 1, rate=44100, duration=2.0)
    built = build_features(tmp_path / "cache", "weak", paths, SMALL)
    at_rate = soxr.resample(samples_of(paths["0.wav"]), 44100, 16000)
    expected = log_mel(at_rate.astype(np.float32), SMALL)
    np.testing.assert_allclose(built.read("0.wav"), expected, atol=0.05)


@pytest.mark.parametrize("seconds", [0.01, 0.4, 0.64, 2.0])
def test_a_clip_is_the_beginning_of_a_recording_and_digital_silence(seconds):
    rng = np.random.default_rng(0)
    samples = rng.uniform(-1, 1, round(16000 * seconds)).astype(np.float32)
    frontend = Frontend(SMALL)
    frames = np.concatenate([frontend.push(samples), frontend.flush()])
    expected = np.full((64, 32), -100.0, np.float32)
    expected[: len(frames)] = frames[:64]
    np.testing.assert_array_equal(log_mel(samples, SMALL), expected)


def test_of_a_longer_clip_the_last_windows_reach_past_ten_seconds():
    """By up to 21 ms, as in a stream; a clip of ten seconds ends in zeros there."""
    samples = np.random.default_rng(0).uniform(-1, 1, 12 * 44100).astype(np.float32)
    longer, cut = (
        log_mel(each, FrontendConfig()) for each in (samples, samples[:441000])
    )
    differ = np.flatnonzero((longer != cut).any(axis=1))
    assert differ.tolist() == [1021, 1022, 1023]


def test_several_processes_build_what_one_builds(clips, tmp_path):
    reported = []
    one = build_features(
        tmp_path / "one", "weak", clips, SMALL, on_clips=reported.append
    )
    two = build_features(tmp_path / "two", "weak", clips, SMALL, n_processes=2)
    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.rows == two.rows
    assert reported == [0, 32, 64, 70]


KILLED = """
import os, signal, sys
from pathlib import Path
from streamsed.config import FrontendConfig
from train.datasets import feature_cache

read, n_read = feature_cache._beginning, 0

def dies(path, config):
    global n_read
    n_read += 1
    if n_read == 50:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(path, config)

feature_cache._beginning = dies
clips = {f"{i}.wav": Path(sys.argv[1]) / f"{i}.wav" for i in range(70)}
config = FrontendConfig.from_dict(eval(sys.argv[3]))
feature_cache.build_features(Path(sys.argv[2]), "weak", clips, config)
"""


def test_a_killed_build_continues_where_it_was(clips, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    arguments = [tmp_path / "audio", cache, repr(SMALL.to_dict())]
    command = [sys.executable, "-c", KILLED, *map(str, arguments)]
    killed = subprocess.run(command, check=False, timeout=120)
    assert killed.returncode < 0
    (done,) = cache.glob("*.done")
    marks = list(done.read_bytes())
    assert marks == [feature_cache.WHOLE] * 32 + [feature_cache.TO_DO] * 38
    read = []
    beginning = feature_cache._beginning
    monkeypatch.setattr(
        feature_cache,
        "_beginning",
        lambda path, config: read.append(path) or beginning(path, config),
    )
    resumed = build_features(cache, "weak", clips, SMALL)
    assert read == list(clips.values())[32:]
    whole = build_features(tmp_path / "other", "weak", clips, SMALL)
    assert resumed.path.read_bytes() == whole.path.read_bytes()
    assert build_features(cache, "weak", clips, SMALL) == resumed
    assert len(read) == 38 + 70  # the last build had nothing to do


def test_who_comes_second_waits_for_who_builds(clips, tmp_path):
    key = features_key(clips, SMALL)
    with (
        (tmp_path / f"weak-{key}.lock").open("w") as held,
        ThreadPoolExecutor() as pool,
    ):
        fcntl.flock(held, fcntl.LOCK_EX)
        second = pool.submit(build_features, tmp_path, "weak", clips, SMALL)
        with pytest.raises(NotYet):
            second.result(timeout=0.3)
        fcntl.flock(held, fcntl.LOCK_UN)
        assert len(second.result(timeout=60).rows) == 70


def test_a_clip_that_cannot_be_read_is_skipped_and_named(clips, tmp_path):
    clips["3.wav"].write_bytes(b"RIFF")
    built = build_features(tmp_path / "cache", "weak", clips, SMALL)
    assert built.skipped == ("3.wav",)
    assert list(built.rows) == [name for name in clips if name != "3.wav"]
    expected = log_mel(samples_of(clips["4.wav"]), SMALL)
    np.testing.assert_allclose(built.read("4.wav"), expected, atol=0.032)


def test_other_settings_or_clips_make_another_key(clips):
    key = features_key(clips, SMALL)
    assert features_key(dict(clips), SMALL) == key
    other = {"sample_rate": 16001, "n_fft": 1024, "win_length": 400, "hop_length": 161}
    other |= {"n_mels": 40, "fmin": 50.0, "fmax": 7000.0, "amin": 1e-9}
    other |= {"segment_frames": 32}
    for name, value in other.items():
        changed = FrontendConfig.from_dict(SMALL.to_dict() | {name: value})
        assert features_key(clips, changed) != key, name
    floor = FrontendConfig.from_dict(SMALL.to_dict() | {"top_db": 60.0})
    assert features_key(clips, floor) == key
    assert features_key({"0.wav": clips["0.wav"]}, SMALL) != key
    os.utime(clips["0.wav"], (1, 1))
    assert features_key(clips, SMALL) != key


def test_a_disk_that_is_too_small_is_reported_beforehand(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(
        feature_cache.shutil, "disk_usage", lambda _: Usage(2000, 1000, 1000)
    )
    with pytest.raises(
        OSError, match=r"features need 0\.0 GB, and only 0\.0 GB are free"
    ):
        build_features(tmp_path / "cache", "weak", clips, SMALL)


TRUTH = {
    "0.wav": [Event("Dog", 0.1, 0.3, 1.0), Event("Cat", 0.64, 0.9, 1.0)],
    "1.wav": ("Cat", "Dog"),
    "2.wav": None,
    "9.wav": [Event("Dog", 0.1, 0.3, 1.0)],
}


@pytest.fixture
def dataset(clips, tmp_path):
    paths = {name: Path(clips[name]) for name in ("0.wav", "1.wav", "2.wav")}
    subset = Subset("mixed", TRUTH, paths)
    built = build_features(tmp_path / "cache", "mixed", paths, SMALL)
    return ClipDataset(subset, built, ("Cat", "Dog", "Cow"), SMALL, Triple())


def test_an_example_holds_the_clip_and_its_truth(dataset, clips):
    assert dataset.names == ["0.wav", "1.wav", "2.wav"]  # 9.wav is missing
    strong, weak, unlabelled = (dataset[index] for index in range(3))
    frames = dataset.features.read("0.wav")
    assert torch.equal(strong["x"][0], torch.from_numpy(normalize(frames)))
    assert strong["x"].shape == (1, 64, 32)
    # Cat begins as the segment ends.
    expected = score_targets([TRUTH["0.wav"][0]], ("Cat", "Dog", "Cow"), 8, 0.08)
    assert strong["y"].numpy().tolist() == expected.tolist()
    assert weak["y"].amin(0).tolist() == weak["y"].amax(0).tolist() == [1, 1, 0]
    assert not unlabelled["y"].any()
    flags = [
        (bool(e["strong"]), bool(e["labelled"])) for e in (strong, weak, unlabelled)
    ]
    assert flags == [(True, True), (False, True), (False, False)]


def test_a_clip_longer_than_a_segment_is_measured_on_its_beginning_alone(tmp_path):
    (tmp_path / "audio").mkdir()
    paths = write_clips(tmp_path / "audio", 1, duration=2.0)
    heard = [Event("Dog", 0.1, 0.3, 1.0), Event("Dog", 0.5, 1.0, 1.0)]
    later = [Event("Dog", 0.64, 0.9, 1.0), Event("Dog", 1.2, 1.5, 1.0)]
    subset = Subset("validation", {"0.wav": [*heard, *later]}, paths)
    built = build_features(tmp_path / "cache", "validation", paths, SMALL)
    recordings = evaluation_set(ClipDataset(subset, built, ("Dog",), SMALL, Triple()))
    assert recordings.reference == [[heard[0], Event("Dog", 0.5, 0.64, 1.0)]]
    assert recordings.n_samples == (64 * 160,)


def test_rounded_down_a_short_event_may_have_no_frame():
    events = [Event("Dog", 0.1, 0.15, 1.0), Event("Cat", 0.15, 0.39, 1.0)]
    nearest = score_targets(events, ("Cat", "Dog"), 5, 0.08)
    assert nearest.T.tolist() == [[0, 0, 1, 1, 1], [0, 1, 0, 0, 0]]
    down = score_targets(events, ("Cat", "Dog"), 5, 0.08, rounding="down")
    assert down.T.tolist() == [[0, 1, 1, 1, 0], [0, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("onset", "frame"), [(0.0, 0), (0.10, 1), (0.13, 2), (0.395, 4)]
)
def test_an_event_has_a_frame_however_short_it_is(onset, frame):
    event = Event("Cat", onset, onset + 0.004, 1.0)
    target = score_targets([event], ("Cat",), 5, 0.08)
    assert np.flatnonzero(target).tolist() == [frame]


def test_labels_are_counted_over_the_clips_that_are_there(dataset):
    assert dataset.count_labels() == [2, 2, 0]


def test_a_label_without_a_column_is_refused(dataset):
    with pytest.raises(ValueError, match=r"labels Cat lack those of mixed: Dog"):
        ClipDataset(dataset.subset, dataset.features, ("Cat",), SMALL, Triple())
    with pytest.raises(ValueError, match=r"lack those of mixed: Cat, Dog$"):
        ClipDataset(dataset.subset, dataset.features, ("Cow",), SMALL, Triple())


def test_a_data_set_travels_to_workers_without_its_features(dataset):
    assert len(pickle.dumps(dataset)) < 20_000
    (batch,) = DataLoader(dataset, batch_size=3)
    assert batch["x"].shape == (3, 1, 64, 32)
    assert batch["labelled"].tolist() == [True, True, False]
