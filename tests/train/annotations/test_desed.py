"""DESED on disk: what is found of it, what is missing, and how that is reported."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamsed.events import Event
from train.annotations import desed_version
from train.annotations.desed import Desed, NoDesedError
from train.annotations.desed_layout import LAYOUT
from train.annotations.desed_version import UsedSubset, name_list
from train.annotations.event_lists import (
    digest,
    read_strong,
    write_names,
    write_strong,
)
from train.annotations.event_lists import write_weak as write_weak_list
from train.cli import app as cli
from train.metrics.intervals import merge_overlaps

STRONG = {
    "1.wav": [Event("Dog", 1.0, 2.0, 1.0), Event("Dog", 3.0, 3.5, 1.0)],
    "2.wav": [Event("Cat", 0.5, 4.0, 1.0)],
    "3.wav": [],
}
WEAK = {"w1.wav": ("Dog",), "w2.wav": ("Cat", "Dog")}


def write_clip(path, *, rate=44100, duration=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(rate)
    soundfile.write(path, 0.1 * rng.standard_normal(int(rate * duration)), rate)


@pytest.fixture
def folder(tmp_path):
    """A small DESED: a rate of its own for each clip, some missing, one damaged."""
    root = tmp_path / "desed"
    for path, _ in LAYOUT.values():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
    write_weak_list(root / LAYOUT["weak"][0], WEAK)
    write_names(root / LAYOUT["unlabel_in_domain"][0], ["u1.wav", "u2.wav"])
    write_strong(root / LAYOUT["synthetic"][0], STRONG)
    write_strong(root / LAYOUT["validation"][0], STRONG)
    write_clip(root / "audio/train/weak/w1.wav", rate=22050)
    write_clip(root / "audio/train/synthetic/1.wav", duration=10)
    write_clip(root / "audio/train/synthetic/2.wav", rate=48000, duration=3)
    (root / "audio/train/synthetic/3.wav").write_bytes(b"RIFF")
    write_clip(root / "audio/validation/1.wav")
    write_clip(root / "audio/validation/validation/2.wav")
    return root


def test_each_subset_knows_its_clips(folder):
    desed = Desed.load(folder)
    assert list(desed.subsets) == [
        "weak",
        "unlabel_in_domain",
        "synthetic",
        "validation",
    ]
    assert desed.labels == ("Cat", "Dog")
    weak, unlabelled = desed.subsets["weak"], desed.subsets["unlabel_in_domain"]
    assert (weak.truth, weak.missing) == (WEAK, ["w2.wav"])
    assert weak.count_labels() == {"Dog": 2, "Cat": 1}
    assert weak.count_labels(["w1.wav"]) == {"Dog": 1}
    assert unlabelled.truth == {"u1.wav": None, "u2.wav": None}
    assert (list(unlabelled.paths), unlabelled.count_labels()) == ([], {})
    assert desed.subsets["synthetic"].truth == STRONG


def test_a_list_is_named_by_all_that_it_lists_whatever_clips_are_there(
    folder, monkeypatch
):
    known = {digest(STRONG): "a known list", digest({"1.wav": STRONG["1.wav"]}): "less"}
    monkeypatch.setattr(desed_version, "KNOWN_LISTS", known)
    for name, subset in Desed.load(folder).subsets.items():
        is_known = name in ("synthetic", "validation")
        assert subset.version == ("a known list" if is_known else None)
    write_strong(folder / LAYOUT["validation"][0], {"1.wav": STRONG["1.wav"]})
    assert Desed.load(folder).subsets["validation"].version == "less"


def test_validation_clips_are_found_in_either_folder(folder):
    validation = Desed.load(folder).subsets["validation"]
    assert [path.parent.parent.name for path in validation.paths.values()] == [
        "audio",
        "validation",
    ]
    assert validation.missing == ["3.wav"]


def test_without_any_list_one_message_says_how_to_get_it(tmp_path):
    with pytest.raises(NoDesedError) as caught:
        Desed.load(tmp_path)
    message = str(caught.value)
    for part in (
        "apt install ffmpeg sox libsox-dev",
        "pip install desed",
        f'desed.download_real("{tmp_path}")',
        "https://doi.org/10.5281/zenodo.2583796",
        "GB",
        "hours",
        "python -m train --demo",
        f"python -m train data check {tmp_path}",
    ):
        assert part in message


@pytest.fixture
def check(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        words = ["train", "data", "check", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return caught.value.code, *capsys.readouterr()

    return run


def test_a_check_counts_what_is_there_and_what_the_loss_costs(check, folder, tmp_path):
    code, out, err = check(folder)
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert ["weak", "2", "1", "1", "0.00"] in [row[:5] for row in rows]
    assert ["synthetic", "3", "2", "1", "0.00"] in [row[:5] for row in rows]
    assert any("48000" in row and "44100" in row for row in rows)
    cat = next(" ".join(row) for row in rows if row[:1] == ["Cat"])
    assert cat == "Cat 1 (100 % lost) 1 (0 % lost) 1 (0 % lost) 3.50"
    missing = (tmp_path / "missing.tsv").read_text().splitlines()
    assert missing[0] == "filename\tsubset\treason"
    assert "w2.wav\tweak\tmissing" in missing
    assert "3.wav\tvalidation\tmissing" in missing
    for name in ("weak", "unlabel_in_domain", "synthetic", "validation"):
        assert f"{name} is a list of its own, not that of DESED 2019\n" in out
    damaged = next(row for row in missing if row.startswith("3.wav\tsynthetic\t"))
    assert "not a supported audio file" in damaged
    assert len(missing) == 1 + 5


def test_a_check_counts_every_sampling_frequency(check, folder):
    names = [f"r{i}.wav" for i in range(7)]
    write_names(folder / LAYOUT["unlabel_in_domain"][0], names)
    for name, rate in zip(
        names, [44100] * 3 + [48000] * 2 + [8000, 16000], strict=True
    ):
        write_clip(folder / "audio/train/unlabel_in_domain" / name, rate=rate)
    _, out, _ = check(folder)
    row = next(x for x in out.splitlines() if x.startswith("unlabel_in_domain "))
    assert row.endswith("44100 (3), 48000 (2), 8000 (1), others (1)")


def test_a_check_cuts_no_label_however_long_and_says_what_it_looked_for(
    check, folder, tmp_path
):
    labels = [f"A_label_of_some_forty_characters_number_{i}" for i in range(3)]
    clips = {f"{i}.wav": [Event(label, 0, 1, 1.0)] for i, label in enumerate(labels)}
    for name in ("synthetic", "validation"):
        write_strong(folder / LAYOUT[name][0], clips)
    write_strong(folder / LAYOUT["public"][0], clips)
    code, out, err = check(folder)
    assert (code, err) == (0, "")
    table = out[out.index("events or weak labels") :].splitlines()
    assert "…" not in out
    assert [line.split()[0] for line in table if line.startswith("A_label")] == labels
    assert table[0].split()[-5:] == [
        "weak",
        "synthetic",
        "validation",
        "public",
        "seconds",
    ]
    assert len(table[0]) > 100
    assert f"public has no clips: looked in {folder} for audio/eval/public" in out


def test_a_check_without_data_says_how_to_get_it(check, tmp_path):
    code, out, err = check(tmp_path / "nowhere")
    assert (code, out) == (2, "")
    assert "pip install desed" in err
    assert err.count("\n") > 10


@pytest.mark.parametrize(
    "arguments",
    [
        ["ablations", "--data=nowhere", "--run=run"],
        ["fit", "--data=nowhere", "--run=run"],
        ["--data=nowhere"],
        [],
    ],
)
def test_every_command_without_data_says_how_to_get_it(
    arguments, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    out, err = capsys.readouterr()
    assert (caught.value.code, out) == (2, "")
    assert err.startswith("There is no DESED 2019 in ")
    assert err.count("\n") > 10


def test_a_damaged_list_is_refused_by_its_line(check, folder):
    (folder / LAYOUT["weak"][0]).write_text("filename\tlabels\nw1.wav\tDog\n")
    code, out, err = check(folder)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "weak.tsv, line 1: the header " in err


@pytest.fixture(scope="session")
def metrics():
    """A folder with the younger validation list, beside that of the lists of 2019."""
    shared = Path(__file__).parents[4] / "shared"
    folder = Path(os.environ.get("STREAMSED_METRICS", shared / "metrics"))
    beside = folder.parent / "metadata_2019"
    if not ((folder / "validation.tsv").is_file() and beside.is_dir()):
        pytest.skip("STREAMSED_METRICS must name a folder with the validation lists")
    return folder


@pytest.fixture(scope="session")
def lists(metrics):
    """The real validation list in its two versions."""
    older = metrics.parent / "metadata_2019" / "validation" / "validation.tsv"
    return read_strong(older), read_strong(metrics / "validation.tsv")


def test_the_lists_of_2019_are_known_and_name_the_ten_labels(metrics, tmp_path):
    (tmp_path / "metadata").symlink_to(metrics.parent / "metadata_2019")
    desed = Desed.load(tmp_path)
    assert desed.labels == (
        *("Alarm_bell_ringing", "Blender", "Cat", "Dishes", "Dog"),
        *("Electric_shaver_toothbrush", "Frying", "Running_water", "Speech"),
        "Vacuum_cleaner",
    )
    assert list(desed.subsets) == list(LAYOUT)
    for name, subset in desed.subsets.items():
        size = len(subset.truth)
        assert UsedSubset(name, subset.version, size, size).is_listed_as_2019, name
        assert set(subset.count_labels()) in (set(), set(desed.labels)), name


def test_both_versions_of_the_validation_list_are_known_by_their_content(lists):
    older, younger = lists
    assert "4251 rows" in name_list(older)
    assert "4239 rows" in name_list(younger)
    assert name_list(younger | {"another.wav": []}) is None


def test_the_versions_of_the_validation_list_differ_in_overlaps_alone(lists):
    older, younger = lists
    joined = {name: merge_overlaps(events) for name, events in older.items()}
    assert name_list(joined) == name_list(younger) != name_list(older)
