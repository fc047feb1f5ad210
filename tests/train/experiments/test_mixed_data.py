"""The data that stand in for DESED: mixed once, and never of something else unsaid."""

import json
import shutil

import pytest

from train.annotations.event_lists import read_strong, write_strong
from train.experiments.mixed_data import ORIGIN, mix_data
from train.mixing.desed_like import Sizes
from train.mixing.toy_bank import write_bank

SIZES = Sizes(synthetic=1, weak=1, unlabelled=1, validation=1)


@pytest.fixture
def bank(tmp_path):
    return write_bank(tmp_path / "bank", n_recordings=5)


def mix(tmp_path, bank, *, lists=None, sizes=SIZES, seed=0):
    return mix_data(tmp_path / "run", bank, lists=lists, sizes=sizes, seed=seed)


def test_data_are_mixed_once_and_of_another_origin_refused(bank, tmp_path):
    data = mix(tmp_path, bank)
    clip = data / "audio" / "validation" / "00000.wav"
    before = clip.stat().st_mtime_ns
    assert mix(tmp_path, bank) == data
    assert clip.stat().st_mtime_ns == before
    with pytest.raises(
        ValueError, match=r"--run .*run: .* with another --seed; choose"
    ):
        mix(tmp_path, bank, seed=1)
    with pytest.raises(ValueError, match="with another --demo;"):
        mix(tmp_path, bank, sizes=Sizes(1, 1, 1, 2))
    lists = tmp_path / "lists"
    for name in ("train/synthetic", "validation/validation"):
        (lists / name).parent.mkdir(parents=True)
        truth = read_strong(data / "metadata" / f"{name}.tsv")
        write_strong(lists / f"{name}.tsv", truth)
    with pytest.raises(ValueError, match="with another --lists;"):
        mix(tmp_path, bank, lists=lists)
    (bank / "manifest.csv").write_text((bank / "manifest.csv").read_text() + "\n")
    with pytest.raises(ValueError, match="with another --soundbank;"):
        mix(tmp_path, bank)


def test_what_was_begun_is_mixed_anew_and_what_has_no_record_gets_one(bank, tmp_path):
    data = mix(tmp_path, bank)
    record = json.loads((data / ORIGIN).read_text())
    (data / ORIGIN).unlink()  # as data had none before
    assert json.loads((mix(tmp_path, bank) / ORIGIN).read_text()) == record
    shutil.rmtree(data / "metadata" / "validation")  # whose list is written last
    mix(tmp_path, bank, seed=1)
    assert json.loads((data / ORIGIN).read_text())["--seed"] == 1


@pytest.mark.parametrize("text", ["{", "[]", "null"])
def test_a_damaged_record_of_the_origin_is_refused_in_one_line(bank, tmp_path, text):
    (mix(tmp_path, bank) / ORIGIN).write_text(text)
    with pytest.raises(ValueError, match=rf"{ORIGIN}: damaged, .*choose another --run"):
        mix(tmp_path, bank)
