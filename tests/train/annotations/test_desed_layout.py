"""Where DESED is found: as it is published, as it was, and what is said where it is not."""

import os
import shutil
from pathlib import Path

import pytest
from small_desed import write_desed

from train.annotations.desed import Desed, NoDesedError
from train.annotations.desed_layout import nearest
from train.annotations.desed_version import (
    KNOWN_LISTS,
    N_CLIPS_2019,
    UsedSubset,
    describe_data,
    name_list,
)
from train.annotations.event_lists import read_names, read_strong, read_weak

CLIPS = {"weak": 3, "unlabel_in_domain": 5, "synthetic": 4, "validation": 2}


def n_clips(folder):
    return {name: len(s.paths) for name, s in Desed.load(folder).subsets.items()}


@pytest.mark.parametrize("suffix", [".tsv", ".csv"])
@pytest.mark.parametrize("inside", ["", "dataset"])
def test_lists_are_found_under_both_suffixes_in_the_folder_or_its_dataset(
    tmp_path, suffix, inside
):
    write_desed(tmp_path / inside, suffix=suffix)
    assert n_clips(tmp_path) == CLIPS
    assert Desed.load(tmp_path).folder == tmp_path / inside


def test_lists_in_the_folder_itself_come_before_those_in_its_dataset(tmp_path):
    write_desed(tmp_path / "dataset")
    write_desed(tmp_path, suffix=".csv")
    assert Desed.load(tmp_path).folder == tmp_path


@pytest.mark.parametrize("name", ["metadata", "audio"])
def test_the_folder_of_lists_or_clips_stands_for_their_parent(
    tmp_path, monkeypatch, name
):
    write_desed(tmp_path)
    assert n_clips(tmp_path / name) == CLIPS
    monkeypatch.chdir(tmp_path / name)
    assert n_clips(Path()) == CLIPS


@pytest.mark.parametrize(
    "name", ["synthetic_2018", "synthetic20", "synthetic20/soundscapes"]
)
def test_synthetic_sets_are_found_under_their_other_names(tmp_path, name):
    write_desed(tmp_path)
    for old, new in (
        ("metadata/train/synthetic.tsv", f"metadata/train/{name}.tsv"),
        ("audio/train/synthetic", f"audio/train/{name}"),
    ):
        (tmp_path / new).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / old).rename(tmp_path / new)
    assert n_clips(tmp_path) == CLIPS


def test_the_set_of_2019_is_preferred_to_a_later_one(tmp_path):
    write_desed(tmp_path)
    later = tmp_path / "metadata" / "train" / "synthetic20.tsv"
    later.write_text("filename\tonset\toffset\tevent_label\nlater.wav\t\t\t\n")
    assert "later.wav" not in Desed.load(tmp_path).subsets["synthetic"].truth


def test_clips_of_another_year_are_never_taken_for_those_of_a_list(tmp_path):
    """They have the same names: `10.wav` is a clip of every year's synthetic set."""
    write_desed(tmp_path)
    train = tmp_path / "audio" / "train"
    shutil.copytree(train / "synthetic", train / "synthetic20" / "soundscapes")
    shutil.copytree(train / "synthetic", train / "synthetic20", dirs_exist_ok=True)
    (train / "synthetic" / "s1.wav").unlink()

    def found():
        return Desed.load(tmp_path).subsets["synthetic"]

    assert set(found().paths) == {"s0.wav", "s2.wav", "s3.wav"}
    assert {path.parent for path in found().paths.values()} == {train / "synthetic"}
    shutil.rmtree(train / "synthetic")
    assert not found().paths
    absence = Desed.load(tmp_path).explain_absence("synthetic")
    assert "for audio/train/synthetic, audio/train/synthetic_2018;" in absence
    lists = tmp_path / "metadata" / "train"
    (lists / "synthetic.tsv").rename(lists / "synthetic20.tsv")
    assert {path.parent for path in found().paths.values()} == {train / "synthetic20"}


def test_a_clip_that_is_in_both_folders_of_validation_is_taken_from_the_first(tmp_path):
    write_desed(tmp_path)
    audio = tmp_path / "audio" / "validation"
    (audio / "validation").mkdir()
    shutil.copy(audio / "v0.wav", audio / "validation")
    assert Desed.load(tmp_path).subsets["validation"].paths["v0.wav"].parent == audio


def test_what_is_not_found_is_reported_with_the_nearest_that_exists(tmp_path):
    write_desed(tmp_path)
    (tmp_path / "audio" / "train" / "weak").rename(tmp_path / "audio" / "train" / "wek")
    (tmp_path / "metadata" / "validation" / "validation.tsv").rename(
        tmp_path / "metadata" / "validation" / "valid.tsv"
    )
    desed = Desed.load(tmp_path)
    assert desed.explain_absence("synthetic") is None
    weak = desed.explain_absence("weak")
    assert weak == (
        f"no clips: looked in {tmp_path} for audio/train/weak; the nearest that exists "
        f"is {tmp_path}/audio/train/wek"
    )
    validation = desed.explain_absence("validation")
    assert f"{tmp_path}/metadata/validation/valid.tsv" in validation
    assert "metadata/validation/validation.tsv, " in validation


def test_a_misspelt_folder_is_answered_with_the_one_that_is_like_it(tmp_path):
    write_desed(tmp_path / "DESED_2019")
    with pytest.raises(NoDesedError, match="There is no DESED 2019 in ") as caught:
        Desed.load(tmp_path / "DESED-2019")
    assert f"The nearest that exists is {tmp_path}/DESED_2019." in str(caught.value)


def test_a_set_that_lies_deeper_is_named_not_taken(tmp_path):
    write_desed(tmp_path / "sets" / "DESED" / "dataset")
    (tmp_path / "sets" / "others").mkdir()
    with pytest.raises(NoDesedError) as caught:
        Desed.load(tmp_path / "sets")
    inside = tmp_path / "sets" / "DESED" / "dataset"
    assert f"The nearest that exists is {inside}." in str(caught.value)
    assert n_clips(inside) == CLIPS


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "desed.zip").write_text("")
    with pytest.raises(
        ValueError, match=r"desed\.zip: a file; name the folder that"
    ) as e:
        Desed.load(tmp_path / "desed.zip")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("there", ["W0.WAV", "w0.flac", ""])
def test_clips_under_other_names_are_not_reported_as_a_folder_that_is_missing(
    tmp_path, there
):
    write_desed(tmp_path)
    weak = tmp_path / "audio" / "train" / "weak"
    shutil.rmtree(weak)
    weak.mkdir()
    (weak / "a_folder").mkdir()  # is no clip
    if there:
        (weak / there).write_text("")
    assert Desed.load(tmp_path).explain_absence("weak") == (
        f"no clips: no file in {tmp_path} under audio/train/weak has a name of the list, "
        "such as w0.wav"
        if there
        else f"no clips: looked in {tmp_path} for audio/train/weak; the nearest that "
        f"exists is {weak}"
    )


def test_a_list_that_names_no_clip_is_the_reason(tmp_path):
    write_desed(tmp_path)
    weak = tmp_path / "metadata" / "train" / "weak.tsv"
    weak.write_text("filename\tevent_labels\n")
    assert (
        Desed.load(tmp_path).explain_absence("weak") == f"no clips: {weak} names none"
    )


def test_the_nearest_of_a_path_below_nothing_alike_is_the_folder_above(tmp_path):
    (tmp_path / "other").mkdir()
    assert nearest(tmp_path / "xyz" / "metadata") == tmp_path
    (tmp_path / "file").write_text("")
    assert nearest(tmp_path / "file" / "below") == tmp_path / "file"


def of_2019(**changes):
    versions = {
        "weak": "DESED weak 2019",
        "unlabel_in_domain": "DESED unlabelled 2019",
        "synthetic": "DESED synthetic 2019",
        "validation": "DESED validation 2019",
    }
    return [
        UsedSubset(name, version, N_CLIPS_2019[name], N_CLIPS_2019[name])
        for name, version in versions.items()
        if name not in changes
    ] + list(changes.values())


def test_only_the_whole_of_the_known_lists_is_called_desed_2019():
    whole = describe_data(of_2019())
    assert whole == (
        "Trained and measured on DESED 2019, all 19203 clips of its lists."
    )


@pytest.mark.parametrize(
    ("name", "subset", "words"),
    [
        ("validation", UsedSubset("validation", "x", 1168, 12), "Part of DESED 2019: "),
        ("weak", UsedSubset("weak", "x", 1578, 1577), "Part of DESED 2019: "),
        ("weak", UsedSubset("weak", "x", 1577, 1577), "Laid out like DESED: "),
        ("public", UsedSubset("public", "x", 692, 691), "Part of DESED 2019: "),
        ("weak", UsedSubset("weak", None, 1578, 1578), "Laid out like DESED: 19203 of"),
        (
            "weak",
            UsedSubset("weak", "x", 12, 12),
            "The list of weak is not that of DESED 2019.",
        ),
    ],
    ids=["12 of 1168", "one less", "one not listed", "public", "another list", "few"],
)
def test_anything_less_is_counted_and_warned_of(name, subset, words):
    said = describe_data(of_2019(**{name: subset}))
    assert words in said
    assert "Trained and measured on DESED 2019" not in said
    assert f"{name} {subset.n_used} of {subset.n_listed}" in said
    assert said.endswith("**Warning: these figures do not compare with the report's.**")


def test_whole_lists_without_a_set_that_should_have_been_trained_on_are_not_desed_2019():
    used = [each for each in of_2019() if each.name != "unlabel_in_domain"]
    assert describe_data(used).startswith("Trained and measured on DESED 2019, all ")
    said = describe_data(used, lacking=["unlabel_in_domain"])
    assert said.startswith("Part of DESED 2019: 4791 of 4791 clips")
    assert "Trained without the unlabel_in_domain clips." in said
    assert said.endswith("**Warning: these figures do not compare with the report's.**")


def test_lists_that_are_not_those_of_2019_are_enumerated():
    others = {
        name: UsedSubset(name, None, 1, 1) for name in ("weak", "synthetic", "public")
    }
    assert (
        "The lists of weak, synthetic and public are not those of DESED 2019."
        in describe_data(of_2019(**others))
    )


def test_the_real_lists_are_known_by_content_under_any_order():
    folder = Path(os.environ.get("STREAMSED_METADATA", "nowhere"))
    if not folder.is_dir():
        pytest.skip("STREAMSED_METADATA must name a folder with the lists of 2019")
    lists = {
        "weak": read_weak(folder / "train" / "weak.tsv"),
        "unlabel_in_domain": dict.fromkeys(
            read_names(folder / "train" / "unlabel_in_domain.tsv")
        ),
        "synthetic": read_strong(folder / "train" / "synthetic.tsv"),
        "validation": read_strong(folder / "validation" / "validation.tsv"),
        "public": read_strong(folder / "eval" / "public.tsv"),
    }
    for name, clips in lists.items():
        assert len(clips) == N_CLIPS_2019[name]
        backwards = dict(reversed(clips.items()))
        assert name_list(backwards) in KNOWN_LISTS.values()
        backwards.popitem()
        assert name_list(backwards) is None
