"""The command line and strangers: names that steer, numbers out of bounds, no output."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from environment import ENVIRONMENT
from listening import bursts
from sounds import RATE

from streamsed.events import Event
from streamsed.recordings.formats import FORMATS, lines
from streamsed.recordings.outputs import events_table
from streamsed.terminal import printable

ESCAPE = "a\x1b[2J\x1b]0;owned\x07\u202egnp.wav"


def test_what_steers_a_terminal_is_spelt_out():
    assert printable("Dog, 5 s – ü 犬") == "Dog, 5 s – ü 犬"
    shown = printable(ESCAPE + "\udc9b1m")
    assert shown.isprintable()
    assert shown == r"a\x1b[2J\x1b]0;owned\x07\u202egnp.wav\udc9b1m"


def test_a_table_shows_no_escapes():
    from tables import shown

    for events in ([], [Event("Dog\x1b[31m", 0.0, 1.0, 0.5)]):
        text = shown(events_table(ESCAPE, events))
        assert "\x1b" not in text
        assert r"\x1b[2J" in text


@pytest.mark.parametrize("name", ["=cmd|'/c calc'!A1", "@SUM(1)", "+1", "-1", "\t=1"])
def test_a_name_is_no_formula_in_a_spreadsheet(name):
    rows = list(lines(FORMATS["csv"], [(name, [Event("=x", 0.0, 1.0, 0.5)])]))
    import csv

    ((filename, _, _, label, _),) = list(csv.reader(rows[1:]))
    assert filename == f"'{name}"
    assert label == "'=x"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    soundfile.write(path, bursts([("Dog", 1.0, 1.0)], 3.0), RATE)
    return path


def test_a_file_name_does_not_reach_stderr_as_it_is(streamsed, tmp_path):
    bad = tmp_path / "a\x1b[2Jb.wav"
    bad.write_bytes(b"no audio")
    run = streamsed("file", bad)
    assert run.returncode == 2
    assert "\x1b" not in run.stderr
    assert r"\x1b[2J" in run.stderr


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        (
            "file",
            ["--min-gap", "1e18"],
            "--min-gap must be at least 0, and at most 1e+06 (in s), not 1e+18",
        ),
        ("file", ["--min-gap", "nan"], "--min-gap must be"),
        ("file", ["--latency", "1e308"], "must"),
        (
            "listen",
            ["--duration", "1e308"],
            "--duration must be positive, and at",
        ),
        ("listen", ["--duration", "nan"], "--duration must be positive"),
        (
            "listen",
            ["--save-clips", "no-clips", "--clips-limit", "inf"],
            "--clips-limit must be positive, and",
        ),
        ("listen", ["--rate", "8000"], "--rate needs --stdin"),
        ("file", ["--theme", "dark"], "--theme needs --plot"),
        ("listen", ["--stdin", "--rate", "1"], "--rate must be from 1000"),
        ("listen", ["--stdin", "--channels", "100000"], "--channels must be"),
    ],
)
def test_a_number_out_of_bounds_is_one_line(
    streamsed, clip, model_path, command, arguments, words
):
    place = [clip] if command == "file" else ["--model", model_path]
    if command == "listen" and "--stdin" not in arguments:
        place += ["--file", clip]
    run = streamsed(command, *place, *arguments, stdin=subprocess.PIPE)
    (line,) = run.stderr.splitlines()
    assert words in line
    assert run.returncode == 2


def test_a_lack_of_memory_is_no_fault_of_the_model(clip):
    code = (
        "import sys; from streamsed.cli import app; from streamsed.inference import openvino\n"
        "class Core:\n"
        "    def read_model(self, _): raise RuntimeError('plugin.cpp:54: std::bad_alloc')\n"
        "openvino.core = Core; app.main()\n"
    )
    words = ["file", clip, "--engine", "openvino"]
    run = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )
    (line,) = run.stderr.splitlines()
    assert line == (
        "streamsed: error: not enough memory (OpenVINO could not load the network); "
        "end other programs, and try again"
    )
    assert run.returncode == 2


def test_a_defect_is_one_line_and_its_trace_is_to_be_had(tmp_path):
    code = (
        "import sys; from streamsed.cli import app\n"
        "def broken(*_, **__): raise RecursionError('deep')\n"
        "app.app = broken; app.main()\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    (line,) = run.stderr.splitlines()
    assert "unexpected RecursionError: deep; please report it" in line
    assert run.returncode == 2
    environment = {**ENVIRONMENT, "STREAMSED_TRACEBACK": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert "Traceback" in run.stderr


def closed_output(*arguments):
    """Run the command as `streamsed ... >&-` does."""
    words = [sys.executable, "-m", "streamsed", *map(str, arguments)]
    return subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *words],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        timeout=60,
        check=False,
    )


def test_without_an_output_there_is_a_line_or_a_file(clip, model_path, tmp_path):
    run = closed_output("file", clip, "--model", model_path)
    (line,) = run.stderr.splitlines()
    assert "standard output is closed; use --output FILE" in line
    assert run.returncode == 2
    out = tmp_path / "out.jsonl"
    run = closed_output("file", clip, "--model", model_path, "-o", out, "-f", "jsonl")
    assert (run.returncode, run.stderr) == (0, "")
    assert out.read_text().count("\n") >= 1


def test_a_listener_that_has_only_a_log_needs_no_output(clip, model_path, tmp_path):
    log = tmp_path / "log.jsonl"
    arguments = ["listen", "--file", clip, "--model", model_path, "--log", log]
    run = closed_output(*arguments)
    assert (run.returncode, run.stderr) == (0, "")
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert records[-1]["state"] == "stopped"
    assert {"started", "closed"} <= {record["state"] for record in records}
    run = closed_output("listen", "--file", clip, "--model", model_path)
    assert "standard output is closed; use --log FILE" in run.stderr
    assert run.returncode == 2


@pytest.mark.parametrize("place", ["a full disk", "a reader that has left"])
def test_work_goes_on_without_a_place_for_messages(clip, model_path, tmp_path, place):
    bad, out = tmp_path / "bad.wav", tmp_path / "out.csv"
    bad.write_bytes(b"no audio")
    words = [
        sys.executable,
        "-m",
        "streamsed",
        "file",
        bad,
        clip,
        "--model",
        model_path,
    ]
    if place == "a full disk":
        stderr = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, stderr = os.pipe()
        os.close(reader)
    run = subprocess.run(
        [*words, "-o", out],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=ENVIRONMENT,
        timeout=60,
        check=False,
    )
    os.close(stderr)
    assert run.returncode == 1  # for the bad one, not more
    assert "clip.wav" in out.read_text()


def test_the_models_sha256_stands_in_what_is_written(
    streamsed, clip, model_path, tmp_path
):
    from streamsed.inference.model_file import ModelFile

    sha256 = ModelFile.open(model_path).sha256
    out = tmp_path / "o"
    out.mkdir()
    run = streamsed("file", clip, "-f", "jsonl", "--plot", out)
    assert run.returncode == 0, run.stderr
    for line in run.stdout.splitlines():
        assert json.loads(line)["model_sha256"] == sha256
    (picture,) = out.iterdir()
    assert sha256.encode() in picture.read_bytes()


def test_a_picture_of_a_header_that_lies_ends_at_the_limit(
    model, tmp_path, monkeypatch
):
    """A flac that states no length, and goes on and on."""
    from streamsed.recordings import job as jobs
    from streamsed.recordings.detection import Recording
    from streamsed.recordings.outputs import Outputs

    monkeypatch.setattr("streamsed.recordings.picture.MAX_DURATION", 4.0)
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(10 * RATE, np.float32), RATE)
    job = jobs.FileJob.__new__(jobs.FileJob)
    job.outputs = Outputs(plot=tmp_path / "p.png")
    with pytest.raises(ValueError, match=r"long\.wav: --plot draws at most 4 s"):
        job._check_duration(Recording(path, "long.wav", 0.0), 4.5)
    job._check_duration(Recording(path, "long.wav", 0.0), 3.5)
