"""Run a command for every event, and end all processes that it started."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from streamsed.live.readable import readable
from streamsed.live.sinks.background import Worker
from streamsed.live.sinks.base_sink import BaseSink
from streamsed.pipeline.lifecycle import EventUpdate

MAX_STDERR = 65536
"""Last bytes of a command's standard error that are kept."""

STATES = ("opened", "ended", "closed", "withdrawn")
"""States of events for which a command can be run."""


class ExecSink(BaseSink):
    """Run a command for events, with their records on standard input.

    Each run has its own process group. When its first process ends, at the time-out, or at
    the end of listening, the rest of the group is killed.

    Parameters
    ----------
    command : sequence of str
        Program and arguments.
    timeout : float
        Seconds after which a run is killed.
    on : collection of str
        The states, among `STATES`, for which it is run.
    cooldown : float
        Seconds after a run during which it is not run for other events of the same label
        and source: of the time line, and by the clock between two time lines.
    with_clips : bool
        Whether closed events arrive by `on_clip`, after their clip was saved.
    called : str
        What its runs are called in messages.
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
        patience: float = 5.0,
    ) -> None:
        self._name_of_runs = called
        self._patience = patience
        self._command = list(command)
        self._timeout = timeout
        self._on = frozenset(on)
        self._cooldown = cooldown
        self._with_clips = with_clips
        # By source and label: the run and number of an event, and its times.
        self._last: dict[tuple[Any, str], tuple[tuple[Any, int], float, float]] = {}
        self._messages: deque[str] = deque(maxlen=100)
        self._stopping, self._stop = os.pipe()  # readable after the end of listening
        self.worker = Worker(
            self._name_of_runs, at_end=lambda: os.close(self._stopping)
        )

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Queue a run for an update in one of the states, unless in the cooldown."""
        if update is None or (self._with_clips and update.state == "closed"):
            return
        self._consider(record, update)

    def on_clip(self, record: Mapping[str, Any], update: EventUpdate) -> None:
        """Queue a run for a closed event, after its clip was saved or skipped."""
        self._consider(record, update)

    def _consider(self, record: Mapping[str, Any], update: EventUpdate) -> None:
        if update.state not in self._on:
            return
        label, at = update.event.label, float(record.get("at", 0.0))
        kind, event = (record.get("source"), label), (record.get("run"), update.id)
        clock = _clock_of(record)
        last, since, clock_then = self._last.get(kind, (event, at, clock))
        if last[0] == event[0]:
            elapsed = at - since
        else:  # the time line of another run starts at 0, and the clock may have been set
            elapsed = clock - clock_then if clock >= clock_then else math.inf
        if last != event and elapsed < self._cooldown:
            return
        if last != event or kind not in self._last:
            self._last[kind] = (event, at, clock)
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
        line = text.encode(errors="replace") + b"\n"
        about = f"{label} (event {update.id}, {update.state})"
        self.worker.submit(lambda: self._run(line, about))

    def notices(self) -> list[str]:
        """Report failed runs, runs that wrote to standard error, and skipped runs."""
        messages = []
        while self._messages:
            messages.append(self._messages.popleft())
        dropped = [text for text in self.worker.notices() if "skipped" in text]
        return messages + dropped

    def settle(self) -> None:
        """Finish the waiting runs for some seconds; then kill the current one."""
        self.worker.close(self._patience)
        os.close(self._stop)  # makes the other end readable
        self.worker.join()

    def failures(self) -> dict[str, Any]:
        """Return the numbers of failed and skipped runs, and the reason."""
        return self.worker.failures()

    def close(self) -> None:
        """Do what `settle` does, unless that was done."""
        if not self.worker.closed:
            self.settle()

    def _run(self, line: bytes, event: str) -> None:
        with _file_for_stderr() as stderr:
            try:
                self._spawn(line, stderr)
            except Exception as error:
                said = _end_of(stderr)
                reason = _reason(error) + (f"; stderr: {said}" if said else "")
                count = self.worker.n_failed + 1
                self._messages.append(
                    f"{self._name_of_runs}: {count} failed ({reason}) for {event}"
                )
                raise RuntimeError(reason) from error
            if said := _end_of(stderr):
                self._messages.append(
                    f"{self._name_of_runs}: stderr for {event}: {said}"
                )

    def _spawn(self, line: bytes, stderr: IO[bytes]) -> None:
        if readable([self._stopping], 0):
            return
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,  # Ctrl-C is meant for the listener
        )
        ended = os.pidfd_open(process.pid)
        try:
            if process.stdin is not None:
                with suppress(BrokenPipeError), process.stdin as stdin:
                    stdin.write(line)
            ready = readable([ended, self._stopping], self._timeout)
        finally:
            # It is not reaped yet, so its group id cannot belong to another process.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
            os.close(ended)
        if ended not in ready:
            raise subprocess.TimeoutExpired(self._command, self._timeout)
        if code:
            raise subprocess.CalledProcessError(code, self._command)


def _reason(error: Exception) -> str:
    """Return why a run failed, without the command, which the user knows."""
    if isinstance(error, subprocess.CalledProcessError):
        code = error.returncode
        return f"exit code {code}" if code > 0 else f"ended by signal {-code}"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"took longer than {error.timeout:g} s"
    return str(error)


def _clock_of(record: Mapping[str, Any]) -> float:
    """Return when a record was made, in seconds since 1970; nan if it does not say so."""
    try:
        onset = datetime.fromisoformat(str(record["time"])).timestamp()
        return onset + float(record["at"]) - float(record["onset"])
    except (KeyError, ValueError):
        return math.nan


def _file_for_stderr() -> IO[bytes]:
    """Return a temporary file, or the null device: a full disk must stop no command."""
    try:
        return TemporaryFile()
    except OSError:
        return Path(os.devnull).open("r+b")


def _end_of(stderr: IO[bytes]) -> str:
    """Return the last `MAX_STDERR` bytes that a command wrote."""
    size = stderr.seek(0, os.SEEK_END)
    stderr.seek(max(0, size - MAX_STDERR))
    return stderr.read().decode(errors="replace").strip()
