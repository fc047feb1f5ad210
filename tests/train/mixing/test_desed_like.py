"""A data set made of other sounds: what was written is what DESED's reader finds."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsed.events import Event
from train.annotations.desed import Desed
from train.annotations.event_lists import read_strong, write_strong
from train.config.mixing import EVALUATION_MIXING
from train.mixing.desed_like import Sizes, imitate
from train.mixing.mixer import Mixer
from train.mixing.soundbank import Soundbank
from train.mixing.toy_bank import KINDS, write_bank

SIZES = Sizes(synthetic=3, weak=4, unlabelled=2, validation=3)
SUBSETS = {
    "weak": ("train/weak", "train/weak", 4),
    "unlabel_in_domain": ("train/unlabel_in_domain", "train/unlabel_in_domain", 2),
    "synthetic": ("train/synthetic", "train/synthetic", 3),
    "validation": ("validation", "validation/validation", 3),
}
"""Name to the folder of its audio, its list, and how many clips are asked for."""
STRONG = {
    "y1.wav": [Event("Beeping", 0.25, 1.5, 1.0), Event("Humming", 0.0, 10.0, 1.0)],
    "y2.wav": [],
    "y3.wav": [
        Event("Knocking", 2.125, 2.375, 1.0),
        Event("Knocking", 9.001, 9.9, 1.0),
    ],
}
REAL = {
    "r1.wav": [Event("Chirping", 3.333, 4.444, 1.0)],
    "r2.wav": [Event("Hissing", 0.5, 9.25, 1.0), Event("Beeping", 5.0, 5.25, 1.0)],
}


@pytest.fixture(scope="module")
def banks(tmp_path_factory):
    folder = write_bank(tmp_path_factory.mktemp("bank"), n_recordings=5)
    return [Soundbank.load(folder, split=split) for split in ("train", "validation")]


@pytest.fixture(scope="module")
def free(banks, tmp_path_factory):
    return imitate(tmp_path_factory.mktemp("free"), *banks, sizes=SIZES)


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lists")
    for name, clips in (("train/synthetic", STRONG), ("validation/validation", REAL)):
        (folder / name).parent.mkdir()
        write_strong(folder / f"{name}.tsv", clips)
    return folder


@pytest.fixture(scope="module")
def rebuilt(banks, lists, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rebuilt")
    return imitate(folder, *banks, sizes=SIZES, lists=lists)


def fingerprint(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.*")
    }


@pytest.mark.parametrize("name", SUBSETS)
def test_the_reader_of_desed_finds_every_clip(free, name):
    audio, _, n = SUBSETS[name]
    subset = Desed.load(free).subsets[name]
    assert len(subset.truth) == n
    assert subset.missing == []
    assert {path.parent for path in subset.paths.values()} == {free / "audio" / audio}
    written = sorted(path.name for path in (free / "audio" / audio).iterdir())
    assert written == sorted(subset.truth)


def test_every_clip_is_ten_seconds_of_what_desed_has(free):
    for path in free.rglob("*.wav"):
        info = soundfile.info(path)
        assert (info.frames, info.samplerate, info.channels) == (441000, 44100, 1)
        assert info.subtype == "PCM_16"


def test_strong_weak_and_unlabelled_clips_know_as_much_as_theirs_do(free):
    subsets = Desed.load(free).subsets
    for name in ("synthetic", "validation"):
        events = [event for clip in subsets[name].truth.values() for event in clip]
        assert all(0 <= e.onset < e.offset <= 10 and e.label in KINDS for e in events)
    for labels in subsets["weak"].truth.values():
        assert set(labels) <= set(KINDS)
        assert sorted(set(labels)) == list(labels)
    assert set(subsets["unlabel_in_domain"].truth.values()) == {None}


@pytest.mark.parametrize(
    ("name", "wanted"), [("synthetic", STRONG), ("validation", REAL)]
)
def test_lists_are_rebuilt_to_the_millisecond_and_in_their_order(rebuilt, name, wanted):
    got = Desed.load(rebuilt).subsets[name].truth
    assert list(got.values()) == [sorted(events) for events in wanted.values()]


def test_weak_clips_are_like_those_of_the_real_list(rebuilt):
    weak = Desed.load(rebuilt).subsets["weak"].truth
    assert len(weak) == SIZES.weak
    assert set(weak.values()) <= {("Chirping",), ("Beeping", "Hissing")}


def test_no_more_clips_are_rebuilt_than_asked_for(banks, lists, tmp_path):
    sizes = Sizes(synthetic=1, weak=0, unlabelled=0, validation=1)
    folder = imitate(tmp_path / "few", *banks, sizes=sizes, lists=lists)
    subsets = Desed.load(folder).subsets
    assert [len(subset.truth) for subset in subsets.values()] == [0, 0, 1, 1]


def test_equal_seeds_give_equal_bytes_and_others_do_not(banks, free, tmp_path):
    again = fingerprint(imitate(tmp_path / "again", *banks, sizes=SIZES))
    assert again == fingerprint(free)
    few = Sizes(synthetic=1, weak=1, unlabelled=1, validation=1)
    other = fingerprint(imitate(tmp_path / "other", *banks, sizes=few, seed=1))
    assert all(again[path] != other[path] for path in other if path.suffix == ".wav")


def test_a_smaller_set_is_the_beginning_of_a_larger_one(banks, free, tmp_path):
    few = Sizes(synthetic=1, weak=1, unlabelled=1, validation=1)
    small = fingerprint(imitate(tmp_path / "small", *banks, sizes=few))
    large = fingerprint(free)
    audio = [path for path in small if path.suffix == ".wav"]
    assert audio
    assert all(small[path] == large[path] for path in audio)


def test_training_clips_have_no_sound_of_the_validation_bank(banks, tmp_path):
    training, validation = banks
    silent = Soundbank(
        {label: validation.foreground[label] for label in ("Beeping",)}, {}, 44100
    )
    sizes = Sizes(synthetic=4, weak=0, unlabelled=0, validation=4)
    subsets = Desed.load(imitate(tmp_path, training, silent, sizes=sizes)).subsets
    assert set(subsets["validation"].count_labels()) <= {"Beeping"}
    assert set(subsets["synthetic"].count_labels()) - {"Beeping"}


def test_clips_without_events_are_no_weak_clips(banks, tmp_path):
    for name, clips in (
        ("train/synthetic", STRONG),
        ("validation/validation", {"a.wav": [], **REAL}),
    ):
        (tmp_path / name).parent.mkdir()
        write_strong(tmp_path / f"{name}.tsv", clips)
    sizes = Sizes(synthetic=0, weak=8, unlabelled=0, validation=0)
    folder = imitate(tmp_path / "set", *banks, sizes=sizes, lists=tmp_path)
    weak = Desed.load(folder).subsets["weak"]
    assert 0 < len(weak.truth) < 8
    assert all(weak.truth.values())
    written = sorted(path.name for path in (folder / "audio/train/weak").iterdir())
    assert written == sorted(weak.truth)


def test_a_list_with_a_label_that_the_bank_lacks_is_refused(banks, tmp_path):
    for name in ("train", "validation"):
        (tmp_path / name).mkdir()
    write_strong(
        tmp_path / "train/synthetic.tsv", {"a.wav": [Event("Cat", 0.0, 1.0, 1.0)]}
    )
    write_strong(tmp_path / "validation/validation.tsv", REAL)
    with pytest.raises(ValueError, match="no sounds of the label 'Cat'"):
        imitate(tmp_path / "set", *banks, sizes=SIZES, lists=tmp_path)


def test_lists_of_before_2020_are_rebuilt_alike_and_missing_ones_named(
    banks, lists, rebuilt, tmp_path
):
    older = tmp_path / "lists"
    shutil.copytree(lists, older)
    for path in older.rglob("*.tsv"):
        path.rename(path.with_suffix(".csv"))
    folder = imitate(tmp_path / "set", *banks, sizes=SIZES, lists=older)
    assert fingerprint(folder) == fingerprint(rebuilt)
    (older / "validation" / "validation.csv").unlink()
    with pytest.raises(
        ValueError,
        match=r"--lists .*lists: no validation/validation\.tsv or \.csv in it; name",
    ):
        imitate(tmp_path / "other", *banks, sizes=SIZES, lists=older)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(sorted(KINDS)), st.integers(0, 9900), st.integers(20, 5000)
    ),
    max_size=5,
)


@settings(max_examples=25)
@given(EVENTS)
def test_what_is_rebuilt_and_written_is_read_as_the_list_had_it(
    banks, tmp_path_factory, drawn
):
    # One event of each label, as those that overlap become one.
    rows = {label: (first, length) for label, first, length in drawn}
    layout = sorted(
        Event(label, first / 1000, min(first + length, 10000) / 1000, 1.0)
        for label, (first, length) in rows.items()
    )
    path = tmp_path_factory.getbasetemp() / "rebuilt.tsv"
    mixer = Mixer(banks[0], EVALUATION_MIXING)
    write_strong(
        path, {"a.wav": mixer.rebuild(layout, np.random.default_rng(0)).events}
    )
    assert read_strong(path) == {"a.wav": layout}


def test_several_processes_write_the_same_set(tmp_path):
    bank = write_bank(tmp_path / "bank", n_recordings=5)
    sizes = ["--synthetic=3", "--weak=3", "--unlabelled=2", "--validation=2"]
    for workers in ("1", "2"):
        command = [sys.executable, "-m", "train", "data", "imitate"]
        command += [tmp_path / workers, f"--soundbank={bank}", f"--workers={workers}"]
        log = tmp_path / f"log-{workers}"
        command += [f"--json-log={log}"]
        done = subprocess.run([*command, *sizes], check=True, capture_output=True)
        assert done.stderr == b""
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        ended = {e["task"]: e["done"] for e in lines if e["state"] == "ended"}
        assert list(ended.values()) == [3, 3, 2, 2]
        assert "mixing validation" in ended
    assert fingerprint(tmp_path / "1") == fingerprint(tmp_path / "2")


def test_an_interruption_of_all_processes_is_one_line(tmp_path):
    bank = write_bank(tmp_path / "bank", n_recordings=5)
    command = [sys.executable, "-m", "train", "data", "imitate", tmp_path / "set"]
    process = subprocess.Popen(
        [*command, f"--soundbank={bank}", "--workers=2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not list((tmp_path / "set").glob("audio/**/*.wav")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.startswith("train: interrupted; to continue, repeat the command")
    assert errors.count("\n") == 1
