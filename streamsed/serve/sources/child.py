"""A program that writes sound to its standard output, in its own process group.

Processes that the program starts are ended with it. The first and last bytes of its
standard error are kept, so that it can neither fill memory nor block on a full pipe.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

from streamsed.live.readable import readable
from streamsed.serve.sources.feed import READ_SIZE

MAX_STDERR = 8192
"""Bytes kept of the beginning of standard error, and of its end."""


class Child:
    """Run a program and read its standard output: a `Feed`.

    Parameters
    ----------
    command : sequence of str
        Program and arguments.
    deadline : float
        Seconds without data after which the reader should stop it.
    burst : float
        Seconds of sound that it may deliver ahead of real time.

    Raises
    ------
    OSError
        It cannot be started.
    """

    idle_after = float("inf")
    start_limit = 30.0
    rest = 0.1  # a pipe holds three times as much
    again = True

    def __init__(
        self, command: Sequence[str], *, deadline: float, burst: float
    ) -> None:
        self.deadline, self.burst = deadline, burst
        self._out, out = os.pipe()
        self._err, err = os.pipe()
        os.set_blocking(self._err, False)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,  # Ctrl-C must reach this program only
            )
        except OSError:
            os.close(self._out)
            os.close(self._err)
            raise
        finally:
            os.close(out)
            os.close(err)
        self._ended = os.pidfd_open(self._process.pid)
        self._first = self._last = b""
        self._open = [self._out, self._err]

    def read(self, timeout: float) -> bytes | None:
        """Return its output, b"" if there is none yet, or None after its end."""
        end = time.monotonic() + timeout
        while self._out in self._open:
            left = max(0.0, end - time.monotonic())
            ready = readable(self._open, left)
            if self._err in ready:
                self._keep_stderr()
            if self._out in ready:
                if data := os.read(self._out, READ_SIZE):
                    return data
                self._open.remove(self._out)
            elif not ready or not left:
                return b""
        return None

    def stop(self, *, grace: float) -> str:
        """End the program and its child processes; return its standard error.

        Parameters
        ----------
        grace : float
            Seconds between SIGTERM and SIGKILL; 0 kills at once.
        """
        if grace:
            self._signal(signal.SIGTERM)
            readable([self._ended], grace)
        # It is not reaped yet, so its group id cannot belong to another process.
        self._signal(signal.SIGKILL)
        self._process.wait()
        if self._err in self._open:
            self._keep_stderr()
        for descriptor in (self._out, self._err, self._ended):
            os.close(descriptor)
        self._open = []
        return (self._first + self._last).decode(errors="replace")

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _keep_stderr(self) -> None:
        """Read standard error without blocking."""
        while True:
            try:
                data = os.read(self._err, READ_SIZE)
            except BlockingIOError:
                return
            if not data:
                self._open.remove(self._err)
                return
            room = MAX_STDERR - len(self._first)
            self._first += data[:room]
            self._last = (self._last + data[room:])[-MAX_STDERR:]
