import csv
import os
from pathlib import Path

import numpy as np
import pytest

from streamsed.events import Event
from streamsed.pipeline.stitcher import ScoreFrames
from streamsed.pipeline.trace import Trace
from streamsed.recordings.detection import Detection, Recording
from streamsed.recordings.formats import FORMATS
from streamsed.recordings.outputs import Outputs


def recordings_of(*names):
    return [Recording(Path("/somewhere") / name, name) for name in names]


def found_in(recording, n_score_frames=3):
    trace = Trace()
    scores = np.full((n_score_frames, 2), 0.25, np.float32)
    trace.add_scores(ScoreFrames(scores, scores[:, 0]))
    events = [Event("Dog", 0.0, 0.1, 0.25)]
    return Detection(recording, events, n_score_frames * 3448, trace)


def deliver(outputs, recordings, model):
    outputs.check(recordings)
    detections = [found_in(recording) for recording in recordings]
    for found in detections:
        outputs.write_trace(found, model.info)
    outputs.write_events(detections)


def files_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_gets_a_file_per_recording(model, tmp_path, name):
    deliver(Outputs(name, tmp_path), recordings_of("a.wav", "b.c.flac"), model)
    suffix = FORMATS[name].suffix
    assert files_in(tmp_path) == ["a" + suffix, "b.c" + suffix]
    assert "Dog" in (tmp_path / ("a" + suffix)).read_text()


@pytest.mark.parametrize(
    ("name", "written"),
    [("a.csv", "csv"), ("a.CSV", "csv"), ("a.jsonl", "jsonl"), ("a.tsv", "tsv"),
     ("a.txt", "tsv"), ("a", "tsv")],
)  # fmt: skip
def test_the_suffix_of_the_file_is_the_format_unless_one_is_given(
    tmp_path, name, written
):
    assert Outputs(None, tmp_path / name).format is FORMATS[written]
    assert Outputs("raven", tmp_path / name).format is FORMATS["raven"]


@pytest.mark.parametrize("name", ["a.json", "a.XLSX", "a.parquet"])
def test_a_name_that_promises_another_format_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"a\.\w+: \.\w+ is not among the formats"):
        Outputs(None, tmp_path / name).check([])
    Outputs("jsonl", tmp_path / name).check([])
    (tmp_path / name).mkdir()
    Outputs(None, tmp_path / name).check([])


def test_the_suffix_of_a_folder_is_no_format(tmp_path):
    folder = tmp_path / "night.csv"
    assert Outputs(events=folder, folders=frozenset([folder])).format is FORMATS["tsv"]
    folder.mkdir()
    assert Outputs(events=folder).format is FORMATS["tsv"]


def test_folders_inside_the_folder_are_made_for_all_outputs(model, tmp_path):
    for name in ("events", "scores"):
        (tmp_path / name).mkdir()
    outputs = Outputs("tsv", tmp_path / "events", tmp_path / "scores")
    deliver(outputs, recordings_of("sub/deep/a.wav", "sub/b.wav"), model)
    assert files_in(tmp_path) == [
        "events/sub/b.tsv",
        "events/sub/deep/a.tsv",
        "scores/sub/b.scores.tsv",
        "scores/sub/deep/a.scores.tsv",
    ]


@pytest.mark.parametrize("name", ["new/labels", "new.d"])
def test_a_folder_that_does_not_exist_is_made(model, tmp_path, name):
    folder = tmp_path / name
    outputs = Outputs("audacity", folder, folder, folders=frozenset([folder]))
    deliver(outputs, recordings_of("a.wav"), model)
    assert files_in(folder) == ["a.scores.tsv", "a.txt"]


def test_a_name_without_suffix_is_a_folder_where_there_must_be_one(model, tmp_path):
    labels = tmp_path / "labels"
    deliver(Outputs("audacity", labels), recordings_of("a.wav", "b.wav"), model)
    assert files_in(labels) == ["a.txt", "b.txt"]
    one = tmp_path / "one"
    deliver(Outputs("audacity", one), recordings_of("a.wav"), model)
    assert one.is_file()


def test_no_folder_is_made_if_anything_is_wrong(tmp_path):
    outputs = Outputs("tsv", tmp_path / "new" / "a.tsv", tmp_path / "new" / "a.tsv")
    with pytest.raises(ValueError, match="would be written twice"):
        outputs.check(recordings_of("a.wav"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["audacity", "raven"])
def test_recordings_are_not_mixed_where_no_line_says_whose_it_is(form):
    """Of these formats, a file is of one recording; standard output is one file."""
    outputs = Outputs(form)
    outputs.check(recordings_of("a.wav"))
    with pytest.raises(
        ValueError, match=f"{form}: 2 recordings .* add --output FOLDER/"
    ):
        outputs.check(recordings_of("a.wav", "b.wav"))


def test_one_file_holds_many_recordings(model, tmp_path):
    path = tmp_path / "all.csv"
    deliver(Outputs("csv", path), recordings_of("a.wav", "b.wav"), model)
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["filename"] for row in rows] == ["a.wav", "b.wav"]


@pytest.mark.parametrize("name", ["../a.wav", "x/../../a.wav", "/elsewhere/a.wav"])
def test_a_name_that_leads_out_of_the_folder_stays_inside(model, tmp_path, name):
    folder = tmp_path / "out" / "deep"
    folder.mkdir(parents=True)
    deliver(Outputs("tsv", folder), recordings_of(name), model)
    assert files_in(tmp_path) == ["out/deep/a.tsv"]


def test_events_go_to_stdout_as_each_recording_is_done(capsys):
    outputs = Outputs("tsv")
    seen = []

    def detections():
        for recording in recordings_of("a.wav", "b.wav"):
            seen.append(capsys.readouterr().out)
            yield found_in(recording)

    outputs.write_events(detections())
    seen.append(capsys.readouterr().out)
    assert "a.wav\t0.000\t0.100\tDog\n" in seen[1]
    assert seen[2] == "b.wav\t0.000\t0.100\tDog\n"


def test_a_pipe_gets_tsv_unless_asked_otherwise(capsys):
    outputs = Outputs()
    assert outputs.format is FORMATS["tsv"]
    outputs = Outputs("table")
    outputs.write_events(map(found_in, recordings_of("a[b].wav")))
    shown = capsys.readouterr().out
    assert "a[b].wav" in shown
    assert "Dog" in shown
    assert "0.100" in shown


@pytest.mark.parametrize(
    ("outputs", "names", "message"),
    [
        (
            ("xml",),
            "a.wav",
            "--format must be table, tsv, csv, jsonl, audacity or raven",
        ),
        (("table", "a.txt"), "a.wav", "--format table is for the terminal"),
        (
            ("audacity", "a.txt"),
            "a.wav b.wav",
            "--output .*a.txt: 2 recordings need a folder",
        ),
        (("raven", "a.txt"), "a.wav b.wav", "2 recordings need a folder"),
        (
            (None, None, "a.txt"),
            "a.wav b.wav",
            "--scores .*a.txt: 2 recordings need a folder",
        ),
        (
            (None, None, None, "a.png"),
            "a.wav b.wav",
            "--plot .*a.png: 2 recordings need a folder",
        ),
        (
            (None, None, None, "a.foo"),
            "a.wav",
            r"--plot .*a\.foo: the name must end in \.png, \.svg or \.pdf",
        ),
        ((None, None, None, "a"), "a.wav", r"--plot .*a: the name must end in \.png"),
        (
            ("tsv", ""),
            "a.wav a.flac",
            r"a\.tsv would be written twice",
        ),
        (("tsv", ""), "a.wav a.flac b.wav", r"a\.tsv would be written twice"),
        (("tsv", ""), "/x/a.wav /y/a.wav", r"a\.tsv would be written twice"),
        (
            ("tsv", "", ""),
            "a.wav a.scores.wav",
            r"a\.scores\.tsv would be written twice",
        ),
        (("tsv", "a.tsv", "a.tsv"), "a.wav", r"a\.tsv would be written twice"),
        (
            ("tsv", "a.tsv", None, "b/../a.tsv"),
            "a.wav",
            r"a\.tsv would be written twice",
        ),
        (
            ("tsv", "file/a.tsv"),
            "a.wav",
            r"--output .*a\.tsv: .*file is a file, not a folder",
        ),
    ],
)
def test_what_cannot_work_is_reported_before_any_work(
    tmp_path, outputs, names, message
):
    (tmp_path / "b").mkdir()
    (tmp_path / "file").touch()
    form, *places = outputs
    places = [None if place is None else tmp_path / place for place in places]
    with pytest.raises((ValueError, OSError), match=message):
        Outputs(form, *places).check(recordings_of(*names.split()))


@pytest.mark.parametrize("place", ["new/a.SVG", "a.pdf", "", "/dev/null"])
def test_a_plot_has_a_format_in_a_file_a_folder_and_a_device(tmp_path, place):
    Outputs("tsv", plot=tmp_path / place).check(recordings_of("a.wav"))


def test_without_matplotlib_a_plot_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr("streamsed.plots.picture_file.find_spec", lambda _: None)
    outputs = Outputs("tsv", tmp_path / "new" / "a.tsv", plot=tmp_path / "a.png")
    with pytest.raises(ModuleNotFoundError, match=r"--plot needs Matplotlib: pip inst"):
        outputs.check(recordings_of("a.wav"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [1, 2, 3])
def test_a_recording_is_never_overwritten(tmp_path, option):
    path = tmp_path / "a.wav"
    path.touch()
    (tmp_path / "link").symlink_to(path)
    for place in (path, tmp_path / "link", tmp_path / "x" / ".." / "a.wav"):
        (tmp_path / "x").mkdir(exist_ok=True)
        places = [None, None, None]
        places[option - 1] = place
        with pytest.raises(ValueError, match="is one of the recordings"):
            Outputs(None, *places).check([Recording(path, "a.wav")])


def test_the_same_device_may_take_everything():
    null = Path("/dev/null")
    Outputs("tsv", null, null).check(recordings_of("a.wav"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_not_writable_is_refused(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(PermissionError, match="cannot write to"):
        Outputs("tsv", tmp_path / "a.tsv").check(recordings_of("a.wav"))


def test_scores_are_written_beside_the_events(model, tmp_path):
    outputs = Outputs("tsv", tmp_path / "a.tsv", tmp_path / "a.scores.tsv")
    assert outputs.needs_trace
    deliver(outputs, recordings_of("a.wav"), model)
    header, *rows = (tmp_path / "a.scores.tsv").read_text().splitlines()
    assert header == "onset\toffset\tSpeech\tDog"
    assert len(rows) == 3
    assert rows[0].endswith("\t0.250000\t0.250000")
    assert not Outputs("tsv", tmp_path / "a.tsv").needs_trace


def test_an_error_while_detecting_leaves_the_old_file(tmp_path):
    path = tmp_path / "all.tsv"
    path.write_text("old")

    def detections():
        yield found_in(*recordings_of("a.wav"))
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        Outputs("tsv", path).write_events(detections())
    assert path.read_text() == "old"
    assert files_in(tmp_path) == ["all.tsv"]
