"""Banks: what is left out, what belongs together, and two banks as one."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from train.mixing.soundbank import (
    Soundbank,
    known_splits,
    load_banks,
    read_leave_out,
)

RATE = 44100
ROWS = [
    ("foreground/Dog/a_1.wav", "train", "one", "a"),
    ("foreground/Dog/a_2.wav", "train", "one", "a"),
    ("foreground/Dog/b.wav", "train", "one", "b"),
    ("foreground/Dog/c.wav", "train", "two", "c"),
    ("foreground/Dog/d.wav", "train", "two", "d"),
    ("foreground/Dog/e.wav", "train", "two", "e"),
    ("background/fan/f.wav", "train", "two", "f"),
    ("foreground/Dog/v.wav", "validation", "two", "v"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bank")
    lines = ["path,split,source_repo,source_recording_id"]
    for index, row in enumerate(ROWS):
        path = folder / row[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        time = np.arange((index + 1) * RATE // 10) / RATE
        soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * time), RATE)
        lines.append(",".join(row))
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def lengths(bank):
    clips = [clip for group in bank.foreground.values() for clip in group]
    return sorted(round(clip.samples.size / RATE, 1) for clip in clips)


def test_recordings_know_their_source(folder):
    bank = Soundbank.load(folder, split="train")
    assert [clip.recording for clip in bank.foreground["Dog"]] == list("aabcde")
    assert [clip.source for clip in bank.foreground["Dog"]] == ["one"] * 3 + ["two"] * 3


def test_halves_share_no_recording_and_lose_none(folder):
    bank = Soundbank.load(folder, split="train")
    halves = bank.halves()
    found = [
        {clip.recording for clip in half.foreground.get("Dog", ())} for half in halves
    ]
    assert found[0] | found[1] == set("abcde")
    assert not found[0] & found[1]
    assert sorted(lengths(halves[0]) + lengths(halves[1])) == lengths(bank)


def test_a_bank_whose_recordings_fall_into_one_half_is_refused_in_a_line(folder):
    bank = Soundbank.load(folder, split="train")
    dogs = bank.foreground["Dog"]
    parts_of_one = replace(bank, foreground={"Dog": dogs[:2]})
    wanted = (
        r"^--soundbank: its 2 sounds with a label cannot be parted in two .*; add reco"
    )
    with pytest.raises(ValueError, match=wanted):
        parts_of_one.halves()


@pytest.mark.parametrize("place", ["Dog/barks/a.wav", "a.wav"])
def test_a_sound_whose_label_is_unclear_is_refused(place, tmp_path):
    path = tmp_path / "foreground" / place
    path.parent.mkdir(parents=True)
    soundfile.write(path, np.full(RATE, 0.5), RATE)
    with pytest.raises(
        ValueError,
        match=rf"^{re.escape(str(path))}: must lie in foreground/<Label>/ it",
    ):
        Soundbank.load(tmp_path)


def test_what_a_list_leaves_out_is_not_read(folder, tmp_path):
    table = tmp_path / "audit.csv"
    table.write_text(
        "path,decision,reason\n"
        "foreground/Dog/b.wav,drop,a whistle\n"
        "foreground/Dog/c.wav,keep-suspicious,faint\n"
        "background/fan/f.wav,contains:Speech,a voice\n"
        "foreground/Dog/d.wav,noncommercial,CC BY-NC\n"
    )
    left_out = read_leave_out(table, [folder])[folder]
    bank = Soundbank.load(folder, split="train", leave_out=left_out)
    assert [clip.recording for clip in bank.foreground["Dog"]] == list("aace")
    assert not bank.background
    whole = Soundbank.load(folder, leave_out=left_out)
    assert [clip.recording for clip in whole.foreground["Dog"]] == list("aacev")


def test_a_list_without_its_columns_is_named(tmp_path):
    path = tmp_path / "audit.csv"
    path.write_text("name,why\nx,y\n")
    with pytest.raises(ValueError, match=r"audit\.csv, line 1: .*path, decision"):
        read_leave_out(path, [])


def test_a_list_that_is_missing_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"none\.csv: no such file"):
        read_leave_out(tmp_path / "none.csv", [])


def test_a_row_of_one_bank_leaves_nothing_out_of_another(folder, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for each in (one, two):
        shutil.copytree(folder, each)
    b, c, d = (f"foreground/Dog/{name}.wav" for name in "bcd")
    table = tmp_path / "audit.csv"
    table.write_text(f"bank,path,decision\none,{b},drop\ntwo,{c},drop\n,{d},drop\n")
    left_out = read_leave_out(table, [one, two])
    assert left_out == {one: {b, d}, two: {c, d}}
    bank = load_banks(dict.fromkeys([one, two], "train"), leave_out=left_out)
    assert [clip.recording for clip in bank.foreground["Dog"]] == list("aaceaabe")
    assert read_leave_out(table, [one]) == {one: {b, d}}  # though it has two's c

    renamed = two.rename(tmp_path / "three")
    assert read_leave_out(table, [one, renamed]) == {one: {b, d}, renamed: {c, d}}
    assert read_leave_out(table, [renamed]) == {renamed: {b, c, d}}
    table.write_text(f"bank,path,decision\none,x.wav,drop\nfour,{c},drop\n")
    with pytest.raises(ValueError, match=r"none of its recordings, such as"):
        read_leave_out(table, [one])


def test_a_split_is_kept_apart_in_each_bank_that_has_a_manifest(folder, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    (other / "manifest.csv").unlink()
    train = lengths(Soundbank.load(folder, split="train"))
    whole = lengths(Soundbank.load(folder))
    banks = [folder, other]
    known = known_splits(banks, "train")
    assert lengths(load_banks(known)) == sorted(train + whole)
    assert lengths(load_banks(dict.fromkeys(banks))) == sorted(whole + whole)
    with pytest.raises(ValueError, match="--split train needs"):
        load_banks(dict.fromkeys(banks, "train"))


def test_banks_are_joined_label_by_label(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    bank = load_banks({folder: "train", other: "train"})
    assert len(bank.foreground["Dog"]) == 12
    assert len(bank.background["fan"]) == 2
