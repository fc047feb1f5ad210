"""A command for every event, with all that it starts ended when it ends."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsed.live.background import Worker
from streamsed.pipeline.lifecycle import EventUpdate


class ExecSink:
    """Run a command for every closed event, with its record on standard input.

    Each run has a process group of its own. When its first process ends, or its time is
    over, or the listening ends, whatever is left of the group is killed.

    Parameters
    ----------
    command : sequence of str
        Program and arguments.
    timeout : float
        Seconds after which a run is killed.
    """

    name = "exec"

    def __init__(self, command: Sequence[str], *, timeout: float = 10.0) -> None:
        self._command = list(command)
        self._timeout = timeout
        self._stopping, self._stop = os.pipe()  # readable once the listening has ended
        self.worker = Worker("runs of --exec")

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Take no notice."""

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Queue a run if an event closed."""
        if update is not None and update.state == "closed":
            text = json.dumps(record, ensure_ascii=False, allow_nan=False)
            line = text.encode(errors="replace") + b"\n"
            self.worker.submit(lambda: self._run(line))

    def notices(self) -> list[str]:
        """Tell of runs that failed or were left out."""
        return self.worker.notices()

    def settle(self) -> None:
        """Let the runs that wait be done for some seconds; kill the one in hand then."""
        self.worker.close()
        os.close(self._stop)  # makes the other end readable
        self.worker.join()

    def failures(self) -> dict[str, Any]:
        """Return how many runs failed or were left out, and why."""
        return self.worker.failures()

    def close(self) -> None:
        """Do what `settle` does, unless that was done."""
        if not self.worker.closed:
            self.settle()

    def _run(self, line: bytes) -> None:
        if select.select([self._stopping], [], [], 0)[0]:
            return
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C is meant for us
        )
        ended = os.pidfd_open(process.pid)
        try:
            if process.stdin is not None:
                with suppress(BrokenPipeError), process.stdin as stdin:
                    stdin.write(line)
            watched = [ended, self._stopping]
            ready, _, _ = select.select(watched, [], [], self._timeout)
        finally:
            # It is not reaped yet, so its group's number belongs to nobody else.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
            os.close(ended)
        if ended not in ready:
            raise subprocess.TimeoutExpired(self._command, self._timeout)
        if code:
            raise subprocess.CalledProcessError(code, self._command)
