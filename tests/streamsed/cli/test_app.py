"""The command as a user runs it: in a process of its own, on real files."""

import csv
import io
import json
import math
import pickle
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from environment import ENVIRONMENT
from sounds import RATE, scene, silence, square, tone

from streamsed.cli.app import main
from streamsed.detector import Detector
from streamsed.recordings.detection import Recording, detect
from streamsed.recordings.formats import FORMATS


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Two ordinary recordings, a.wav and b.flac."""
    folder = tmp_path_factory.mktemp("recordings")
    soundfile.write(folder / "a.wav", scene(6, seed=1), RATE)
    soundfile.write(folder / "b.flac", scene(11, seed=2), RATE)
    return folder


def rows_of(text, delimiter="\t"):
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


def assert_refused(run, *words, code=2):
    """One line, which says what is wrong, and nothing done."""
    (line,) = run.stderr.splitlines()
    assert line.startswith("streamsed: error: ")
    for word in words:
        assert str(word) in line
    assert run.returncode == code
    assert run.stdout == ""


# What it does.


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_names_every_command(streamsed, arguments):
    run = streamsed(*arguments)
    assert run.returncode == 0
    assert "Live sound event detection" in run.stdout
    for command in ("file", "listen", "report", "devices", "doctor", "info", "bench"):
        assert f"\n  {command} " in run.stdout


def test_file_help_names_every_option(streamsed):
    run = streamsed("file", "--help")
    for option in ("--format", "--output", "--latency", "--check-stream", "--plot"):
        assert option in run.stdout


def test_info_says_what_a_model_detects(streamsed, model_path):
    run = streamsed("info", model_path)
    assert run.returncode == 0
    assert {"Speech", "Dog"} < {line.split(" ")[0] for line in run.stdout.splitlines()}
    assert "event F1 (%)" in run.stdout


@pytest.fixture(scope="module")
def plain_run(streamsed, recordings):
    return streamsed("file", recordings / "a.wav", recordings / "b.flac")


def test_events_are_those_of_the_detector(plain_run, recordings, model):
    assert (plain_run.returncode, plain_run.stderr) == (0, "")
    expected = [
        {
            "filename": path.name,
            "onset": f"{event.onset:.3f}",
            "offset": f"{event.offset:.3f}",
            "event_label": event.label,
        }
        for path in (recordings / "a.wav", recordings / "b.flac")
        for event in detect(Detector(model), Recording(path, path.name)).events
    ]
    assert rows_of(plain_run.stdout) == expected
    assert {row["event_label"] for row in expected} == {"Speech", "Dog"}


def test_a_second_run_gives_the_same_and_a_stream_in_chunks_too(
    streamsed, plain_run, recordings, tmp_path
):
    output = tmp_path / "events.jsonl"
    run = streamsed("file", recordings, "--check-stream", "-f", "jsonl", "-o", output)
    assert (run.returncode, run.stdout) == (0, "")
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [
        f"{row['filename']}\t{row['onset']:.3f}\t{row['offset']:.3f}\t{row['label']}"
        for row in rows
    ] == plain_run.stdout.splitlines()[1:]
    for line, name in zip(run.stderr.splitlines(), ("a.wav", "b.flac"), strict=True):
        n_events = sum(row["filename"] == name for row in rows)
        assert line.startswith(f"streamsed: {name}: the same {n_events} events in ")


def test_one_run_writes_events_scores_and_a_picture(streamsed, recordings, tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    events, scores, plot = (tmp_path / n for n in ("e.csv", "s.tsv", "p.png"))
    run = streamsed(
        *("file", recordings / "b.flac", "--format", "csv", "-o", events),
        *(
            "--scores",
            scores,
            "--plot",
            plot,
            "--label",
            "Dog",
            "--threshold",
            "Dog=0.6",
        ),
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    found = rows_of(events.read_text(), ",")
    assert {row["label"] for row in found} == {"Dog"}
    frames = rows_of(scores.read_text())
    assert list(frames[0]) == ["onset", "offset", "Speech", "Dog"]
    assert float(frames[-1]["offset"]) == 11
    for row in found:
        onset = next(
            f for f in frames if abs(float(f["onset"]) - float(row["onset"])) < 1e-3
        )
        assert float(onset["Dog"]) >= 0.6
    assert imread(plot).shape[0] > 300


def test_recordings_of_every_kind_are_read_in_folders_inside_folders(
    streamsed, tmp_path
):
    def save(name, samples, rate=RATE, **options):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, samples, rate, **options)

    for rate in (8000, 22050, 48000, 192000):
        samples = np.concatenate(
            [silence(1, rate), tone(300, 1, rate), silence(1, rate)]
        )
        save(f"rates/{rate}.wav", samples, rate)
    low = np.concatenate([silence(1), tone(300, 1), silence(1)])
    save("kinds/24.wav", low, subtype="PCM_24")
    save("kinds/8 channels.wav", np.tile(low[:, None], 8))
    save("kinds/float.wav", low, subtype="FLOAT")
    save("kinds/tab\there.flac", low)
    save("odd/one sample.wav", np.ones(1))
    save("odd/silence.wav", silence(12))
    save("odd/square.wav", square(300, 3))
    run = streamsed("file", tmp_path, "--recursive")
    assert (run.returncode, run.stderr) == (0, "")
    found = {}
    for row in rows_of(run.stdout):
        found.setdefault(row["filename"], []).append(row)
    assert len(found) == 11
    for name, rows in found.items():
        if name.startswith("odd/"):
            continue
        (row,) = rows
        assert row["event_label"] == "Speech"
        assert float(row["onset"]) == pytest.approx(1, abs=0.15)
        assert float(row["offset"]) == pytest.approx(2, abs=0.15)
    assert found["odd/silence.wav"][0]["event_label"] == ""
    assert found["odd/one sample.wav"][0]["event_label"] == ""
    assert found["odd/square.wav"][0]["event_label"] != ""


# What is wrong with a recording: a line each, and the rest is done.


@pytest.fixture(scope="module")
def bad_recordings(tmp_path_factory):
    """Paths of bad recordings, and what must be said of each."""
    folder = tmp_path_factory.mktemp("bad")
    samples = scene(3)
    for name in ("nan", "inf"):
        bad = samples.copy()
        bad[2 * RATE] = float(name)
        soundfile.write(folder / f"{name}.wav", bad, RATE, subtype="FLOAT")
    for name in ("cut.flac", "torn.wav"):
        soundfile.write(folder / name, samples, RATE)
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
    (folder / "empty.wav").touch()
    soundfile.write(folder / "none.wav", np.zeros(0), RATE)
    (folder / "text.wav").write_text("This is no audio.")
    (folder / "folder").mkdir()
    return {
        folder / "missing.wav": "no such file",
        folder / "folder": "no audio files",
        folder / "empty.wav": "is empty (0 bytes)",
        folder / "none.wav": "contains no samples",
        folder / "text.wav": "not a supported audio file",
        folder / "cut.flac": "damaged or truncated",
        folder / "torn.wav": "damaged or truncated",
        folder / "nan.wav": "the sample at 2.000 s is nan",
        folder / "inf.wav": "the sample at 2.000 s is inf",
    }


def assert_each_said_once(run, bad_recordings):
    said = run.stderr.splitlines()
    assert len(said) == len(bad_recordings)
    for path, words in bad_recordings.items():
        (line,) = [line for line in said if f" {path}: " in line]
        assert line.startswith("streamsed: error: ")
        assert words in line


def test_bad_recordings_are_reported_and_the_rest_are_done(
    streamsed, bad_recordings, recordings, tmp_path
):
    paths = [recordings / "a.wav", *bad_recordings, recordings / "b.flac"]
    run = streamsed("file", *paths, "-f", "audacity", "-o", tmp_path)
    assert_each_said_once(run, bad_recordings)
    assert run.returncode == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "b.txt"]
    for line in (tmp_path / "b.txt").read_text().splitlines():
        onset, offset, label = line.split("\t")
        assert 0 <= float(onset) < float(offset) <= 11
        assert label in {"Speech", "Dog"}


def test_where_nothing_is_done_the_output_is_left_alone(
    streamsed, bad_recordings, tmp_path
):
    output = tmp_path / "old.tsv"
    output.write_text("old")
    unreadable = dict(list(bad_recordings.items())[:3])
    run = streamsed("file", *unreadable, "-o", output)
    assert_each_said_once(run, unreadable)
    assert (run.returncode, run.stdout) == (2, "")
    assert output.read_text() == "old"
    assert list(tmp_path.iterdir()) == [output]


def test_scores_that_cannot_be_written_cost_only_their_own_recording(
    run_here, recordings, model_path, tmp_path
):
    (tmp_path / "a.scores.tsv").mkdir()  # in the place of the file
    output = tmp_path / "events.tsv"
    run = run_here(
        *("file", recordings / "a.wav", recordings / "b.flac", "-m", model_path),
        *("-o", output, "--scores", tmp_path),
    )
    (line,) = run.stderr.splitlines()
    assert "a.scores.tsv: is a folder, not a file" in line
    assert run.returncode == 1
    assert {row["filename"] for row in rows_of(output.read_text())} == {"b.flac"}
    assert (tmp_path / "b.scores.tsv").is_file()


# What is wrong with the command line: one line, before any work.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--threshold", "1.5"], ["--threshold must be from 0 to 1, not 1.5"]),
        (["--threshold", "loud"], ["--threshold must be a number or", "not 'loud'"]),
        (["--label", "Cow"], ["--label: unknown label 'Cow'", "Speech, Dog"]),
        (["--threshold", "=0.3"], ["--threshold must be a number or", "not '=0.3'"]),
        (["--threshold", "Dgo=0.3"], ["--threshold: unknown label 'Dgo'", "'Dog'?"]),
        (
            ["--step", "2", "--latency", "1"],
            ["--latency must be", "at least --step 2.0"],
        ),
        (["--latency", "11"], ["--latency must be at most one segment (10 s), not 11"]),
        (["--settle", "11"], ["--settle must be at most one segment (10 s), not 11"]),
        (
            ["--settle", "2", "--latency", "3"],
            ["--settle must be at least --latency 3.0"],
        ),
        (["--device", "tpu"], ["--device must be auto, cpu or cuda, not 'tpu'"]),
        (["--nosuch"], ["--nosuch", "streamsed file --help"]),
        (["--format", "xml"], ["--format must be table", "raven, not 'xml'"]),
        (
            ["--model", "nosuch"],
            ["nosuch: neither a shipped model", "nor a model file"],
        ),
        (
            ["-o", "a.wav/out.tsv"],
            ["--output a.wav/out.tsv: ", "a.wav is a file, not a"],
        ),
        (
            ["b.flac", "-f", "audacity", "-o", "x.txt"],
            ["--output x.txt: 2 recordings need a folder"],
        ),
    ],
)
def test_a_wrong_option_is_one_line(streamsed, recordings, arguments, words):
    run = streamsed("file", "a.wav", *arguments, cwd=recordings)
    assert_refused(run, *words)
    assert sorted(p.name for p in recordings.iterdir()) == ["a.wav", "b.flac"]


@pytest.mark.parametrize("arguments", [["nosuch"], ["--nosuch"], ["info", "a", "b"]])
def test_a_wrong_command_is_one_line_that_ends_with_the_way_to_help(
    streamsed, arguments
):
    assert_refused(streamsed(*arguments), "--help`")


@pytest.fixture
def run_here(capsys, monkeypatch):
    """Run the command in this process, where torch is already imported."""
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["streamsed", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        said = capsys.readouterr()
        code = stopped.value.code
        return subprocess.CompletedProcess(arguments, code, said.out, said.err)

    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--threshold", "Dog=-1"], ["--threshold must be from 0 to 1, not -1"]),
        (["--threshold", "Cow=0.5"], ["'Cow'", "Speech, Dog"]),
        (["--threshold", "0.5", "--threshold", "Dog=0.4"], ["--threshold", "not both"]),
        (["--min-gap", "-1"], ["--min-gap must be at least 0"]),
        (
            ["--min-duration", "Dog=x"],
            ["--min-duration must be a number or", "'Dog=x'"],
        ),
        (["--step", "0"], ["--step must be positive (in seconds), not 0.0"]),
        (["--step", "often"], ["--step", "number", "streamsed file --help"]),
    ],
)
def test_a_setting_out_of_range_is_one_line(
    run_here, recordings, model_path, arguments, words
):
    run = run_here("file", recordings / "a.wav", "--model", model_path, *arguments)
    assert_refused(run, *words)


@pytest.mark.parametrize("option", ["--output", "--scores", "--plot"])
def test_a_recording_is_never_overwritten(run_here, recordings, model_path, option):
    path = recordings / "a.wav"
    before = path.read_bytes()
    run = run_here("file", path, "--model", model_path, option, path)
    assert_refused(run, path, "is one of the recordings")
    assert path.read_bytes() == before


def test_a_device_that_does_not_exist_is_one_line(run_here, recordings, model_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    path = recordings / "a.wav"
    run = run_here("file", path, "--model", model_path, "--device", "cuda")
    assert_refused(
        run, "error: --device cuda: torch finds no CUDA device; use --device cpu"
    )
    assert "differ" not in run.stderr  # the model file is not at fault


@pytest.mark.parametrize(
    "kind",
    ["cut off", "flipped", "a zip", "a pickle", "no description", "other labels"],
)
def test_a_bad_model_is_one_line(
    run_here, make_model, model_path, recordings, tmp_path, kind
):
    path = tmp_path / "bad.pt"
    start, words = f"{path}: ", ["train export"]
    whole = model_path.read_bytes()
    if kind == "cut off":
        path.write_bytes(whole[:-1000])
    elif kind == "flipped":
        middle = len(whole) // 2
        path.write_bytes(whole[:middle] + bytes(1000) + whole[middle + 1000 :])
    elif kind == "a zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("notes.txt", "no model")
    elif kind == "a pickle":
        path.write_bytes(pickle.dumps({"weights": [1, 2, 3]}))
    elif kind == "no description":
        make_model(path, extra="other.json")
        words = ["holds no streamsed.json"]
    else:
        make_model(path, labels=("Dog", "Cat", "Cow"))
        start, words = "the model tiny", ["(128, 3)", "(128, 2)", "export it again"]
    run = run_here("file", recordings / "a.wav", "--model", path)
    assert_refused(run, start, *words)


def test_every_format_can_be_written_to_a_file_and_to_a_folder(
    run_here, recordings, model_path, tmp_path
):
    for form in FORMATS:
        (tmp_path / form).mkdir()
        for place in (tmp_path / form, tmp_path / f"{form}.out"):
            path = recordings / "a.wav"
            run = run_here("file", path, "--model", model_path, "-f", form, "-o", place)
            assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
        (inside,) = (tmp_path / form).iterdir()
        assert inside.name == "a" + FORMATS[form].suffix
        assert inside.read_bytes() == (tmp_path / f"{form}.out").read_bytes()
        assert "Dog" in inside.read_text()


# Where the output goes wrong.


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line(streamsed, run_here, recordings, model_path):
    path = recordings / "a.wav"
    run = run_here("file", path, "--model", model_path, "-o", "/dev/full")
    assert_refused(run, "/dev/full: no room for the output", "another folder")
    with Path("/dev/full").open("w") as full:
        run = streamsed(
            *("info", model_path),
            capture_output=False,
            stdout=full,
            stderr=subprocess.PIPE,
        )
    (line,) = run.stderr.splitlines()
    assert line.startswith(
        "streamsed: error: the output could not be written completely"
    )
    assert run.returncode == 2


def start(model_path, *arguments, **options):
    command = [sys.executable, "-m", "streamsed", "file", *map(str, arguments)]
    return subprocess.Popen(
        [*command, "--model", str(model_path), "--device", "cpu"],
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.fixture(scope="module")
def long_recording(tmp_path_factory):
    """Two hours: with a short step, minutes of work."""
    path = tmp_path_factory.mktemp("long") / "long.flac"
    with soundfile.SoundFile(path, "w", 8000, 1) as sound:
        for _ in range(120):
            sound.write(silence(60, 8000))
    return path


def test_a_reader_that_leaves_is_no_error(model_path, recordings, long_recording):
    process = start(
        *(model_path, recordings / "a.wav", long_recording),  # time to leave
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == "filename\tonset\toffset\tevent_label\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(30) == 1
    process.stderr.close()


def holds_open(process, path):
    """Whether a process has a file open."""
    for link in Path(f"/proc/{process.pid}/fd").glob("*"):
        try:
            if link.readlink() == path:
                return True
        except OSError:
            continue
    return False


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_interruption_leaves_the_old_output_and_nothing_else(
    model_path, long_recording, tmp_path
):
    output = tmp_path / "out.tsv"
    output.write_text("old")
    process = start(model_path, long_recording, "--step", "0.2", "-o", output)

    def decoding():  # the header alone is read much faster than this
        if not holds_open(process, long_recording):
            return False
        time.sleep(0.3)
        return holds_open(process, long_recording)

    wait_until(decoding)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "streamsed: interrupted after 0 of 1 recording\n"
    assert output.read_text() == "old"
    assert list(tmp_path.iterdir()) == [output]


def test_an_interruption_of_any_command_is_reported(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("streamsed.inference.model_file.find_model", interrupted)
    monkeypatch.setattr(sys, "argv", ["streamsed", "bench"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 130
    assert capsys.readouterr() == ("", "streamsed: interrupted\n")


@pytest.mark.parametrize("package", ["streamsed", "train"])
def test_an_interruption_while_the_commands_are_loaded_is_silent(package, tmp_path):
    interrupt = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
    (tmp_path / "typer.py").write_text(interrupt)
    done = subprocess.run(
        [sys.executable, "-m", package, "--help"],
        env=ENVIRONMENT | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGINT  # 130 in a shell
    assert (done.stdout, done.stderr) == ("", "")


def test_an_interruption_delivers_what_was_done(
    model_path, recordings, long_recording, tmp_path
):
    output = tmp_path / "out.tsv"
    process = start(
        *(model_path, recordings / "a.wav", long_recording),
        *("--step", "0.2", "-o", output),
    )
    # The scratch file appears with the first recording's events.
    wait_until(lambda: list(tmp_path.iterdir()) != [])
    wait_until(lambda: holds_open(process, long_recording))
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "streamsed: interrupted after 1 of 2 recordings\n"
    rows = rows_of(output.read_text())
    assert {row["filename"] for row in rows} == {"a.wav"}
    assert len(rows) > 1
    assert all(math.isfinite(float(row["onset"])) for row in rows)
    assert list(tmp_path.iterdir()) == [output]
