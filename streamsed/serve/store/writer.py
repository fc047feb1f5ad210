"""The thread that writes a store, with retries.

New records are collected in a batch, which is committed as soon as the previous one is
written. A commit that fails, because the disk is full or another program locks the file, is
retried with exponential backoff, with all records added meanwhile. Detection never waits.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streamsed.serve.store.batch import HOUR, Batch
from streamsed.serve.store.database import WriterLock, open_to_write
from streamsed.serve.store.retention import Retention

MAX_WAITING = 50_000
"""Maximum number of events that wait to be written."""

FIRST_WAIT, LONGEST_WAIT = 0.1, 30.0
"""Seconds until a commit is retried; doubled each time."""

LAST_TRIES = 1.5
"""Seconds for writing the waiting records when the program ends."""

_ABANDONED = """
    UPDATE event SET state = 'unfinished', seq = counter.seq + left_open.n
        FROM counter, (
            SELECT id, row_number() OVER (ORDER BY id) AS n FROM event
            WHERE state IN ('opened', 'updated', 'ended')
        ) AS left_open
        WHERE event.id = left_open.id;
    UPDATE counter SET seq = max(seq, (SELECT coalesce(max(seq), 0) FROM event));
"""
"""Marks events that a killed program left open."""


class StoreWriter:
    """Commit batches one after another.

    Parameters
    ----------
    path : Path
        The store; created if it does not exist.
    retention : Retention
        Limits, applied at the start and every hour.
    max_waiting : int
        Maximum number of events that wait while nothing can be written.

    Raises
    ------
    ValueError
        The file is not a store that this program can write.
    OSError
        Another process writes it, or its folder cannot be used.
    """

    def __init__(
        self, path: Path, *, retention: Retention, max_waiting: int = MAX_WAITING
    ) -> None:
        self.failing = False
        self._counts = {"failed": 0, "lost": 0}
        self._last = {"reason": "", "since": "", "until": ""}
        self._path = path
        self._retention = retention
        self._max_waiting = max_waiting
        self._batch = Batch()
        self._condition = threading.Condition()
        self._busy = False  # whether a batch is being committed
        self._end: float | None = None  # when to give up
        self._tidy_at = 0.0
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None  # of the connection
        self._marked_unfinished = False
        self._lock = WriterLock(path)
        try:
            self._open_first()
        except BaseException:
            self._lock.release()
            raise
        self._thread = threading.Thread(target=self._work, name="store", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._end is not None

    def submit(self, fill: Callable[[Batch], None]) -> None:
        """Add records to the next batch, by a function."""
        with self._condition:
            try:
                fill(self._batch)
            finally:
                self._condition.notify_all()

    def lose(self, reason: str) -> None:
        """Count a record that cannot be stored."""
        self._counts["lost"] += 1
        self._last["reason"] = reason

    def wait_until_written(self, timeout: float) -> bool:
        """Wait until all submitted records are on disk; return whether they are."""
        with self._condition:
            return self._condition.wait_for(
                lambda: not self._batch and not self._busy, timeout
            )

    def failures(self) -> dict[str, Any]:
        """Return the failures so far, for JSON; empty if there are none."""
        if not any(self._counts.values()):
            return {}
        with self._condition:
            waiting = len(self._batch) if self.failing else 0
        return {**self._counts, "waiting": waiting, **self._last}

    def close(self) -> None:
        """Write waiting records, for some seconds at most, and close the file."""
        with self._condition:
            if self._end is not None:
                return
            self._end = time.monotonic() + LAST_TRIES
            self._condition.notify_all()
        self._thread.join(2 * LAST_TRIES)
        self._lock.release()

    def _open_first(self) -> None:
        """Open the file; temporary errors, such as a lock, are left to the thread."""
        try:
            self._open()
        except sqlite3.OperationalError as error:
            self._note_failure(error)
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"{self._path}: not a store of streamsed, or a damaged one ({error}); "
                "move it away, or use another file"
            ) from error

    def _open(self) -> sqlite3.Connection:
        """Return a connection to the file that is at the path now."""
        if self._connection is not None and self._file != _identity(self._path):
            self._disconnect()  # the file was moved or deleted
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = open_to_write(self._path)
            self._file = _identity(self._path)
        if not self._marked_unfinished:
            self._connection.executescript(f"BEGIN IMMEDIATE; {_ABANDONED} COMMIT;")
            self._marked_unfinished = True
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _work(self) -> None:
        wait = FIRST_WAIT
        while (batch := self._next()) is not None:
            try:
                batch.write(self._open())
            except (sqlite3.IntegrityError, sqlite3.ProgrammingError) as error:
                for _ in range(max(1, len(batch))):  # a retry would fail too
                    self.lose(str(error))
            except (sqlite3.Error, OSError, ValueError) as error:
                self._keep(batch, error, wait)
                wait = min(2 * wait, LONGEST_WAIT)
                continue
            self._note_success()
            wait = FIRST_WAIT
            self._tidy()
        self._disconnect()

    def _next(self) -> Batch | None:
        """Wait for records to write; None ends the thread."""
        with self._condition:
            self._busy = False
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._batch or self.closed)
            is_over = self._end is not None and time.monotonic() >= self._end
            if not self._batch or (is_over and self.failing):
                self._counts["lost"] += len(self._batch)
                return None
            batch, self._batch = self._batch, Batch()
            self._busy = True
            return batch

    def _keep(self, batch: Batch, error: Exception, wait: float) -> None:
        """Put back a batch that could not be written, and wait."""
        self._disconnect()
        with self._condition:
            self._batch.put_before(batch)
            self._counts["lost"] += self._batch.drop_oldest(self._max_waiting)
            self._note_failure(error)
            if self.closed:
                self._condition.wait(FIRST_WAIT)
            else:
                self._condition.wait_for(lambda: self.closed, wait)

    def _note_failure(self, error: Exception) -> None:
        self._counts["failed"] += 1
        if not self.failing:
            self._last["since"] = _now()
        self._last |= {"reason": str(error), "until": ""}
        self.failing = True

    def _note_success(self) -> None:
        if not self.failing:
            return
        self.failing = False
        self._last["until"] = _now()
        since, lost = self._last["since"], self._counts["lost"]
        text = f"store: could not be written from {since} on; {lost} records are lost"
        self.submit(lambda batch: batch.notices.append((time.time(), "", text)))

    def _tidy(self) -> None:
        """Apply the limits of age and size, once an hour."""
        if self._connection is None or time.monotonic() < self._tidy_at:
            return
        self._tidy_at = time.monotonic() + HOUR
        try:
            self._retention.apply(self._connection, time.time())
        except sqlite3.Error as error:
            self._disconnect()
            self._counts["failed"] += 1
            self._last["reason"] = str(error)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        there = os.stat(path)  # noqa: PTH116 - a Path would do the same
    except FileNotFoundError:
        return None
    return there.st_dev, there.st_ino


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
