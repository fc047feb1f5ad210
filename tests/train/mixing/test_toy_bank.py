"""The bank made by arithmetic: what it holds, and that its sounds differ."""

import hashlib

import numpy as np
import pytest
import soundfile

from train.mixing.mixer import Mixer
from train.mixing.soundbank import Soundbank
from train.mixing.toy_bank import KINDS, RATE, write_bank


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_bank(tmp_path_factory.mktemp("bank"), n_recordings=5)


def fingerprint(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.*")
    }


def test_a_bank_has_all_kinds_in_all_splits(folder):
    for split, n_each in (("train", 3), ("validation", 1), ("heldout", 1)):
        bank = Soundbank.load(folder, split=split)
        assert bank.labels == tuple(KINDS)
        assert {len(clips) for clips in bank.foreground.values()} == {n_each}
        assert bank.background.keys() == {"noise"}


def test_no_recording_is_in_two_splits_or_in_none(folder):
    lines = (folder / "manifest.csv").read_text().splitlines()[1:]
    listed = sorted(line.split(",")[0] for line in lines)
    written = [path.relative_to(folder).as_posix() for path in folder.rglob("*.flac")]
    assert listed == sorted(written)
    contents = fingerprint(folder).values()
    assert len(set(contents)) == len(contents)


def test_equal_seeds_write_equal_banks(folder, tmp_path):
    again = fingerprint(write_bank(tmp_path / "again", n_recordings=5))
    assert again == fingerprint(folder)
    other = fingerprint(write_bank(tmp_path / "other", n_recordings=5, seed=1))
    assert other.keys() == again.keys()
    assert all(other[path] != again[path] for path in again if path.suffix == ".flac")


def test_recordings_are_of_one_level_and_do_not_clip(folder):
    for path in folder.rglob("*.flac"):
        samples, rate = soundfile.read(path)
        assert rate == RATE
        assert np.abs(samples).max() < 1.0
        assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.03, rel=0.05)


def test_two_kinds_are_long_and_three_are_short(folder):
    assert Mixer(Soundbank.load(folder)).palette.long_labels == {"Hissing", "Humming"}


@pytest.mark.parametrize("seed", range(8))
def test_kinds_differ_in_pitch_and_in_rhythm(seed):
    def centroid(label):
        spectrum = np.abs(np.fft.rfft(KINDS[label](np.random.default_rng(seed))))
        frequencies = np.linspace(0, RATE / 2, spectrum.size)
        return float((spectrum**2 @ frequencies) / (spectrum**2).sum())

    assert centroid("Humming") < 700
    assert 2000 < centroid("Chirping") < 9000
    assert centroid("Hissing") > 10000
    for label in ("Beeping", "Chirping", "Knocking"):
        samples = KINDS[label](np.random.default_rng(seed))
        assert samples.size < 3 * RATE
        assert samples.dtype == np.float32
