"""The real command: what it writes keeps what it promises, and says what that costs."""

import json
import re
import signal
import subprocess
import sys
import time
import tomllib

import numpy as np
import pytest
import soundfile
from archives import as_exported, members, rewritten
from environment import ENVIRONMENT
from sounds import RATE, scene, tone
from typer.main import get_command

from streamsed.calibration.calibration import CalibratedLabel, Calibration
from streamsed.calibration.settings_text import settings_lines
from streamsed.cli.app import app
from streamsed.cli.settings_file import read_settings
from streamsed.inference.thresholds.recall_curves import RecallCurves


@pytest.fixture
def room(tmp_path):
    """A minute of a room: a hum ("Speech") and faint high beeps, some of them a "Dog"."""
    rng = np.random.default_rng(0)
    samples = tone(300, 60.0) + rng.standard_normal(60 * RATE) * 1e-4
    start = 0.5
    while start < 59:
        beep = tone(6000, 0.6, level=10 ** rng.uniform(-3.5, -1.5))
        first = round(start * RATE)
        samples[first : first + len(beep)] += beep
        start += rng.uniform(1.2, 2.4)
    path = tmp_path / "room.wav"
    soundfile.write(path, samples.astype(np.float32), RATE)
    return path


def lines_of(run, label):
    return [line for line in run.stdout.splitlines() if line.startswith(label)]


def announced(streamsed, room, model_path, settings):
    """How many events `listen` announces in the room with a settings file."""
    run = streamsed(
        *("listen", "--file", room, "--pace", "0", "--format", "jsonl"),
        *("--step", "0.25", "--model", model_path, "--settings", settings),
    )
    assert run.returncode == 0, run.stderr
    records = [json.loads(line) for line in run.stdout.splitlines()]
    return [each["label"] for each in records if each["state"] == "opened"]


@pytest.mark.parametrize("max_false", [0, 180])
def test_a_room_has_no_more_events_afterwards_than_were_allowed(
    streamsed, room, model_path, tmp_path, max_false
):
    output, nothing = tmp_path / "home.toml", tmp_path / "nothing.toml"
    command = ("calibrate", room, "--model", model_path, "--keep", "speech")
    run = streamsed(*command, "--max-false", max_false, "-o", output)
    assert run.returncode == 0, run.stderr
    nothing.write_text("")
    n_before = announced(streamsed, room, model_path, nothing).count("Dog")
    n_after = announced(streamsed, room, model_path, output).count("Dog")
    assert n_before > 180 / 60
    assert n_after <= max_false / 60  # of one minute
    assert (n_after > 0) == (max_false > 0)  # and no higher than it must be
    (row,) = lines_of(run, "Dog")
    assert f"{60 * n_before:.1f} to {60 * n_after:.1f}" in row
    assert "unknown" in row
    assert "the model file has no recall curves" in run.stdout
    assert f"next: streamsed listen --settings {output}" in run.stdout


def test_the_file_is_taken_by_file_and_corpus_as_by_listen(
    streamsed, room, model_path, tmp_path
):
    output = tmp_path / "home.toml"
    command = ("calibrate", room, "--model", model_path, "--keep", "Speech")
    run = streamsed(*command, "--max-false", "0", "-o", output)
    assert run.returncode == 0, run.stderr
    settings = tomllib.loads(output.read_text())
    assert settings["model"] == str(model_path.resolve())
    threshold = f"Dog={settings['threshold']['Dog']}"
    options = ("--step", "0.25", "--format", "csv")
    plain = streamsed("file", room, *options).stdout
    by_hand = streamsed("file", room, *options, "--threshold", threshold).stdout
    by_file = streamsed("file", room, *options, "--settings", output).stdout
    assert by_file == by_hand
    assert by_file.count("Dog") < plain.count("Dog")
    dataset = pytest.importorskip("pyarrow.dataset")
    table = tmp_path / "tables"
    corpus = streamsed(
        *("corpus", room, "-o", table, "--step", "0.25", "--settings", output)
    )
    assert corpus.returncode == 0, corpus.stderr
    labels = dataset.dataset(table / "events").to_table().column("label").to_pylist()
    assert labels.count("Dog") == by_file.count("Dog")
    assert labels.count("Speech") == by_file.count("Speech") > 0


def test_recall_is_read_from_the_model_file(streamsed, room, model_path, tmp_path):
    description = json.loads(members(model_path)["extra/streamsed.json"])
    curves = RecallCurves(10.0, (0.2, 0.6), {"Dog": (0.8, 0.4)}, {"Dog": 9})
    description["recall_curves"] = [curves.to_dict()]
    changes = {"extra/streamsed.json": json.dumps(description).encode()}
    path = as_exported(rewritten(model_path, tmp_path / "with.pt", changes))
    command = ("calibrate", room, "--model", path, "--max-false", "1e5", "--step", "1")
    run = streamsed(*command, "-o", tmp_path / "home.toml")
    assert run.returncode == 0, run.stderr
    assert lines_of(run, "Dog")[0].endswith(" 50 %")  # at 0.5, between the two
    assert lines_of(run, "Speech")[0].endswith("unknown")
    assert "no recall curves" not in run.stdout


def test_a_label_that_no_threshold_stops_is_ignored(streamsed, model_path, tmp_path):
    output, loud = tmp_path / "home.toml", tmp_path / "loud.wav"
    soundfile.write(loud, scene(30.0), RATE)
    command = ("calibrate", loud, "--model", model_path, "--max-false", 0, "-o", output)
    run = streamsed(*command, "--keep", "dog")
    assert run.returncode == 0, run.stderr
    assert "Speech had more events at every threshold, so it is ignored" in run.stdout
    assert set(announced(streamsed, loud, model_path, output)) == {"Dog"}
    before = output.read_text()
    everything = streamsed(*command, "--overwrite")
    assert everything.returncode == 2
    assert "every label has more events at every threshold" in everything.stderr
    assert output.read_text() == before
    nothing = streamsed(*command, "--keep", "dog", "--ignore", "speech", "--overwrite")
    assert nothing.returncode == 2
    assert "--keep: no label is left to calibrate" in nothing.stderr


def test_equal_rooms_give_equal_thresholds(streamsed, room, model_path):
    command = ("calibrate", room, "--model", model_path, "--keep", "Speech")
    printed = [streamsed(*command, "--threads", n).stdout for n in (1, 2)]
    one, other = (tomllib.loads(each) for each in printed)
    assert one == other
    assert one["threshold"]["Dog"] > 0.5


def test_interrupted_in_a_long_recording_it_writes_what_it_learnt(model_path, tmp_path):
    long, log = tmp_path / "night.flac", tmp_path / "log.jsonl"
    soundfile.write(long, np.zeros(8000 * 7200, np.int16), 8000)
    output = tmp_path / "home.toml"
    command = [sys.executable, "-m", "streamsed", "calibrate", long, "-o", output]
    command += ["--model", model_path, "--json-log", log]
    process = subprocess.Popen(
        [str(each) for each in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    deadline = time.monotonic() + 100
    while not (log.exists() and '"progress"' in log.read_text()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    printed, errors = process.communicate(timeout=100)
    assert process.returncode == 130, errors
    minutes = float(re.search(r"([\d.]+) minutes: 0\.0 events", printed)[1])
    assert 0 < minutes < 120
    assert tomllib.loads(output.read_text())["threshold"] == {"Speech": 0.5, "Dog": 0.5}


@pytest.mark.live
def test_a_microphone_is_listened_to_for_the_minutes_asked_for(
    streamsed, mic, model_path, tmp_path
):
    output = tmp_path / "home.toml"
    mic.play(scene(60.0))
    run = streamsed(
        *("calibrate", "--minutes", "0.1", "--model", model_path, "-o", output),
        *("--max-false", "1e6"),
        env={**ENVIRONMENT, **mic.environment},
    )
    assert run.returncode == 0, run.stderr
    assert "for 0.1 minutes; Ctrl-C stops and writes what was learnt" in run.stderr
    assert set(tomllib.loads(output.read_text())["threshold"]) == {"Speech", "Dog"}
    assert re.search(r"0\.1 minutes: \d+\.\d events an hour", run.stdout)
    rates = [lines_of(run, label)[0].split()[2] for label in ("Speech", "Dog")]
    assert any(float(each) > 0 for each in rates)  # the tones are detected


def test_a_recording_is_not_replaced_by_settings(streamsed, room, model_path):
    before = room.read_bytes()
    run = streamsed(
        *("calibrate", room, "--model", model_path, "-o", room, "--overwrite")
    )
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert f"--output {room}: is read, and would be replaced" in line
    assert room.read_bytes() == before


def test_what_cannot_be_written_in_the_end_is_printed(streamsed, room, model_path):
    run = streamsed(
        *("calibrate", room, "--model", model_path, "--keep", "Speech"),
        *("-o", "/dev/full"),
    )
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert line.endswith("; the settings are printed here:")
    assert "Dog" in tomllib.loads(run.stdout)["threshold"]


def test_a_bad_recording_costs_only_itself(streamsed, room, model_path, tmp_path):
    bad, output = tmp_path / "bad.wav", tmp_path / "home.toml"
    bad.write_bytes(b"RIFF nothing")
    command = ("calibrate", bad, room, "--model", model_path, "-o", output)
    run = streamsed(*command, "--keep", "Speech")
    assert run.returncode == 1
    assert "bad.wav" in run.stderr
    assert "1.0 minutes" in run.stdout
    none = streamsed("calibrate", bad, "--model", model_path)
    assert none.returncode == 2
    assert none.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--max-false", "-1"], "--max-false must be a number of events an hour"),
        (["--max-false", "nan"], "--max-false must be a number of events an hour"),
        (["--minutes", "5"], "--device, --channel and --minutes are for live sound"),
        (["--keep", "Dgo"], "--keep: unknown label 'Dgo'; did you mean 'Dog'?"),
        (["-o", "{room}"], "exists; name another file, or give --overwrite"),
        (["-o", "{folder}"], "is a folder; name a file"),
        (["-o", "{room}/new/a.toml"], "is a file, not a folder"),
        (["--sensitivity", "max"], "--sensitivity"),
        (["--step", "2"], "latency"),
    ],
)
def test_what_is_wrong_is_one_line(streamsed, room, model_path, arguments, words):
    given = [each.format(room=room, folder=room.parent) for each in arguments]
    run = streamsed("calibrate", room, "--model", model_path, *given)
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert words in line


def test_odd_names_stay_names_in_the_file(tmp_path):
    odd = ('Quo"te', "Back\\slash", "Hash # sign", "Zwölf = 12", "table]", "Del\x7f?")
    labels = tuple(
        CalibratedLabel(name, 0.5, 0.7 if i else None, 9.0, 1.0, 0.5, 0.25)
        for i, name in enumerate(odd)
    )
    lines = settings_lines(
        Calibration(labels, 3600.0, 1.0, 2.0),
        heading=["for evil\nname = 1", "\udcff.wav"],
        settings={"model": 'C:\\a "b"', "latency": 1.5},
        ignored=["Z"],
    )
    path = tmp_path / "home.toml"
    path.write_text("".join(lines))
    settings = read_settings(path, get_command(app).commands)
    for section in ("listen", "file", "corpus"):
        assert settings[section]["threshold"] == [f"{name}=0.7" for name in odd[1:]]
        assert settings[section]["ignore"] == ["Z", odd[0]]
        assert settings[section]["model"] == 'C:\\a "b"'
    assert "latency" not in settings["corpus"]
