"""A command for every event, with all that it starts ended when it ends."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from streamsed.live.sinks.background import Worker
from streamsed.pipeline.lifecycle import EventUpdate

MAX_STDERR = 65536
"""Bytes of what a command writes to standard error that are kept: the last."""

STATES = ("opened", "ended", "closed", "withdrawn")
"""Updates for which a command can be run."""


class ExecSink:
    """Run a command for events, with their records on standard input.

    Each run has a process group of its own. When its first process ends, or its time is
    over, or the listening ends, whatever is left of the group is killed.

    Parameters
    ----------
    command : sequence of str
        Program and arguments.
    timeout : float
        Seconds after which a run is killed.
    on : collection of str
        The states, of `STATES`, for which it is run.
    cooldown : float
        Seconds of the time line after an event for which it was run, in which no other
        event of the same label and source runs it.
    with_clips : bool
        Whether closed events come by `on_clip`, once their clip is saved.
    called : str
        What its runs are called in notices.
    """

    name = "exec"

    def __init__(
        self,
        command: Sequence[str],
        *,
        timeout: float = 10.0,
        on: Collection[str] = ("closed",),
        cooldown: float = 0.0,
        with_clips: bool = False,
        called: str = "runs of --exec",
    ) -> None:
        self._name_of_runs = called
        self._command = list(command)
        self._timeout = timeout
        self._on = frozenset(on)
        self._cooldown = cooldown
        self._with_clips = with_clips
        # By source and label: the run and number of an event, and when it was.
        self._last: dict[tuple[Any, str], tuple[tuple[Any, int], float]] = {}
        self._news: deque[str] = deque(maxlen=100)
        self._stopping, self._stop = os.pipe()  # readable once the listening has ended
        self.worker = Worker(self._name_of_runs)

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Take no notice."""

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Queue a run for an update of one of the states, unless its label cools down."""
        if update is None or (self._with_clips and update.state == "closed"):
            return
        self._consider(record, update)

    def on_clip(self, record: Mapping[str, Any], update: EventUpdate) -> None:
        """Take a closed event whose clip was saved, or was not."""
        self._consider(record, update)

    def _consider(self, record: Mapping[str, Any], update: EventUpdate) -> None:
        if update.state not in self._on:
            return
        label, at = update.event.label, float(record.get("at", 0.0))
        kind, event = (record.get("source"), label), (record.get("run"), update.id)
        last, since = self._last.get(kind, (event, at))
        same_run = last[0] == event[0]  # the time line of another begins anew
        if last != event and same_run and at - since < self._cooldown:
            return
        if last != event or kind not in self._last:
            self._last[kind] = (event, at)
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
        line = text.encode(errors="replace") + b"\n"
        about = f"{label} (event {update.id}, {update.state})"
        self.worker.submit(lambda: self._run(line, about))

    def notices(self) -> list[str]:
        """Tell of every run that failed or wrote to standard error, and of those left out."""
        news = []
        while self._news:
            news.append(self._news.popleft())
        dropped = [text for text in self.worker.notices() if "left out" in text]
        return news + dropped

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

    def _run(self, line: bytes, event: str) -> None:
        with TemporaryFile() as stderr:
            try:
                self._spawn(line, stderr)
            except Exception as error:
                said = _end_of(stderr)
                reason = f"{error}" + (f"; it wrote: {said}" if said else "")
                count = self.worker.n_failed + 1
                self._news.append(
                    f"{self._name_of_runs}: {count} failed ({reason}), for {event}"
                )
                raise RuntimeError(reason) from error
            if said := _end_of(stderr):
                self._news.append(f"{self._name_of_runs}: wrote for {event}: {said}")

    def _spawn(self, line: bytes, stderr: IO[bytes]) -> None:
        if select.select([self._stopping], [], [], 0)[0]:
            return
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
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


def _end_of(stderr: IO[bytes]) -> str:
    """Return what a command wrote, its last `MAX_STDERR` bytes."""
    size = stderr.seek(0, os.SEEK_END)
    stderr.seek(max(0, size - MAX_STDERR))
    return stderr.read().decode(errors="replace").strip()
