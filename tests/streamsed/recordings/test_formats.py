import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streamsed.atomic_write import check_writable, replacing, write
from streamsed.config import FrontendConfig
from streamsed.events import Event
from streamsed.recordings.formats import FORMATS, lines, score_lines

RESULTS = [
    (
        "a.wav",
        [Event("Dog", 0.5, 1.25, 0.875), Event("Alarm bell, loud", 2.0, 2.0625, 0.25)],
    ),
    ("empty.wav", []),
    ("b.wav", [Event("Cat", 1 / 3, 2 / 3, 1.0)]),
]
ODD_NAMES = [
    "a\tb.wav",
    "a\nb.wav",
    "a\rb.wav",
    'say "hi".wav',
    "a,b.wav",
    "café 音.wav",
    " a .wav",
]


def text_of(name, results=RESULTS):
    return "".join(lines(FORMATS[name], results))


def table_of(text, delimiter="\t"):
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


def test_tsv_is_the_challenges_with_a_line_for_a_recording_without_events():
    assert text_of("tsv").splitlines() == [
        "filename\tonset\toffset\tevent_label",
        "a.wav\t0.500\t1.250\tDog",
        "a.wav\t2.000\t2.062\tAlarm bell, loud",
        "empty.wav\t\t\t",
        "b.wav\t0.333\t0.667\tCat",
    ]


def test_csv_is_read_back_by_a_csv_reader():
    rows = table_of(text_of("csv"), ",")
    assert [row["filename"] for row in rows] == ["a.wav", "a.wav", "b.wav"]
    assert rows[1] == {
        "filename": "a.wav",
        "onset": "2.000",
        "offset": "2.062",
        "label": "Alarm bell, loud",
        "score": "0.2500",
    }


def test_jsonl_is_an_object_per_event():
    rows = [json.loads(line) for line in text_of("jsonl").splitlines()]
    assert rows[0] == {
        "filename": "a.wav",
        "label": "Dog",
        "onset": 0.5,
        "offset": 1.25,
        "score": 0.875,
    }
    assert len(rows) == 3
    assert rows[2]["onset"] == pytest.approx(1 / 3, abs=1e-6)


def test_audacity_gives_a_label_track():
    assert text_of("audacity", RESULTS[:1]) == (
        "0.500000\t1.250000\tDog\n2.000000\t2.062500\tAlarm bell, loud\n"
    )


def test_raven_gives_a_selection_table():
    rows = table_of(text_of("raven", RESULTS[:1]))
    assert [row["Selection"] for row in rows] == ["1", "2"]
    assert rows[0] == {
        "Selection": "1",
        "View": "Spectrogram 1",
        "Channel": "1",
        "Begin Time (s)": "0.500000",
        "End Time (s)": "1.250000",
        "Low Freq (Hz)": "0.0",
        "High Freq (Hz)": "22050.0",
        "Annotation": "Dog",
        "Score": "0.8750",
        "Begin Path": "a.wav",
    }


@pytest.mark.parametrize("name", FORMATS)
def test_a_recording_without_events_leaves_a_header_at_most(name):
    form = FORMATS[name]
    expected = [form.header] if form.header else []
    if form.empty is not None:
        expected.append("empty.wav\t\t\t")
    assert text_of(name, RESULTS[1:2]).splitlines() == expected


@pytest.mark.parametrize("filename", ODD_NAMES)
def test_an_odd_file_name_does_not_break_a_table(filename):
    results = [(filename, RESULTS[0][1]), (filename, [])]
    for name, delimiter, column, n_rows in (
        ("tsv", "\t", "filename", 3),
        ("csv", ",", "filename", 2),
        ("raven", "\t", "Begin Path", 2),
    ):
        rows = table_of(text_of(name, results), delimiter)
        assert [row[column] for row in rows] == [filename] * n_rows
        assert all(None not in row and None not in row.values() for row in rows)
    rows = [json.loads(line) for line in text_of("jsonl", results).splitlines()]
    assert [row["filename"] for row in rows] == [filename] * 2


def test_lines_come_as_recordings_are_done():
    done = []

    def results():
        for result in RESULTS:
            done.append(result[0])
            yield result

    stream = lines(FORMATS["tsv"], results())
    next(stream)
    assert done == []
    next(stream)
    assert done == ["a.wav"]


@pytest.mark.parametrize("n_samples", [1, 3447, 3448, 3449, 10_000, 441_000])
def test_a_score_file_has_no_gaps_and_ends_with_the_recording(n_samples):
    grid = FrontendConfig()
    n_frames = -(-(1 + n_samples // 431) // 8)
    scores = np.random.default_rng(0).random((n_frames, 2), dtype=np.float32)
    text = "".join(score_lines(scores, ("Dog", "Cat"), grid, n_samples))
    rows = table_of(text)
    assert list(rows[0]) == ["onset", "offset", "Dog", "Cat"]
    edges = [rows[0]["onset"], *(row["offset"] for row in rows)]
    assert edges[:-1] == [row["onset"] for row in rows]
    assert edges[0] == "0.000000"
    assert float(edges[-1]) == pytest.approx(n_samples / 44100, abs=1e-6)
    assert len(edges) == -(-n_samples // grid.score_frame_length) + 1
    for row, (dog, cat) in zip(rows, scores, strict=False):
        assert float(row["Dog"]) == pytest.approx(dog, abs=1e-6)
        assert float(row["Cat"]) == pytest.approx(cat, abs=1e-6)


def test_a_file_is_written_whole_with_the_usual_permissions(tmp_path):
    path = tmp_path / "a.tsv"
    write(path, ["one\n", "zwei ü\n"])
    assert path.read_text(encoding="utf-8") == "one\nzwei ü\n"
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode
    write(path, ["new\n"])
    assert path.read_text() == "new\n"
    assert sorted(tmp_path.iterdir()) == [path, plain]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("existed", [True, False])
def test_what_breaks_in_the_middle_leaves_the_old_file_and_nothing_else(
    tmp_path, error, existed
):
    path = tmp_path / "a.tsv"
    if existed:
        path.write_text("old")

    def content():
        yield "new\n" * 10_000
        raise error

    with pytest.raises(error):
        write(path, content())
    assert list(tmp_path.iterdir()) == ([path] if existed else [])
    assert not existed or path.read_text() == "old"


def test_what_a_killed_writer_left_is_used_by_the_next_and_is_gone_then(tmp_path):
    path = tmp_path / "a.tsv"
    code = (
        "import os, signal; from pathlib import Path\n"
        "from streamsed.atomic_write import replacing\n"
        f"with replacing(Path({str(path)!r})) as scratch:\n"
        "    scratch.write_text('half of a long line')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [each.name for each in tmp_path.iterdir()] == [".a.tsv.part"]
    write(path, ["new\n"])
    assert path.read_text() == "new\n"
    assert list(tmp_path.iterdir()) == [path]


def test_two_who_write_the_same_file_at_once_both_write_it_whole(tmp_path):
    path = tmp_path / "a.tsv"
    with replacing(path) as first, replacing(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # whose name it got last
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "kind", ["link", "dangling link", "hard link", "folder", "pipe"]
)
def test_what_a_stranger_laid_in_the_place_of_a_scratch_file_is_left_alone(
    tmp_path, kind
):
    path, trap, victim = (tmp_path / n for n in ("a.tsv", ".a.tsv.part", "victim"))
    if kind == "dangling link":
        trap.symlink_to(victim)
    elif kind == "folder":
        trap.mkdir()
    elif kind == "pipe":
        os.mkfifo(trap)
    else:
        victim.write_text("precious")
        (trap.symlink_to if kind == "link" else trap.hardlink_to)(victim)
    write(path, ["new\n"])
    assert path.read_text() == "new\n"
    assert trap in tmp_path.iterdir()
    assert not victim.exists() or victim.read_text() == "precious"
    assert victim.exists() == (kind in ("link", "hard link"))


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("old")

    def content():
        for _ in range(3):
            yield "new\n" * 10_000
            assert path.read_text() == "old"

    write(path, content())
    assert path.read_text() == "new\n" * 30_000


def test_a_full_device_is_named_with_the_remedy():
    message = "/dev/full: no room for the output .* another folder"
    with pytest.raises(OSError, match=message):
        write(Path("/dev/full"), ["line\n"])


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write(path, ["line\n"])
    assert os.read(reader, 100) == b"line\n"
    os.close(reader)
    assert path.is_fifo()


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path):
    target, link = tmp_path / "sub" / "real.tsv", tmp_path / "link.tsv"
    target.parent.mkdir()
    target.write_text("old")
    link.symlink_to(target)
    write(link, ["new"])
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_file_name_may_be_as_long_as_the_system_lets_it(tmp_path):
    path = tmp_path / ("ä" * 125 + ".tsv")
    write(path, ["new"])
    assert path.read_text() == "new"


def test_a_name_that_is_not_utf8_is_written_as_its_bytes(tmp_path):
    name = os.fsdecode(b"caf\xe9.wav")
    write(tmp_path / "a.tsv", lines(FORMATS["tsv"], [(name, [])]))
    assert (tmp_path / "a.tsv").read_bytes().endswith(b"\ncaf\xe9.wav\t\t\t\n")


def test_a_folder_is_no_place_for_a_file(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder, not a file"):
        write(tmp_path, ["new"])


def test_a_file_gets_the_folders_that_it_is_in(tmp_path):
    write(tmp_path / "new" / "newer" / "a.tsv", ["new"])
    assert (tmp_path / "new" / "newer" / "a.tsv").read_text() == "new"
    with pytest.raises(NotADirectoryError, match=r"b.tsv: .* is a file, not a folder"):
        write(tmp_path / "new" / "newer" / "a.tsv" / "b.tsv", ["new"])


def test_an_error_of_the_one_who_writes_passes_as_it_is(tmp_path):
    with pytest.raises(BrokenPipeError), replacing(tmp_path / "a.tsv"):
        raise BrokenPipeError
    with pytest.raises(PermissionError, match="other"), replacing(tmp_path / "a.tsv"):
        raise PermissionError(13, "Permission denied", "other")


def test_json_is_json_whatever_bytes_a_name_has():
    name = os.fsdecode(b"caf\xe9 \xff.wav")
    event = Event("Dog", 0.5, 1.0, 0.5)
    for about in ({}, {"model_sha256": "abc"}):
        (line,) = lines(FORMATS["jsonl"], [(name, [event])], about)
        assert json.loads(line.encode("utf-8", "strict"))["filename"] == name


@pytest.mark.parametrize("place", ["loop", "loop/events.csv"])
def test_a_link_that_leads_to_itself_is_named(tmp_path, place):
    (tmp_path / "loop").symlink_to("loop")
    words = rf"^--output {tmp_path / place}: a symbolic link there leads to itself"
    with pytest.raises(OSError, match=words):
        check_writable(tmp_path / place, option="--output")


def test_a_link_to_what_is_yet_to_be_written_is_followed(tmp_path):
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "events.csv")
    check_writable(link, option="--output")
