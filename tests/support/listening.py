"""Listening for the tests: the command as a user starts it, and synthetic pieces."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
from sounds import RATE, cut, silence, tone

from streamsed.audio.source import Piece

FREQUENCIES = {"Speech": 300, "Dog": 6000}
"""Which sounds the tiny model detects as which label."""


def bursts(events, seconds):
    """Sound of (label, onset, length) events, for the tiny model."""
    samples = silence(seconds)
    for label, onset, length in events:
        burst = tone(FREQUENCIES[label], length, level=0.4)
        first = round(onset * RATE)
        samples[first : first + len(burst)] += burst
    noise = np.random.default_rng(0).standard_normal(len(samples)) * 1e-4
    return samples + noise.astype(np.float32)


class Listening:
    """Start the command, and collect its records as they come."""

    def __init__(self, *arguments, environment, **options):
        command = [sys.executable, "-m", "streamsed", "listen", *map(str, arguments)]
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        self.records, self.came = [], []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.errors = ""
        self._complaints = threading.Thread(target=self._read_errors)
        self._complaints.start()

    def _read(self):
        for line in self.process.stdout:
            self.came.append(time.time())
            self.records.append(json.loads(line))

    def _read_errors(self):
        for line in self.process.stderr:
            self.errors += line

    def of(self, *states):
        return [record for record in self.records if record["state"] in states]

    def said(self, word):
        return [record for record in self.of("notice") if word in record["text"]]

    def wait_for(self, true, seconds=60.0):
        """Wait until `true()`, and return what it gives."""
        end = time.monotonic() + seconds
        while not (found := true()):
            alive = self.process.poll() is None
            assert alive, f"it ended: {self.errors}"
            assert time.monotonic() < end, f"waited in vain: {self.records}"
            time.sleep(0.02)
        return found

    def wait_until_received(self):
        return self.wait_for(lambda: self.of("listening"))

    def send(self, number):
        self.process.send_signal(number)

    def end(self, number=signal.SIGINT):
        """End it by a signal and return its exit code."""
        self.send(number)
        return self.wait()

    def wait(self, seconds=60):
        code = self.process.wait(seconds)
        for thread in (self._reader, self._complaints):
            thread.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            with contextlib.suppress(OSError):
                os.kill(self.process.pid, signal.SIGCONT)
            self.process.kill()
        self.wait()


class Given:
    """A source of given pieces, some at a time."""

    name = "given"
    capture_rate = RATE

    def __init__(self, reads, *, lossless=False, notices=()):
        self._reads = iter(reads)
        self.lossless = lossless
        self._notices = list(notices)
        self.closed = False

    def read(self):
        return next(self._reads, None)

    def wait(self, n_samples, timeout):
        pass

    def notices(self):
        notices, self._notices = self._notices, []
        return notices

    def close(self):
        self.closed = True


class Kept:
    """A sink that keeps the records it receives, and fails when it is asked to."""

    def __init__(self, fails=None, own_notices=()):
        self.records, self.samples, self.closed = [], [], False
        self._fails = fails
        self._notices = list(own_notices)
        self.name = type(self).__name__

    def settle(self):
        pass

    def failures(self):
        return {}

    def on_samples(self, samples):
        self.samples.append(samples)

    def on_record(self, record, _change):
        if self._fails is not None and record["state"] != "started":
            raise self._fails
        self.records.append(dict(record))

    def notices(self):
        notices, self._notices = self._notices, []
        return notices

    def close(self):
        self.closed = True

    def of(self, *states):
        return [record for record in self.records if record["state"] in states]


def audio_pieces(samples, sizes=()):
    return [Piece(chunk, peak=0.5) for chunk in cut(samples, sizes)]


def gap(n_samples, reason="the device was lost"):
    return Piece(np.zeros(n_samples, np.float32), missing=reason)
