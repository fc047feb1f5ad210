"""Write records as JSON lines to a log or pipe, without losing any to a full disk.

A line is written completely or not at all: a partial line after a failed write is removed.
It then waits, with those after it, while writing is retried at increasing intervals. After
that, a record states from when to when writing failed.

Several programs may append to one log. Each locks the file while it writes a line or checks
the last one, so that none mistakes an unfinished line for a truncated one.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streamsed.live.sinks.base_sink import BaseSink
from streamsed.pipeline.lifecycle import EventUpdate

MAX_WAITING = 100_000
"""Maximum number of lines that wait to be written; a day of a busy street."""

FIRST_WAIT, LONGEST_WAIT = 0.1, 30.0
"""Seconds until writing is retried; doubled each time."""

NOTICE_EVERY = 600.0
"""Seconds from one notice of a failure to the next."""

LAST_TRIES = 3.0
"""Seconds of retries at the end."""


class JsonLines(BaseSink):
    """Write records as JSON lines, each immediately and completely.

    Parameters
    ----------
    descriptor : int
        An open file or pipe.
    name : str
        Name in messages and in the summary.
    clock : callable
        Monotonic time in seconds.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        name: str = "output",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._descriptor = descriptor
        self._clock = clock
        self._waiting: deque[bytes] = deque()
        self._try_at, self._wait = 0.0, FIRST_WAIT
        self._n_failed = self._n_lost = 0
        self._n_begun = self._n_reported = 0  # how often it began to fail
        self._report_at = 0.0
        self._failing_since: str = ""
        self._last = {"reason": "", "since": "", "until": ""}

    @classmethod
    def append(cls, path: Path) -> JsonLines:
        """Open a log to append to; after a kill it is complete up to the last line.

        Raises
        ------
        OSError
            The file cannot be opened.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        lines = cls(os.open(path, flags, 0o666), name="log")
        lines._end_last_line()
        return lines

    @property
    def failing(self) -> bool:
        """Whether the last attempt to write failed."""
        return bool(self._failing_since)

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:  # noqa: ARG002
        """Write one line, or keep it until it can be written.

        Raises
        ------
        BrokenPipeError
            The reader closed the pipe.
        """
        if len(self._waiting) >= MAX_WAITING:
            del self._waiting[1]  # the first may be partly written
            self._n_lost += 1
        self._waiting.append(_line(record))
        self.retry()

    def retry(self) -> None:
        """Write the waiting lines, if it is time to retry.

        Raises
        ------
        BrokenPipeError
            The reader closed the pipe.
        """
        if not self._waiting or self._clock() < self._try_at:
            return
        try:
            while self._waiting:
                self._write_first()
                if self._failing_since:
                    self._waiting.appendleft(_line(self._recovery()))
                    self._failing_since = ""
        except BrokenPipeError:
            self._waiting.clear()  # nothing reads it any more
            raise
        except OSError as error:
            self._n_failed += 1
            self._n_begun += not self._failing_since
            self._failing_since = self._failing_since or _now()
            reason = error.strerror or str(error)
            self._last = {"reason": reason, "since": self._failing_since, "until": ""}
            self._try_at = self._clock() + self._wait
            self._wait = min(2 * self._wait, LONGEST_WAIT)
        else:
            self._wait = FIRST_WAIT

    def notices(self) -> list[str]:
        """Report each failure once when it begins, but not every few seconds."""
        self.retry()
        return self.new_failures()

    def new_failures(self) -> list[str]:
        """Return the same as `notices`, without another attempt."""
        if self._n_begun == self._n_reported or self._clock() < self._report_at:
            return []
        if self._n_reported and not self.failing:
            return []
        self._n_reported = self._n_begun
        self._report_at = self._clock() + NOTICE_EVERY
        return [
            f"{self.name}: cannot be written ({self._last['reason']}); trying again"
        ]

    def failures(self) -> dict[str, Any]:
        """Return the number, reason and times of failures, and the lines lost."""
        if not self._n_failed:
            return {}
        counts = {"failed": self._n_failed, "lost": self._n_lost}
        return {**counts, "waiting": len(self._waiting), **self._last}

    def close(self) -> None:
        """Try to write the waiting lines for some seconds; leave the descriptor open."""
        end = self._clock() + LAST_TRIES
        while self._waiting:
            self._try_at = 0.0
            try:
                self.retry()
            except BrokenPipeError:
                return
            if self._waiting:
                if self._clock() >= end:
                    return
                time.sleep(FIRST_WAIT)

    def _recovery(self) -> dict[str, Any]:
        """Return the record that precedes delayed lines."""
        until = _now()
        self._last["until"] = until
        state = {"state": "notice", "text": f"{self.name}: can be written again"}
        span = {"since": self._failing_since, "until": until, "lost": self._n_lost}
        return {**state, **span}

    def _end_last_line(self) -> None:
        """Start a new line if a killed writer left the last one incomplete."""
        with locked(self._descriptor):
            size = os.fstat(self._descriptor).st_size
            if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
                self._waiting.append(b"\n")

    def _write_first(self) -> None:
        """Write the first waiting line, completely or not at all."""
        line, n_written = self._waiting[0], 0
        with locked(self._descriptor):
            try:
                while n_written < len(line):
                    n_written += os.write(self._descriptor, line[n_written:])
            except OSError:
                if n_written:
                    self._waiting[0] = line[self._kept(n_written) :]
                raise
        self._waiting.popleft()

    def _kept(self, n_written: int) -> int:
        """Remove the written part of a line; return how much of it remains."""
        try:
            if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                return n_written  # a pipe takes the rest later
            end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
            if os.fstat(self._descriptor).st_size != end:
                return 0  # another writer appended after it: start again behind that
            os.ftruncate(self._descriptor, end - n_written)
        except OSError:  # not even truncation works
            return n_written
        return 0


@contextmanager
def locked(descriptor: int) -> Iterator[None]:
    """Lock a regular file against other writers; do nothing for a pipe.

    On a file system without locks, write without them.
    """
    regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
    if regular:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if regular:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)


def _line(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    return text.encode(errors="replace") + b"\n"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
