"""Many sources for the tests: a camera, a radio's server, and a service that detects in them."""

import contextlib
import http.server
import shutil
import signal
import struct
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ports import free_port
from sounds import RATE

from streamsed.audio.source import Piece
from streamsed.serve.service import Service
from streamsed.serve.settings import SourceSettings, read_serve_settings

SYSTEM_PYTHON = "/usr/bin/python3"
CAMERA = Path(__file__).with_name("rtsp_camera.py")


def wait_for(true, seconds=60.0, *, why=lambda: ""):
    """Wait until `true()`, and return what it gives."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, f"waited in vain {why()}"
        time.sleep(0.02)
    return found


class KeptRecords:
    """An output that keeps the records it receives."""

    name = "reported"

    def __init__(self):
        self.records = []

    def on_samples(self, _):
        pass

    def on_record(self, record, _):
        self.records.append(record)

    def notices(self):
        return []

    def failures(self):
        return {}

    def settle(self):
        pass

    def close(self):
        pass

    def of(self, *states, source=None):
        return [
            record
            for record in list(self.records)
            if record["state"] in states and source in (None, record["source"])
        ]


class Played:
    """A source that gives what a test puts into it."""

    capture_rate = RATE
    last_audio = float("-inf")
    n_reconnects = 0
    waiting = 0.0

    def __init__(self):
        self.state, self.reason = "running", ""
        self.next, self.queued, self.closed = [], [], False

    def give(self, samples, missing=""):
        for start in range(0, len(samples), RATE // 4):
            self.next.append(Piece(samples[start : start + RATE // 4], missing))

    def read(self):
        pieces, self.next = self.next[:1], self.next[1:]
        return pieces if pieces or self.state != "ended" else None

    def notices(self):
        notices, self.queued = self.queued, []
        return notices

    def stop(self):
        self.closed = True

    def close(self):
        self.closed = True
        self.state = self.state if self.state == "ended" else "stopped"


def visit_all(channel, source):
    while source.next:
        channel.visit()
    channel.visit()


BARKS = [("Dog", 1.0, 1.0), ("Speech", 5.0, 1.0), ("Dog", 9.0, 1.0)]
"""In every segment there is something, or the tiny model would hear the noise."""


class Camera:
    """An RTSP server that plays samples to each client, from their beginning."""

    def __init__(self, folder, samples, *credentials):
        if shutil.which("ffmpeg") is None or not _has_gstreamer():
            pytest.skip("needs ffmpeg, python3-gi and gir1.2-gst-rtsp-server-1.0")
        self._raw = folder / "camera.raw"
        self._raw.write_bytes((samples * 32767).astype("<i2").tobytes())
        self._credentials = credentials
        self.port = free_port()
        self.url = f"rtsp://127.0.0.1:{self.port}/sound"
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [SYSTEM_PYTHON, CAMERA, str(self.port), self._raw, *self._credentials],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"

    def drop(self, share):
        self.process.stdin.write(f"drop {share}\n")
        self.process.stdin.flush()

    def pause(self):
        """Say nothing any more, with all connections open."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def _has_gstreamer():
    code = "import gi; gi.require_version('GstRtspServer', '1.0')"
    with contextlib.suppress(OSError):
        run = subprocess.run(
            [SYSTEM_PYTHON, "-c", code], capture_output=True, check=False
        )
        return run.returncode == 0
    return False


class Radio:
    """An HTTP server of endless sound, in this process.

    `/live` plays `samples` again and again as time passes, `/flood` as fast as it is read,
    `/dies` ends after two seconds, `/silent` answers and sends nothing, `/locked` is
    forbidden, `/FILE` is a file of `folder`.
    """

    def __init__(self, folder, samples):
        if shutil.which("ffmpeg") is None:
            pytest.skip("needs ffmpeg")
        self.folder = folder
        self.data = (samples * 32767).astype("<i2").tobytes()
        self.closing = threading.Event()
        radio = self

        class Handler(_Handler):
            owner = radio

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.split("?")[0].lstrip("/")
        if path == "locked":
            self.send_error(401)
        elif path in ("live", "flood", "dies", "silent"):
            self.send_response(200)
            self.send_header("Content-Type", "audio/wav")
            self.end_headers()
            with contextlib.suppress(OSError):
                self._play(path)
        elif (self.owner.folder / path).is_file():
            self.send_response(200)
            self.end_headers()
            self.wfile.write((self.owner.folder / path).read_bytes())
        else:
            self.send_error(404)

    def _play(self, kind):
        header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 2**32 - 1, b"WAVE", b"fmt ",
                             16, 1, 1, RATE, 2 * RATE, 2, 16, b"data", 2**32 - 1)  # fmt: skip
        self.wfile.write(header if kind != "silent" else b"")
        began, n_sent, block = time.monotonic(), 0, 2 * RATE // 10
        data = self.owner.data
        while not self.owner.closing.is_set():
            seconds = time.monotonic() - began
            if kind == "silent":
                self.owner.closing.wait(0.1)
            elif kind == "dies" and seconds > 2:
                return
            elif kind != "flood" and n_sent > seconds * 2 * RATE:
                self.owner.closing.wait(0.05)
            else:
                at = n_sent % len(data)
                self.wfile.write(data[at : at + block])
                n_sent += len(data[at : at + block])

    def log_message(self, *_):
        pass


class Home:
    """A service with the tiny model, and what it reports."""

    def __init__(self, folder, model, text, sources):
        self.file = folder / "home.toml"
        self.folder, self.model, self.text = folder, model, text
        self.said = []
        self.reported = KeptRecords()
        self.service = Service(
            self.settings(sources), print_message=self.said.append, model=model
        )
        self.service.fan_out.replace([], [self.reported])
        self.began = time.monotonic()
        self.service.start()

    def settings(self, sources):
        lines = ['settle = 2\nstep = 0.5\n[[source]]\nname = "x"\nurl = "-"', self.text]
        self.file.write_text("\n".join(lines))
        read = read_serve_settings(self.file)
        made = tuple(SourceSettings(name=n, **how) for n, how in sources.items())
        return replace(read, info=self.model.info, sources=made)

    def service_clock(self):
        """Seconds since the service began."""
        return time.monotonic() - self.began

    def status(self, name):
        return next(s for s in self.service.sources() if s.name == name)

    def wait_until(self, name, *states, seconds=60.0):
        return wait_for(
            lambda: self.status(name).state in states,
            seconds,
            why=lambda: f"{self.service.sources()} {self.said}",
        )

    def wait_for(self, true, seconds=60.0):
        why = lambda: f"{self.service.sources()} {self.reported.records[-20:]}"
        return wait_for(true, seconds, why=why)

    def wait_listened(self, name, seconds):
        """Wait until so much more of a source was received."""
        enough = self.status(name).listened + seconds
        self.wait_for(lambda: self.status(name).listened >= enough)

    def closed(self, name, label=None):
        """Events of a source that closed, as (label, onset)."""
        return [
            (r["label"], r["onset"])
            for r in self.reported.of("closed", source=name)
            if label in (None, r["label"])
        ]


@contextlib.contextmanager
def home_of(folder, model, *, text="", **sources):
    """Give a `Home` that is stopped in the end."""
    home = Home(folder, model, text, sources)
    try:
        yield home
    finally:
        home.service.stop()


def endless_bursts(n_seconds, every=2.0):
    """A bark of half a second every so often, for the tiny model, in float32."""
    from listening import bursts

    n = int(n_seconds / every)
    return bursts([("Dog", 0.5 + every * i, 0.5) for i in range(n)], n_seconds)


def gaps_between(onsets):
    return np.diff(np.array(onsets))
