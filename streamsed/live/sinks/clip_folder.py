"""Keep a folder of clips small: delete those that are too old, and the oldest ones.

A folder may hold 100 000 clips, of several listeners, and it takes seconds to read who wrote
them. So nothing waits for it: a thread deletes, and knows what it read before.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsed.live.sinks.background import Worker
from streamsed.live.sinks.base_sink import BaseSink
from streamsed.live.sinks.clip_files import (
    days_ago,
    delete_incomplete,
    first_name,
    is_clip,
    make_folder,
)
from streamsed.pipeline.lifecycle import EventUpdate

HOUR = 3600.0
"""Seconds between checks for clips that are too old."""


class ClipFolder(BaseSink):
    """A folder of limited size; as a sink it looks hourly for clips that are too old.

    Parameters
    ----------
    path : Path
        Created if it does not exist; several listeners may share it.
    max_bytes : int
        The oldest clips are deleted when the total size is larger after a clip was added;
        the newest is always kept.
    max_days : float or None
        Older clips are deleted.
    called : str
        The setting with the path, as users write it, for messages.

    Raises
    ------
    OSError
        It cannot be created, or is a file.
    """

    name = "old clips"

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int,
        max_days: float | None = None,
        called: str = "--save-clips",
    ) -> None:
        make_folder(path, called=called)
        self.path = path
        self._max_bytes = max_bytes
        self._max_days = max_days
        self._lock = threading.Lock()
        self._newest = ""  # name of the clip that was added last
        self._waiting = False  # whether a look at the folder is queued
        self._due = time.monotonic() + HOUR
        self._sizes: dict[str, int] = {}  # by name, of files that may be clips
        self._ours: dict[str, bool] = {}  # whether they are, as far as it was read
        self._worker = Worker("deletions of old clips")
        self._worker.submit(lambda: delete_incomplete(path))
        if max_days is not None:
            self._look()

    def add(self, path: Path) -> None:
        """Take note of a new clip, and delete old ones soon; from any thread."""
        with self._lock:
            self._newest = path.name
        self._look()

    def on_samples(self, samples: NDArray[np.float32]) -> None:  # noqa: ARG002 - any will do
        """Look for clips that are too old, once an hour: `listen` may report nothing for days."""
        self._look_hourly()

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:  # noqa: ARG002 - any will do
        """Look for clips that are too old, once an hour: `serve` gives it records alone."""
        self._look_hourly()

    def _look_hourly(self) -> None:
        if self._max_days is not None and time.monotonic() >= self._due:
            self._due = time.monotonic() + HOUR
            self._look()

    def notices(self) -> list[str]:
        """Report clips that could not be deleted."""
        return self._worker.notices()

    def failures(self) -> dict[str, Any]:
        """Return how often clips could not be deleted, and the reason."""
        failures = self._worker.failures()
        failures.pop("left_out", None)  # the next listener looks again
        return failures if failures.get("failed") else {}

    def settle(self) -> None:
        """Delete what is too old or too much, for up to a few seconds."""
        self.close()

    def close(self) -> None:
        """Call `settle`, unless it was called already."""
        if not self._worker.closed:
            self._worker.close()

    def _look(self) -> None:
        """Have the thread look at the folder, unless it is about to."""
        with self._lock:
            if self._waiting or self._worker.closed:
                return
            self._waiting = True
        self._worker.submit(self._delete)

    def _delete(self) -> None:
        """Delete clips that are too old, then the oldest until the rest fit."""
        with self._lock:
            self._waiting = False
            newest = self._newest
        self._list()
        oldest = "" if self._max_days is None else first_name(days_ago(self._max_days))
        total = self._total() if newest else 0  # at first, only the age counts
        failed: OSError | None = None
        for name, size in self._sizes.items():
            if total <= self._max_bytes and name >= oldest:
                break
            if name != newest and self._is_ours(name):
                try:
                    (self.path / name).unlink(missing_ok=True)
                except OSError as error:  # that one stays
                    failed = failed or error
                else:
                    total -= size
        if failed is not None:
            raise failed

    def _list(self) -> None:
        """List the files that may be clips, the oldest first, with their sizes."""
        before, self._sizes = self._sizes, {}
        for name in sorted(os.listdir(self.path)):  # noqa: PTH208 - 100 000 names
            if name.startswith("streamsed-") and name.endswith(".flac"):
                size = before.get(name)
                if size is None:
                    size = _size_of(self.path / name)
                if size is not None:
                    self._sizes[name] = size
        ours, self._ours = self._ours, {}
        self._ours = {name: ours[name] for name in self._sizes if name in ours}

    def _total(self) -> int:
        """Return the size of all clips; exactly, if it may be above the limit."""
        total = sum(self._sizes.values())
        if total <= self._max_bytes:
            return total
        return sum(size for name, size in self._sizes.items() if self._is_ours(name))

    def _is_ours(self, name: str) -> bool:
        ours = self._ours.get(name)
        if ours is None:
            ours = self._ours[name] = is_clip(self.path / name)
        return ours


def _size_of(path: Path) -> int | None:
    """Return the size of a file; None if another listener deleted it, or it is no file."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
