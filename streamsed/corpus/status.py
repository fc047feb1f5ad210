"""Progress of a run: a bar or lines on stderr, and `OUT/status-1-of-1.json`."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter, deque
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streamsed.atomic_write import write
from streamsed.progress import Task, task
from streamsed.terminal import print_message

FILE_EVERY = 2.0
"""Seconds between updates of the file."""

LINE_EVERY = 30.0
"""Seconds between lines if stderr is not a terminal."""

N_ERRORS = 10
"""Number of latest errors in the file."""
BEFORE = ("done before", "failed before")
"""Counts of files of earlier runs."""


class Status:
    """Count processed files and report the progress.

    Parameters
    ----------
    path : Path or None
        The JSON file; None reports nothing.
    n_files : int
        Number of files, including those already done.
    n_bytes : int
        Their total size.
    """

    def __init__(self, path: Path | None, n_files: int, n_bytes: int) -> None:
        self._path, self._n_files, self._n_bytes = path, n_files, n_bytes
        self._started = time.time()
        self._counts: Counter[str] = Counter()
        self._seconds = 0.0
        self._bytes_before = self._bytes_done = 0
        self._errors: deque[str] = deque(maxlen=N_ERRORS)
        self._written = 0.0
        self._shown = time.monotonic()
        self._work = ExitStack()
        self._task: Task | None = None
        if path is not None:
            self._task = self._work.enter_context(
                task("detecting", n_bytes / 1e6, "MB")
            )

    @property
    def counts(self) -> Counter[str]:
        """Files of this run by status."""
        return self._counts

    @property
    def seconds(self) -> float:
        """Seconds of audio of this run."""
        return self._seconds

    def skip_done(self, n_files: int, n_bytes: int, *, n_failed: int = 0) -> None:
        """Add the files of earlier runs, some of which failed."""
        self._counts["done before"] += n_files - n_failed
        self._counts["failed before"] += n_failed
        self._bytes_before += n_bytes
        if self._task is not None:
            self._task.resume(self._bytes_before / 1e6)

    def add(self, status: str, seconds: float, n_bytes: int, error: str) -> None:
        """Count a file."""
        self._counts[status] += 1
        self._seconds += seconds
        self._bytes_done += n_bytes
        if error:
            self._errors.append(error)

    def to_dict(self, state: str) -> dict[str, Any]:
        """Return the contents of the file."""
        elapsed = time.time() - self._started
        speed = self._seconds / elapsed if elapsed else 0.0
        return {
            "state": state,
            "started": _clock(self._started),
            "updated": _clock(time.time()),
            "elapsed_s": round(elapsed, 1),
            "files": self._n_files,
            "files_done": sum(self._counts.values()),
            "files_done_before": sum(self._counts[name] for name in BEFORE),
            "failed_before": self._counts["failed before"],
            **{
                name: self._counts[name]
                for name in ("ok", "empty", "failed", "skipped")
            },
            "bytes": self._n_bytes,
            "bytes_done": self._bytes_before + self._bytes_done,
            "hours_done": round(self._seconds / 3600, 4),
            "times_real_time": round(speed, 1),
            "left_s": self._left(elapsed),
            "errors": list(self._errors),
        }

    def report(self, state: str = "running") -> None:
        """Write the file and print the line, if it is time or the state is final."""
        if self._path is None:
            return
        now, final = time.monotonic(), state != "running"
        if final or now - self._written > FILE_EVERY:
            self._written = now
            write(self._path, [json.dumps(self.to_dict(state), indent=1) + "\n"])
        if self._task is not None:
            done = self._bytes_before + self._bytes_done
            self._task.update(done / 1e6, self._line())
        if final:
            self._work.close()
        if final or (now - self._shown > LINE_EVERY and not sys.stderr.isatty()):
            self._shown = now
            print_message(self._line(left=not final))
        if final and self._errors:
            print_message(f"the newest error: {self._errors[-1]}")

    def _left(self, elapsed: float) -> float | None:
        """Estimate the seconds left, from the bytes processed in this run."""
        left = self._n_bytes - self._bytes_before - self._bytes_done
        if left <= 0:
            return 0.0
        return round(elapsed * left / self._bytes_done, 1) if self._bytes_done else None

    def _line(self, *, left: bool = False) -> str:
        now = self.to_dict("")
        parts = [
            f"{now['files_done']} of {self._n_files} files",
            f"{now['hours_done']:.1f} h in {duration(now['elapsed_s'])}",
            f"{now['times_real_time']:.0f} x real time",
        ]
        for name in ("failed", "skipped"):
            if now[name]:
                parts.append(f"{now[name]} {name}")
        if now["failed_before"]:
            parts.append(f"{now['failed_before']} failed before (see --retry-failed)")
        if left and now["left_s"] is not None:
            parts.append(f"{duration(now['left_s'])} left")
        return ", ".join(parts)


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def duration(seconds: float) -> str:
    """Format seconds as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
