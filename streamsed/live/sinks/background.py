"""Slow work beside the detection: never in its way, never dropped in silence."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

QUEUE_LENGTH = 100
"""Jobs that wait for a slow program or disk."""


class Worker:
    """Do jobs one after another in a thread, dropping those that do not fit.

    Parameters
    ----------
    name : str
        What the jobs are, for people.
    length : int
        Jobs that may wait.
    """

    def __init__(self, name: str, *, length: int = QUEUE_LENGTH) -> None:
        self.n_dropped = 0
        self.n_failed = 0
        self._name = name
        self._reason = ""  # of the last failure
        self._told = [0, 0]  # of the dropped and of the failed ones
        self._last = ""  # when it was
        self.closed = False
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(length)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], None]) -> bool:
        """Queue a job, or count it as dropped; return whether it was queued."""
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self.n_dropped += 1
            self._last = datetime.now(UTC).isoformat(timespec="milliseconds")
            return False
        return True

    def notices(self) -> list[str]:
        """Tell of jobs dropped or failed: when it began, when they doubled, in the end."""
        news = [
            (self.n_dropped, "left out, for they take too long"),
            (self.n_failed, f"failed ({self._reason})"),
        ]
        notices = []
        for kind, (count, what) in enumerate(news):
            told = self._told[kind]
            if count > (told if self.closed else 2 * told):
                self._told[kind] = count
                notices.append(f"{self._name}: {count} {what}")
        return notices

    def failures(self) -> dict[str, Any]:
        """Return how many jobs failed or were left out, for JSON; empty if none."""
        if not self.n_failed and not self.n_dropped:
            return {}
        counts = {"failed": self.n_failed, "left_out": self.n_dropped}
        return {**counts, "reason": self._reason, "until": self._last}

    def join(self, timeout: float = 5.0) -> None:
        """Wait for the job in hand."""
        self._thread.join(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Let the jobs that wait be done for `timeout` seconds; drop the rest."""
        end = time.monotonic() + timeout
        with suppress(queue.Full):
            self._jobs.put(None, timeout=timeout)
        self._thread.join(max(0.0, end - time.monotonic()))
        if self._thread.is_alive():
            self.n_dropped += self._jobs.qsize()
        self.closed = True

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception as error:  # noqa: BLE001 - it is told, and the next is done
                self._reason = str(error) or type(error).__name__
                self._last = datetime.now(UTC).isoformat(timespec="milliseconds")
                self.n_failed += 1
