"""The view, through a pseudo-terminal: what a person sees, and what stays behind."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import numpy as np
import pyte
import pytest
import soundfile
from environment import ENVIRONMENT
from listening import bursts
from sounds import RATE

SOUNDS = [("Speech", 0.5, 1.0), ("Dog", 2.0, 0.7), ("Speech", 3.5, 1.0)]


IN_TERMINAL = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # Ctrl-C comes from the terminal
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup, around the tests, ignores
python = sys.executable
os.execv(python, [python, "-m", "streamsed", "listen", *sys.argv[1:]])
"""


class Terminal:
    """A terminal of some size, with a program in it."""

    def __init__(self, *arguments, size, environment=ENVIRONMENT):
        width, height = size
        self.screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self.screen)
        self.sent = b""
        self._master, slave = pty.openpty()
        self._set_size(slave, size)
        self.before = termios.tcgetattr(slave)
        fixed = ("COLUMNS", "LINES")  # a terminal has its own
        environment = {k: v for k, v in environment.items() if k not in fixed}
        self.process = subprocess.Popen(
            [sys.executable, "-c", IN_TERMINAL, *map(str, arguments)],
            env=environment | {"TERM": "xterm-256color"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        self._slave = slave

    def _set_size(self, descriptor, size):
        width, height = size
        packed = struct.pack("HHHH", height, width, 0, 0)
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, packed)

    def resize(self, size):
        self._set_size(self._master, size)
        self.screen.resize(lines=size[1], columns=size[0])

    def type(self, keys):
        os.write(self._master, keys)

    @property
    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self):
        return "\n".join(self.lines)

    def watch(self, until, seconds=120.0):
        """Take what the program writes until `until()`, or its end."""
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, f"waited in vain:\n{self.text}"
            if select.select([self._master], [], [], 0.05)[0]:
                data = os.read(self._master, 1 << 16)
                self.sent += data
                self._stream.feed(data)

    def end(self):
        """Watch until the program has ended; return its exit code."""
        self.watch(lambda: self.process.poll() is not None)
        drained = time.monotonic() + 0.3
        self.watch(lambda: time.monotonic() > drained)
        return self.process.returncode

    @property
    def restored(self):
        """Whether the terminal is as it was: main screen, cursor, modes."""
        modes = termios.tcgetattr(self._slave) == self.before
        left = self.sent.count(b"\x1b[?1049h") == self.sent.count(b"\x1b[?1049l")
        shown = self.sent.rfind(b"\x1b[?25h") >= self.sent.rfind(b"\x1b[?25l")
        return modes and left and shown

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._slave)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("recording") / "played.wav"
    soundfile.write(path, bursts(SOUNDS, 240.0), RATE, subtype="FLOAT")
    return path


@pytest.fixture
def view(model_path, recording):
    opened = []

    def open_it(*arguments, size=(80, 24), **options):
        if not arguments:
            arguments = ["--file", recording]
        fixed = ["--model", model_path, "--step", 0.25]
        terminal = Terminal(*fixed, *arguments, size=size, **options)
        opened.append(terminal)
        return terminal

    yield open_it
    for terminal in opened:
        with terminal:
            pass


def lane_of(terminal, label):
    lines = [line for line in terminal.lines if line.startswith(f"{label} ")]
    return lines[0] if len(lines) == 1 else ""


def listed(terminal):
    """Labels and lengths of the events in the list, newest first."""
    is_event = re.compile(r"  \d\d:\d\d:\d\d\.\d\d ")
    rows = [line.split() for line in terminal.lines if is_event.match(line)]
    return [(row[-1], row[1]) for row in rows]


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_the_view_shows_status_level_lanes_and_events(view, size):
    terminal = view(size=size)
    terminal.watch(lambda: "ongoing" in terminal.text)
    assert "█" in lane_of(terminal, "Speech")
    terminal.watch(
        lambda: len(listed(terminal)) == 3 and "ongoing" not in terminal.text
    )
    status, level, *_ = terminal.lines
    for shown in (
        "played.wav",
        "44100 Hz",
        "step 0.25 s",
        "latency 1.0 s",
        "lost 0.0 s",
    ):
        assert shown in status
    assert "load " in status
    assert level.startswith("level")
    assert "dB" in level
    assert [label for label, _ in listed(terminal)] == ["Speech", "Dog", "Speech"]
    assert [float(length) for _, length in listed(terminal)] == pytest.approx(
        [1.0, 0.7, 1.0], abs=0.25
    )
    for label in ("Speech", "Dog"):
        lane = lane_of(terminal, label)
        assert len(lane) == size[0]
        assert len(lane.split("█")[0]) < len(lane) - 10
        assert float(lane.split()[-1]) <= 1
    assert all(len(line) <= size[0] for line in terminal.lines)
    terminal.type(b"\x03")
    assert terminal.end() == 0
    assert terminal.restored
    # The summary is on the main screen. (pyte has but one screen and no saved cursor:
    # there the first word may stand where the view's last line ended.)
    before, _, rest = terminal.sent.partition(b"\x1b[?1049h")
    view, _, after = rest.partition(b"\x1b[?1049l")
    for word in (b"listened", b"Speech", b"real-time factor"):
        assert word in after
    # Nothing else was ever written to the main screen and what scrolls off it.
    assert len(before) < 20
    assert len(after) < 1000
    assert after.count(b"\n") < 12
    assert len(view) > 20 * size[0]


def test_the_view_follows_the_size_of_the_terminal(view, tmp_path):
    played = tmp_path / "played.wav"  # longer than a busy machine takes
    soundfile.write(played, bursts(SOUNDS, 600.0), RATE)
    terminal = view("--file", played, size=(80, 24))
    terminal.watch(lambda: "level" in terminal.text)
    for size in [(132, 40), (90, 24), (80, 10)]:
        terminal.resize(size)
        terminal.watch(lambda size=size: len(lane_of(terminal, "Dog")) == size[0])
        again = time.monotonic() + 0.6
        terminal.watch(lambda again=again: time.monotonic() > again)
        assert terminal.lines[0].startswith("played.wav")
        assert sum(line.startswith("level") for line in terminal.lines) == 1
    terminal.type(b"\x03")
    assert terminal.end() == 0
    assert terminal.restored


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_restored_after_a_signal(view, number, tmp_path):
    terminal = view()
    terminal.watch(lambda: "level" in terminal.text)
    terminal.process.send_signal(number)
    assert terminal.end() == 0
    assert terminal.restored


def test_the_terminal_is_restored_after_a_second_ctrl_c(view, tmp_path, recording):
    slow = f"'{sys.executable}' -c 'import time; time.sleep(60)'"
    terminal = view("--file", recording, "--exec", slow)
    terminal.watch(
        lambda: len(listed(terminal)) >= 1 and "ongoing" not in terminal.text
    )
    time.sleep(1.2)  # until it is closed
    terminal.type(b"\x03")
    pause = time.monotonic() + 1.0
    terminal.watch(lambda: time.monotonic() > pause)
    assert terminal.process.poll() is None  # it waits for the command
    terminal.type(b"\x03")
    start = time.monotonic()
    assert terminal.end() == 130
    assert time.monotonic() - start < 30  # the command sleeps for a minute
    assert terminal.restored


def test_the_terminal_is_restored_after_an_error(view, tmp_path):
    samples = bursts(SOUNDS, 5.0)
    samples[2 * RATE] = np.nan
    soundfile.write(tmp_path / "bad.wav", samples, RATE, subtype="FLOAT")
    terminal = view("--file", tmp_path / "bad.wav")
    assert terminal.end() == 2
    assert terminal.restored
    assert "streamsed: error: " in terminal.text


def test_what_is_not_a_terminal_gets_no_view(streamsed, model_path, recording):
    done = streamsed(
        *["listen", "--file", recording, "--model", model_path, "--duration", 1]
    )
    assert "\x1b" not in done.stdout
    assert json.loads(done.stdout.splitlines()[0])["state"] == "started"


@pytest.mark.live
def test_the_view_shows_the_microphone_its_loss_and_return(view, mic):
    environment = ENVIRONMENT | mic.environment
    terminal = view("--device", "pulse", environment=environment)
    terminal.watch(lambda: terminal.lines[0].startswith("pulse  44100 Hz"))
    mic.play(bursts(SOUNDS[:1], 1.7))
    terminal.watch(lambda: len(listed(terminal)) == 1)
    mic.unload()
    terminal.watch(lambda: "pulse is lost" in terminal.text)
    mic.load()
    terminal.watch(lambda: "s of sound lost: the device was lost" in terminal.text)
    assert "lost 0.0 s" not in terminal.lines[0]
    assert "Stream error" not in terminal.text
    terminal.type(b"\x03")
    assert terminal.end() == 0
    assert terminal.restored
