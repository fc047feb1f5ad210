"""Faults on purpose: what was acknowledged is kept, what is not whole has no name."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from environment import ENVIRONMENT
from faults import KINDS, Faults, at, between, now_and_then
from listening import Given, Kept, audio_pieces, bursts
from sounds import RATE
from writer import save_clips

from streamsed.detector import Detector
from streamsed.events import Event
from streamsed.live.listener import Listener
from streamsed.live.sinks.clip_folder import ClipFolder
from streamsed.live.sinks.clips import ClipSink
from streamsed.live.sinks.exec_sink import ExecSink
from streamsed.live.sinks.json_lines import JsonLines
from streamsed.pipeline.lifecycle import EventUpdate


def closed(number, onset=1.0, offset=2.0, label="Dog"):
    return EventUpdate(
        "closed", number, Event(label, onset, offset, 0.9), ongoing=False
    )


def records_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def numbers_of(path):
    return [record["n"] for record in records_of(path) if "n" in record]


class Clock:
    """A clock that is moved by hand; it may stand still, or jump over a night."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()

    def sleep(seconds):
        clock.now += seconds

    monkeypatch.setattr("streamsed.live.sinks.json_lines.time.sleep", sleep)
    return clock


@pytest.fixture
def log(tmp_path, clock):
    lines = JsonLines.append(tmp_path / "log.jsonl")
    lines._clock = clock
    return lines


# The log.


@pytest.mark.parametrize("kind", [*KINDS, "short"])
@pytest.mark.parametrize("number", range(4))
def test_no_line_is_lost_or_cut_by_a_fault_at_any_write(
    log, clock, tmp_path, kind, number
):
    with Faults(at(number, kind)):
        for n in range(6):
            log.on_record({"n": n, "text": "ä" * 50}, None)
            clock.now += 1.0
        log.close()
    assert numbers_of(tmp_path / "log.jsonl") == list(range(6))


def test_after_an_hour_of_full_disk_every_line_is_there_and_the_gap_is_reported(
    log, clock, tmp_path
):
    with Faults(between(2, 60, "full"), calls=("write",)) as faults:
        for n in range(200):
            log.on_record({"n": n}, None)
            clock.now += 60.0
        log.close()
    assert faults.n_faults > 20
    assert numbers_of(tmp_path / "log.jsonl") == list(range(200))
    (reported,) = [r for r in records_of(tmp_path / "log.jsonl") if "since" in r]
    assert reported["text"] == "log: can be written again"
    assert reported["since"] <= reported["until"]
    failures = log.failures()
    assert failures["failed"] > 20
    assert failures["reason"] == "No space left on device"
    assert (failures["lost"], failures["waiting"]) == (0, 0)


@pytest.mark.parametrize("seed", range(30))
def test_random_faults_lose_nothing(log, clock, tmp_path, seed):
    with Faults(now_and_then(seed)):
        for n in range(50):
            log.on_record({"n": n}, None)
            clock.now += 10.0
    log.close()
    assert numbers_of(tmp_path / "log.jsonl") == list(range(50))


def test_a_disk_that_is_full_again_is_reported_again_but_not_every_minute(log, clock):
    notices = []
    with Faults(lambda _, n: "full" if n % 2 == 0 else None, calls=("write",)):
        for n in range(120):
            log.on_record({"n": n}, None)
            notices += log.notices()
            clock.now += 60.0
    assert 10 <= len(notices) <= 13  # in two hours, at most every ten minutes
    assert set(notices) == {
        "log: cannot be written (No space left on device); trying again"
    }


def test_it_is_tried_ever_more_seldom(log, clock):
    with Faults(lambda *_: "full", calls=("write",)) as faults:
        for n in range(600):
            log.on_record({"n": n}, None)
            clock.now += 0.1
    assert faults.n_calls < 15


def test_a_log_that_never_works_again_is_reported_with_its_count(log, clock):
    with Faults(lambda *_: "broken"):
        for n in range(3):
            log.on_record({"n": n}, None)
        assert log.notices() == [
            "log: cannot be written (Input/output error); trying again"
        ]
        assert log.notices() == []
        log.close()
    failures = log.failures()
    assert failures["waiting"] == 3
    assert failures["until"] == ""


def test_what_waits_is_bounded_and_what_is_lost_is_counted(log, clock, monkeypatch):
    monkeypatch.setattr("streamsed.live.sinks.json_lines.MAX_WAITING", 10)
    with Faults(lambda *_: "full"):
        for n in range(25):
            log.on_record({"n": n}, None)
    assert log.failures()["lost"] == 15
    assert log.failures()["waiting"] == 10


def test_a_step_of_the_clock_does_not_stop_the_log(log, clock, tmp_path):
    with Faults(at(0, "full")):
        log.on_record({"n": 0}, None)
        clock.now += 10 * 3600.0  # suspended over the night
        log.on_record({"n": 1}, None)
    assert numbers_of(tmp_path / "log.jsonl") == [0, 1]


def test_what_another_writer_appended_is_not_cut_off(log, clock, tmp_path):
    path = tmp_path / "log.jsonl"
    real = os.lseek

    def appended(*args):
        """Between the failure and the cut, a writer comes that knows no locks."""
        patch.undo()
        with path.open("a") as other:
            other.write('{"n": 99}\n')
        return real(*args)

    with pytest.MonkeyPatch.context() as patch, Faults(at(0, "full")):
        patch.setattr(os, "lseek", appended)
        log.on_record({"n": 0, "text": "x" * 100}, None)
        log.on_record({"n": 1, "text": "x" * 100}, None)
    clock.now += 60
    log.on_record({"n": 2}, None)
    assert b'"n": 99}\n' in path.read_bytes()
    lines = path.read_text().splitlines()
    assert [json.loads(each).get("n") for each in lines[1:]] == [0, None, 1, 2]


SUPPORT = str(Path(__file__).parents[3] / "support")
LISTEN = ("listen", "--stdin", "--rate", RATE, "--encoding", "f32")


@pytest.fixture
def sound():
    events = [("Dog", 2.0 + 3 * n, 1.0) for n in range(6)]
    return bursts(events, 24.0).tobytes()


def listen(model_path, sound, *arguments, faults="", out=None):
    module = ["-m", "faults"] if faults else ["-m", "streamsed"]
    environment = {**ENVIRONMENT, "FAULTS": faults, "PYTHONPATH": SUPPORT}
    command = [sys.executable, *module, *map(str, LISTEN), "--model", str(model_path)]
    return subprocess.run(
        [*command, "--step", "1", "--latency", "1", *map(str, arguments)],
        input=sound,
        stdout=out or subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        timeout=120,
        check=False,
    )


def test_a_listener_keeps_every_event_through_a_full_disk(model_path, sound, tmp_path):
    log, out = tmp_path / "log.jsonl", tmp_path / "out.jsonl"
    run = listen(model_path, sound, "--log", log, faults="3:9:full")
    assert run.returncode == 0, run.stderr
    said = [json.loads(line) for line in run.stdout.splitlines()]
    kept = records_of(log)
    states = ("opened", "ended", "updated", "closed", "withdrawn")
    assert [r for r in kept if r["state"] in states] == [
        r for r in said if r["state"] in states
    ]
    assert kept[-1]["state"] == "stopped"
    assert "log: " in run.stderr.decode()
    assert not out.exists()


def test_a_listener_whose_log_never_works_ends_with_an_error(
    model_path, sound, tmp_path
):
    log = tmp_path / "log.jsonl"
    run = listen(model_path, sound, "--log", log, faults="0:1000000:full")
    assert run.returncode == 1
    assert "No space left on device" in run.stderr.decode()
    stopped = json.loads(run.stdout.splitlines()[-1])
    assert stopped["failures"]["log"]["failed"] > 0
    assert log.read_text() == ""


def test_output_on_a_full_disk_is_reported(model_path, sound):
    with Path("/dev/full").open("wb") as full:
        run = listen(model_path, sound, out=full)
    assert run.returncode in (1, 2)
    assert b"output: " in run.stderr


# Clips.


def fill(sink):
    sink.on_samples(np.random.default_rng(0).uniform(-1, 1, 8 * RATE).astype("f4"))


def whole_clips(folder):
    for path in folder.iterdir():
        assert not path.name.endswith(".part")
        samples, _ = soundfile.read(path)
        assert len(samples) == 2.5 * RATE
    return list(folder.iterdir())


@pytest.mark.parametrize("kind", ["full", "broken"])
@pytest.mark.parametrize("number", range(4))
def test_a_clip_is_whole_or_not_there(tmp_path, kind, number):
    clips = ClipSink(ClipFolder(tmp_path, max_bytes=10**9), sample_rate=RATE)
    fill(clips)
    with Faults(at(number, kind)) as faults:
        for n in range(3):
            clips.on_record({}, closed(n))
        clips.settle()
    found = whole_clips(tmp_path)
    assert faults.n_faults == 1
    assert len(found) + clips.failures()["failed"] >= 3
    assert "clips: 1 failed" in clips.notices()[0]


def test_a_clip_that_does_not_fit_leaves_nothing(tmp_path):
    """A real limit of the system: no file may be larger than 50 kB."""
    code = (
        "import resource, signal; from pathlib import Path\n"
        "import numpy as np\n"
        "from streamsed.live.sinks.clip_folder import ClipFolder\n"
        "from streamsed.live.sinks.clips import ClipSink\n"
        "from streamsed.events import Event\n"
        "from streamsed.pipeline.lifecycle import EventUpdate\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        f"folder = ClipFolder(Path({str(tmp_path)!r}), max_bytes=10**9)\n"
        "sink = ClipSink(folder, sample_rate=44100)\n"
        "sink.on_samples(np.random.default_rng(0).uniform(-1, 1, 400_000).astype('f4'))\n"
        "event = Event('Dog', 1.0, 2.0, 0.9)\n"
        "sink.on_record({}, EventUpdate('closed', 1, event, ongoing=False))\n"
        "sink.settle(); print(sink.failures()['failed'])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout == "1\n"
    assert list(tmp_path.iterdir()) == []


def test_listeners_that_share_a_folder_keep_all_their_clips(tmp_path):
    sinks = [
        ClipSink(ClipFolder(tmp_path, max_bytes=10**9), sample_rate=RATE)
        for _ in range(3)
    ]
    for sink in sinks:
        fill(sink)
        for n in range(5):
            sink.on_record({}, closed(n))
    for sink in sinks:
        sink.settle()
    assert len(whole_clips(tmp_path)) == 15


def test_the_limit_deletes_only_what_is_ours(tmp_path):
    first = ClipSink(ClipFolder(tmp_path, max_bytes=10**9), sample_rate=RATE)
    fill(first)
    for n in range(2):
        first.on_record({}, closed(n))
    first.settle()
    ours = sorted(tmp_path.iterdir())
    strangers = [
        tmp_path / "streamsed-20200101T000000Z-000001-Dog.flac",
        tmp_path / "streamsed-holiday.flac",
        tmp_path / "streamsed-.flac",
    ]
    noise = np.random.default_rng(0).uniform(-1, 1, RATE)
    for path in strangers:
        soundfile.write(path, noise, RATE, format="FLAC")
    kept = tmp_path / "streamsed-20200101T000000Z-favourite.flac"
    ours[0].rename(kept)  # a person gave it a name to keep it
    folder = ClipFolder(tmp_path, max_bytes=1)
    second = ClipSink(folder, sample_rate=RATE)
    fill(second)
    second.on_record({}, closed(7))
    second.settle()
    folder.settle()
    left = {path.name for path in tmp_path.iterdir()}
    assert {path.name for path in strangers} | {kept.name} < left
    assert ours[1].name not in left
    assert len(left) == len(strangers) + 2  # and the newest clip


def test_what_a_killed_listener_left_is_swept_and_what_is_written_stays(tmp_path):
    orphan = tmp_path / ".streamsed-20200101T000000Z-Dog.0123abcd-000001.flac.part"
    orphan.write_bytes(b"half")
    stranger = tmp_path / ".streamsed-notes.flac.part"
    stranger.write_bytes(b"mine")
    ClipFolder(tmp_path, max_bytes=10**9).settle()
    assert not orphan.exists()
    assert stranger.exists()


def test_a_label_makes_no_file_name_too_long(tmp_path):
    sink = ClipSink(ClipFolder(tmp_path, max_bytes=10**9), sample_rate=RATE)
    fill(sink)
    for n, label in enumerate(("x" * 200, "é" * 200, "../" * 60, "\N{SNOWMAN}" * 200)):
        sink.on_record({}, closed(n, label=label))
    sink.settle()
    assert sink.failures() == {}
    assert len(whole_clips(tmp_path)) == 4


def test_a_kill_at_any_moment_leaves_whole_clips(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", SUPPORT)
    context = multiprocessing.get_context("forkserver")  # this process has threads
    context.set_forkserver_preload(["writer"])
    rng = np.random.default_rng(0)
    for _ in range(12):
        begun = context.Event()
        writer = context.Process(target=save_clips, args=(tmp_path, begun))
        writer.start()
        assert begun.wait(60)
        time.sleep(float(rng.uniform(0, 0.35)))
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
    ClipFolder(tmp_path, max_bytes=10**9).settle()  # sweeps
    assert len(whole_clips(tmp_path)) > 0


# Commands.


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


GRANDCHILD = "sleep 60 & echo $! >> {pids}; {then}"


def wait_for(true, seconds=30.0):
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


@pytest.mark.parametrize("then", ["wait", "exit 0", "exit 1", "exec sleep 60"])
def test_no_grandchild_survives(tmp_path, then):
    pids = tmp_path / "pids"
    command = ["sh", "-c", GRANDCHILD.format(pids=f"'{pids}'", then=then)]
    # Of those that end, none is killed because the machine is busy.
    timeout = 60.0 if "exit" in then else 1.5
    sink = ExecSink(command, timeout=timeout, patience=60.0)
    sink.on_record({"a": 1}, closed(1))
    assert wait_for(lambda: pids.exists() and pids.read_text().strip())
    sink.settle()
    (pid,) = map(int, pids.read_text().split())
    assert wait_for(lambda: not alive(pid))
    late = "took longer than 1.5 s"
    expected = {"wait": late, "exec sleep 60": late, "exit 1": "exit code 1"}
    assert sink.failures().get("reason") == expected.get(then)


def test_the_end_of_listening_kills_the_command_in_hand(tmp_path):
    pids = tmp_path / "pids"
    command = ["sh", "-c", GRANDCHILD.format(pids=f"'{pids}'", then="wait")]
    sink = ExecSink(command, timeout=60)
    for n in range(3):
        sink.on_record({"a": 1}, closed(n))
    assert wait_for(lambda: pids.exists() and pids.read_text().strip())
    sink.worker.close(timeout=0.1)
    sink.worker.close = lambda _seconds: None
    sink.settle()
    started = pids.read_text().split()
    assert len(started) == 1  # those that waited are not begun any more
    assert wait_for(lambda: not alive(int(started[0])))


# The same law for every sink.


def test_failures_of_every_sink_stand_in_the_last_record(model, tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    clips = ClipSink(ClipFolder(folder, max_bytes=10**9), sample_rate=RATE)
    clips.worker.join(0.1)
    folder.rmdir()
    commands = ExecSink(["false"])
    kept = Kept()
    events = [("Dog", 2.0, 1.0), ("Dog", 6.0, 1.0)]
    samples = bursts(events, 15.0)
    source = Given([audio_pieces(samples, [RATE] * 15)], lossless=True)
    listener = Listener(Detector(model), source, [clips, commands, kept])
    listener.run()
    (stopped,) = kept.of("stopped")
    n_events = sum(stopped["events"].values())
    assert n_events > 0
    assert stopped["failures"]["clips"]["failed"] == n_events
    assert stopped["failures"]["exec"]["failed"] == n_events
    assert "exit code 1" in stopped["failures"]["exec"]["reason"]
    assert not listener.summary.complete
