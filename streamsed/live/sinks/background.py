"""Run slow jobs in the background, without blocking detection; report dropped jobs."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

QUEUE_LENGTH = 100
"""Maximum number of jobs that wait for a slow program or disk."""


class Worker:
    """Run jobs one after another in a thread; drop those that do not fit in the queue.

    Parameters
    ----------
    name : str
        What the jobs are, for messages.
    length : int
        Maximum number of waiting jobs.
    at_end : callable or None
        Called once in the thread after the last job, even if `close` did not wait for
        that. It closes what the jobs use.
    """

    def __init__(
        self,
        name: str,
        *,
        length: int = QUEUE_LENGTH,
        at_end: Callable[[], None] | None = None,
    ) -> None:
        self.n_dropped = 0
        self.n_failed = 0
        self._name = name
        self._reason = ""  # of the last failure
        self._reported = [0, 0]  # numbers of dropped and of failed jobs
        self._last = ""  # time of the last failure
        self.closed = False
        self._at_end = at_end
        self._ending = False
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
        """Report dropped and failed jobs: the first, whenever their number doubles, and at the end."""
        counts = [
            (self.n_dropped, "skipped, as they take too long"),
            (self.n_failed, f"failed ({self._reason})"),
        ]
        notices = []
        for kind, (count, what) in enumerate(counts):
            reported = self._reported[kind]
            if count > (reported if self.closed else 2 * reported):
                self._reported[kind] = count
                notices.append(f"{self._name}: {count} {what}")
        return notices

    def failures(self) -> dict[str, Any]:
        """Return the numbers of failed and skipped jobs, for JSON; empty if none."""
        if not self.n_failed and not self.n_dropped:
            return {}
        counts = {"failed": self.n_failed, "left_out": self.n_dropped}
        return {**counts, "reason": self._reason, "until": self._last}

    def join(self, timeout: float = 5.0) -> None:
        """Wait for the current job."""
        self._thread.join(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Finish the waiting jobs for up to `timeout` seconds; drop the rest."""
        end = time.monotonic() + timeout
        self._ending = True
        with suppress(queue.Full):
            self._jobs.put(None, timeout=timeout)
        self._thread.join(max(0.0, end - time.monotonic()))
        if self._thread.is_alive():
            self.n_dropped += self._jobs.qsize()
        self.closed = True

    def _work(self) -> None:
        while not (self._ending and self._jobs.empty()):  # it may be too full for None
            if (job := self._jobs.get()) is None:
                break
            self._run(job)
        if self._at_end is not None:
            self._run(self._at_end)

    def _run(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception as error:  # noqa: BLE001 - reported, and the next job runs
            self._reason = str(error) or type(error).__name__
            self._last = datetime.now(UTC).isoformat(timespec="milliseconds")
            self.n_failed += 1
