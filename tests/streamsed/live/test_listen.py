import contextlib
import json
import signal
import subprocess
import sys
import time
from datetime import datetime
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from environment import ENVIRONMENT
from listening import Kept, Listening, bursts
from serving import wait_for
from sounds import RATE, scene

from streamsed.audio.microphone import Microphone
from streamsed.config import StreamConfig
from streamsed.detector import Detector
from streamsed.live.listener import Listener

PLAYED = [
    ("Speech", 0.2, 0.8),
    ("Dog", 1.6, 0.6),
    ("Speech", 2.8, 0.5),
    ("Dog", 3.9, 0.7),
]


@pytest.fixture
def listen(model_path, mic):
    """Start `streamsed listen` at the virtual microphone; ended with the test.

    It settles after a second, so that no test waits for ten.
    """
    started = []

    def start(*arguments, **options):
        fixed = ["--device", "pulse", "--model", model_path, "--step", 0.25]
        fixed += ["--settle", 1]
        environment = ENVIRONMENT | mic.environment
        one = Listening(*fixed, *arguments, environment=environment, **options)
        started.append(one)
        return one

    yield start
    for one in started:
        with one:
            pass


def records_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def check_played(closed, played=PLAYED, collar=0.2):
    """The events played, in order, each as far from the first as it was played."""
    closed = sorted(closed, key=lambda record: record["onset"])
    assert [record["label"] for record in closed] == [label for label, *_ in played]
    first = closed[0]["onset"] - played[0][1]
    for record, (_, onset, length) in zip(closed, played, strict=True):
        assert record["onset"] - first == pytest.approx(onset, abs=collar)
        assert record["offset"] - first == pytest.approx(onset + length, abs=0.25)


@pytest.mark.live
def test_what_is_played_is_reported_logged_passed_on_and_saved(listen, mic, tmp_path):
    log, out, clips = tmp_path / "log.jsonl", tmp_path / "out.jsonl", tmp_path / "clips"
    clips.mkdir()
    program = tmp_path / "program.py"
    program.write_text(f"import sys; open({str(out)!r}, 'a').write(sys.stdin.read())")
    one = listen(
        *["--log", log, "--save-clips", clips, "--clips-limit", 0.06],
        *["--save-speech", "--exec", f"'{sys.executable}' '{program}'"],
        *["--exec-on", "closed"],
    )
    one.wait_until_received()
    mic.play(bursts(PLAYED, 5.0))
    one.wait_for(lambda: len(one.of("closed")) == len(PLAYED))
    assert one.end(signal.SIGINT) == 0
    assert one.errors == ""

    check_played(one.of("closed"))
    ids = [record["id"] for record in one.of("closed", "withdrawn")]
    assert sorted(ids) == sorted(record["id"] for record in one.of("opened"))
    for record in one.of("opened"):
        assert record["offset"] is None
        assert record["at"] - record["onset"] < 0.25 + 0.3 + 0.2  # step, 0.3 s, slack
    for record, came in zip(one.records, one.came, strict=True):
        began = one.of("listening")[0]["time"]
        elapsed = came - datetime.fromisoformat(began).timestamp()
        assert -0.1 < elapsed - record["at"] < 2.5 or record["at"] == 0

    *_, stopped = one.records
    assert stopped["state"] == "stopped"
    assert stopped["lost"] == 0
    assert stopped["events"] == {"Dog": 2, "Speech": 2}
    assert records_of(log) == one.records
    assert [r["id"] for r in records_of(out)] == [r["id"] for r in one.of("closed")]
    for record in records_of(out):
        assert record["label"] in record["clip"]
    saved = sorted(clips.iterdir())
    assert 1 <= len(saved) < 4
    assert sum(path.stat().st_size for path in saved) <= 60_000
    clip, rate = soundfile.read(saved[-1], dtype="float32")
    assert rate == RATE
    assert np.abs(clip).max() == pytest.approx(0.4, abs=0.01)


@pytest.mark.live
def test_a_log_survives_a_kill_and_is_appended_to(listen, mic, tmp_path):
    log = tmp_path / "log.jsonl"
    killed = listen("--log", log)
    killed.wait_until_received()
    mic.play(bursts(PLAYED, 5.0))
    killed.wait_for(lambda: len(killed.of("closed")) >= 2)
    assert killed.end(signal.SIGKILL) == -signal.SIGKILL
    before = records_of(log)
    assert [r for r in before if r["state"] == "closed"][:2] == killed.of("closed")[:2]
    again = listen("--log", log)
    again.wait_until_received()
    assert again.end(signal.SIGTERM) == 0
    assert records_of(log) == [*before, *again.records]
    assert again.records[-1]["state"] == "stopped"


@pytest.mark.live
def test_a_lost_device_is_survived_and_times_stay_true(listen, mic):
    one = listen()
    one.wait_until_received()
    mic.play(bursts([("Speech", 0.2, 0.8)], 1.5))
    (before,) = one.wait_for(lambda: one.of("closed"))
    played = time.time()
    unloaded = time.monotonic()
    mic.unload()
    one.wait_for(lambda: one.said("is lost"))
    assert time.monotonic() - unloaded < 15  # 2 s on an idle machine
    mic.load()
    one.wait_for(lambda: one.said("is back"))
    mic.play(bursts([("Dog", 0.2, 0.6)], 1.2))
    after = one.wait_for(lambda: one.of("closed")[1:])[0]
    assert one.end(signal.SIGTERM) == 0
    (gap,) = one.of("gap")
    assert gap["reason"] == "the device was lost"
    assert before["offset"] < gap["onset"] < gap["offset"] < after["onset"]
    assert one.records[-1]["lost"] == pytest.approx(gap["offset"] - gap["onset"])
    assert after["label"] == "Dog"
    # What is reported of the second event came when the clock says it did.
    came = one.came[one.records.index(after)]
    at = [r["at"] for r in one.records], one.came
    assert after["at"] - before["at"] == pytest.approx(
        came - at[1][one.records.index(before)], abs=1.0
    )
    assert gap["offset"] - gap["onset"] > 1.5  # without it, they would lie closer
    assert came > played


@pytest.mark.live
def test_a_program_that_was_stopped_loses_nothing(listen, mic):
    one = listen()
    one.wait_until_received()
    mic.play(bursts(PLAYED, 5.0))
    time.sleep(1.0)
    one.send(signal.SIGSTOP)
    time.sleep(3.2)
    one.send(signal.SIGCONT)
    one.wait_for(lambda: len(one.of("closed")) == len(PLAYED))
    assert one.end() == 0
    check_played(one.of("closed"))
    assert one.of("gap") == []
    assert one.said("lost") == []


@pytest.mark.live
def test_a_program_that_stood_still_skips_steps_and_no_sound(heard_here, model):
    detector = Detector(model, stream=StreamConfig(step=0.25, latency=1.0, settle=1.0))
    microphone = Microphone("pulse", sample_rate=RATE)
    kept = Kept()
    listener = Listener(detector, microphone, [kept])
    deadline = time.monotonic() + 60.0
    stood_still = False

    def on_tick(snapshot):
        nonlocal stood_still
        if not stood_still and snapshot.now > 1.0:
            heard_here.play(bursts(PLAYED, 5.0))
            time.sleep(3.2)  # the card fills the ring meanwhile
            stood_still = True
        if len(kept.of("closed")) == len(PLAYED) or time.monotonic() > deadline:
            listener.stop()

    summary = listener.run(on_tick=on_tick)
    check_played(kept.of("closed"))
    assert kept.of("gap") == []
    assert summary.lost == 0
    assert summary.n_skipped > 3  # of the 12 steps that came at once


@pytest.mark.live
def test_a_reader_who_does_not_read_does_not_stop_it(mic, model_path, tmp_path):
    log = tmp_path / "log.jsonl"
    command = [sys.executable, "-m", "streamsed", "listen", "-d", "pulse", "--log", log]
    command += ["--model", model_path, "--step", "0.25", "--duration", "3"]
    with subprocess.Popen(
        command, env=ENVIRONMENT | mic.environment, stdout=subprocess.PIPE, text=True
    ) as process:
        import fcntl

        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        wait_for(lambda: log.exists() and "listening" in log.read_text())
        mic.play(bursts([("Dog", n / 4, 0.15) for n in range(1, 8)], 2.0))
        lines = iter(process.stdout)
        wait_for(lambda: "stopped" in log.read_text())  # though nobody reads
        written = [json.loads(line) for line in lines]
    assert process.returncode == 0
    assert written == records_of(log)[: len(written)]


@pytest.mark.live
def test_a_command_runs_while_the_alarm_still_rings(listen, mic, tmp_path):
    out = tmp_path / "ran.jsonl"
    out.touch()
    command = f"""sh -c 'date +%s.%N >> "{out}"; cat >> "{out}"'"""
    one = listen("--settle", 10, "--exec", command, "--label", "Dog")
    one.wait_until_received()
    mic.play(bursts([("Dog", 0.5, 8.0)], 9.0))
    (ended, *_) = one.wait_for(lambda: one.of("ended"))
    assert one.of("closed") == []
    assert one.end() == 0
    lines = out.read_text().splitlines()
    ran = {json.loads(b)["id"]: float(a) for a, b in pairwise(lines) if b[0] == "{"}
    (opened,) = [r for r in one.of("opened") if r["id"] == ended["id"]]
    onset = datetime.fromisoformat(ended["time"]).timestamp()
    assert ran[opened["id"]] - onset < 8.0  # for as long it rings
    states = [r["state"] for r in one.records if r.get("id") == opened["id"]]
    assert states[-1] == "closed"


@pytest.mark.live
def test_a_hang_up_reopens_the_log_and_listening_continues(listen, mic, tmp_path):
    log = tmp_path / "log.jsonl"
    one = listen("--log", log)
    one.wait_until_received()
    log.rename(tmp_path / "log.jsonl.1")
    one.send(signal.SIGHUP)
    one.wait_for(log.exists)
    mic.play(bursts([("Dog", 0.3, 0.7)], 1.5))
    one.wait_for(lambda: one.of("closed"))
    assert one.end(signal.SIGTERM) == 0
    older, newer = records_of(tmp_path / "log.jsonl.1"), records_of(log)
    assert newer[0]["state"] == "listening"
    assert newer[0]["time"] == older[-1]["time"]
    assert [*older, *newer[1:]] == one.records


def pcm_of(samples):
    return np.round(samples * 32767).astype("<i2").tobytes()


@pytest.fixture
def piped(streamsed, model_path):
    def run(data, *arguments, **options):
        fixed = ["listen", "--stdin", "--model", model_path, "--step", 0.5]
        done = streamsed(*fixed, *arguments, input=data, text=False, **options)
        lines = done.stdout.decode().splitlines()
        return done, [json.loads(line) for line in lines]

    return run


def test_a_pipe_gives_the_events_of_the_file(piped, streamsed, tmp_path):
    samples = scene(12.0, seed=8)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="PCM_16")
    stored, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    done, records = piped(stored.astype("<i2").tobytes())
    assert done.returncode == 0
    assert done.stderr == b""
    options = ["--step", 0.5, "--latency", 1, "--format", "jsonl"]
    filed = streamsed("file", tmp_path / "a.wav", *options).stdout
    keys = ("label", "onset", "offset", "score")
    expected = [tuple(json.loads(line)[k] for k in keys) for line in filed.splitlines()]
    got = [tuple(r[k] for k in keys) for r in records if r["state"] == "closed"]
    assert sorted(got) == sorted(expected)
    assert len(got) > 3
    assert records[-1]["heard"] == 12.0


def test_a_pipe_of_two_channels_and_another_rate_is_detected(piped):
    samples = scene(6.0, seed=9, rate=48000)
    data = np.repeat(samples[:, None], 2, axis=1).astype("<f4").tobytes()
    options = ["--rate", 48000, "--channels", 2, "--encoding", "f32"]
    done, records = piped(data, *options, "--label", "Dog", "--duration", 5)
    assert done.returncode == 0
    labels = {r["label"] for r in records if "label" in r}
    assert labels == {"Dog"}
    assert records[-1]["heard"] == 5.0


def test_a_file_is_listened_to_at_its_pace(streamsed, model_path, tmp_path):
    soundfile.write(tmp_path / "a.wav", scene(2.0), RATE)
    start = time.monotonic()
    done = streamsed(
        *["listen", "--file", tmp_path / "a.wav", "--model", model_path],
        *["--step", "auto", "--log", tmp_path / "log.jsonl"],
    )
    assert time.monotonic() - start > 2
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert records == records_of(tmp_path / "log.jsonl")
    assert 0 < records[0]["step"] <= 1.0
    assert records[-1]["heard"] == 2.0


def test_a_reader_who_leaves_ends_it(model_path):
    command = [sys.executable, "-m", "streamsed", "listen", "--stdin"]
    command += ["--model", str(model_path)]
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert b"started" in process.stdout.readline()
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            for _ in range(100):  # much longer than it needs
                process.stdin.write(pcm_of(scene(2.0)))
        assert process.wait(60) == 0
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


WRONG = {
    "--device: no input device '99'; devices: 0 pulse; 1 default": ["-d", "99"],
    "--device: no input device 'usb'; devices: 0 pulse; 1 default": ["-d", "usb"],
    "--device: 'u' matches several devices: 0 pulse; 1 default": ["-d", "u"],
    "--channel must be from 1 to 32 for pulse, not 99": [
        "-d",
        "pulse",
        "--channel",
        "99",
    ],
}


@pytest.mark.live
@pytest.mark.parametrize("says", WRONG)
def test_a_wrong_microphone_is_one_line(streamsed, model_path, mic, says):
    environment = ENVIRONMENT | mic.environment
    done = streamsed("listen", "-m", model_path, *WRONG[says], env=environment)
    assert done.stderr == f"streamsed: error: {says}\n"
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--format", "foo"], "--format must be view or jsonl, not 'foo'"),
        (["--step", "2", "--latency", "1"], "--latency must be at least --step 2.0"),
        (["--step", "0"], "--step must be positive"),
        (["--step", "nan"], "--step must be positive"),
        (["--step", "often"], "--step must be a number of seconds or auto"),
        (["--exec", "no-such-program x"], "--exec: no-such-program: no such program"),
        (["--exec", "sh 'x"], "not quoted as a shell needs it"),
        (["--save-clips", __file__], f"--save-clips {__file__}: is a file"),
        (["--clips-limit", "0"], "--clips-limit needs --save-clips"),
        (
            ["--save-clips", "no-clips", "--clips-limit", "0"],
            "--clips-limit must be positive",
        ),
        (["--cooldown", "3"], "--cooldown needs --exec"),
        (["--log-rotate", "1d"], "--log-rotate needs --log"),
        (["--pace", "2"], "--pace needs --file"),
        (["--device", "0"], "--stdin and --device cannot be combined; choose one"),
        (["--wait"], "--stdin and --wait cannot be combined; choose one"),
        (["--settle", "0"], "--settle must be positive"),
        (["--duration", "-1"], "--duration must be positive"),
        (["--encoding", "s24"], "--encoding must be s16 or f32"),
        (["--rate", "0"], "--rate must be from 1"),
        (["--channels", "2", "--channel", "3"], "--channels must be"),
        (["--label", "Cow"], "--label: unknown label 'Cow'; Labels: Speech, Dog"),
        (["--file", "a.wav"], "--stdin and --file cannot be combined"),
        (
            ["--log", f"{__file__}/log.jsonl"],
            f"--log: cannot create the folder {__file__} (file exists)",
        ),
        (
            ["--settle", "0.5", "--latency", "1"],
            "--settle must be at least --latency 1",
        ),
        (["--ignore", "Cow"], "--ignore: unknown label 'Cow'; Labels: Speech, Dog"),
        (["--sensitivity", "max"], "--sensitivity must be one of low, normal"),
        (["--confirm", "-1"], "--confirm must be at least 0"),
        (["--max-load", "2"], "--max-load must be above 0"),
        (
            ["--exec", "true", "--exec-on", "open"],
            "--exec-on must be one or more of opened",
        ),
        (["--encoding", "f32"], "this is not the expected PCM"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_option_is_one_line(streamsed, model_path, options, says):
    done = streamsed(
        *["listen", "--stdin", "--model", model_path, *options], input="\uffff" * 99
    )
    assert done.returncode == 2
    assert done.stderr.startswith("streamsed: error: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
