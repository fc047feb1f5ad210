"""Save the sound of every event as a file, in a folder of limited size.

A clip with speech is not saved unless requested; this is decided for the whole clip,
including the sound before the event, before any of it is written. A clip is named after
the clock time and label of its event, and only its owner may read it.

It is written to a temporary name (`.NAME.part`) and renamed when complete, so a file with
its final name can be played. Only clips of the program are ever deleted; see `clip_files`.
"""

from __future__ import annotations

import fcntl
import io
import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from streamsed.atomic_write import publish
from streamsed.live.sinks.background import Worker
from streamsed.live.sinks.clip_files import (
    clip_name,
    days_ago,
    delete_incomplete,
    first_name,
    is_clip,
    make_folder,
    mark,
    part_of,
)
from streamsed.live.sinks.speech_guard import SpeechGuard
from streamsed.pipeline.lifecycle import EventUpdate

PRE_ROLL = 1.0
"""Seconds of sound saved before an event."""

POST_ROLL = 0.5
"""Seconds of sound saved after an event."""

CLIP_HISTORY = 120.0
"""Seconds of sound buffered for clips; of longer events the end is saved."""

HOUR = 3600.0
"""Seconds between checks for clips that are too old."""


class ClipSink:
    """Save the sound of every closed event, and limit the size of the folder.

    Parameters
    ----------
    folder : Path
        Created if it does not exist; several listeners may share it.
    sample_rate : int
        Hz.
    max_bytes : int
        The oldest clips are deleted when the total size is larger; the newest is always
        kept.
    max_days : float or None
        Older clips are deleted.
    guard : SpeechGuard or None
        Detects speech in clips; None saves them all.
    called : str
        The setting with the folder, as users write it, for messages.
    on_saved : callable or None
        Called with the record and update of each closed event afterwards; the record has
        the path of its clip if there is one.
    """

    name = "clips"

    def __init__(
        self,
        folder: Path,
        *,
        sample_rate: int,
        max_bytes: int,
        max_days: float | None = None,
        guard: SpeechGuard | None = None,
        called: str = "--save-clips",
        on_saved: Callable[[Mapping[str, Any], EventUpdate], None] | None = None,
    ) -> None:
        make_folder(folder, called=called)
        self._folder = folder
        self._rate = sample_rate
        self._max_bytes = max_bytes
        self._max_days = max_days
        self._guard = guard
        self._on_saved = on_saved
        self._n_withheld = 0  # not saved because of speech
        self._n_reported = 0
        self._look_at = time.monotonic() + HOUR
        self._history: deque[NDArray[np.float32]] = deque()
        self._end = 0  # end of the buffer, in samples from the start
        self._n_buffered = 0  # samples in the buffer
        self._run = secrets.token_hex(4)
        self._known: dict[str, bool] = {}  # by file name: whether it is one of ours
        self.worker = Worker("clips")
        self.worker.submit(lambda: delete_incomplete(folder))

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Buffer the latest samples."""
        self._history.append(samples)
        self._end += len(samples)
        self._n_buffered += len(samples)
        while self._n_buffered - len(self._history[0]) > CLIP_HISTORY * self._rate:
            self._n_buffered -= len(self._history.popleft())
        if self._max_days is not None and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + HOUR
            self.worker.submit(lambda: self._keep_small(None))

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Queue the clip of a closed event, unless it contains speech."""
        if update is None or update.state != "closed":
            return
        first = self._end - self._n_buffered
        start = max(first, round((update.event.onset - PRE_ROLL) * self._rate))
        stop = min(self._end, round((update.event.offset + POST_ROLL) * self._rate))
        stop = max(start, stop)  # equal if the whole event is older than the buffer
        span = start / self._rate, stop / self._rate
        if self._guard is not None and self._guard.has_speech(*span):
            self._n_withheld += 1
            self._report(record, update)
            return
        clip = np.concatenate(list(self._history))[start - first : stop - first]
        path = self._folder / self._name(record, update)
        if not self.worker.submit(
            lambda: self._save_and_report(path, clip, record, update)
        ):
            self._report(record, update)

    def notices(self) -> list[str]:
        """Report clips that could not be written, were skipped, or contain speech."""
        notices = self.worker.notices()
        if self._n_withheld > (
            self._n_reported if self.worker.closed else 2 * self._n_reported
        ):
            self._n_reported = self._n_withheld
            notices.append(f"clips: {self._n_withheld} not saved because of speech")
        return notices

    def settle(self) -> None:
        """Write the waiting clips."""
        self.worker.close()

    def failures(self) -> dict[str, Any]:
        """Return the numbers of failed and skipped clips, and the reason."""
        return self.worker.failures()

    def close(self) -> None:
        """Call `settle`, unless it was called already."""
        if not self.worker.closed:
            self.settle()

    def _name(self, record: Mapping[str, Any], update: EventUpdate) -> str:
        """Name a clip after the clock time and label of its event."""
        when = datetime.now(UTC)
        with suppress(KeyError, ValueError):
            when = datetime.fromisoformat(record["time"]).astimezone(UTC)
        return clip_name(when, update.event.label, run=self._run, number=update.id)

    def _report(self, record: Mapping[str, Any], update: EventUpdate) -> None:
        if self._on_saved is not None:
            self._on_saved(record, update)

    def _save_and_report(
        self,
        path: Path,
        clip: NDArray[np.float32],
        record: Mapping[str, Any],
        update: EventUpdate,
    ) -> None:
        try:
            self._save(path, clip)
            record = {**record, "clip": str(path)}
        finally:
            self._report(record, update)

    def _save(self, path: Path, clip: NDArray[np.float32]) -> None:
        if not len(clip):
            raise ValueError(
                f"the event closed more than {CLIP_HISTORY:.0f} s after its end; "
                "a shorter min_gap closes it sooner"
            )
        packed = io.BytesIO()  # libsndfile does not report a full disk
        with soundfile.SoundFile(
            packed, "w", self._rate, 1, subtype="PCM_16", format="FLAC"
        ) as out:
            out.comment = mark(path.name)
            out.write(np.clip(clip, -1, 1))
        part = part_of(path)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with os.fdopen(os.open(part, flags, 0o600), "wb") as stream:
                # Some file systems have no locks; see `delete_incomplete`.
                with suppress(OSError):
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                stream.write(packed.getbuffer())
                stream.flush()
                publish(part, path)
        finally:
            part.unlink(missing_ok=True)
        self._known[path.name] = True
        self._keep_small(path)

    def _keep_small(self, newest: Path | None) -> None:
        """Delete clips that are too old, then the oldest until the rest fit."""
        sizes: dict[Path, int] = {}
        oldest = ""
        if self._max_days is not None:
            oldest = first_name(days_ago(self._max_days))
        known, self._known = self._known, {}  # without the names that are gone
        for path in sorted(self._folder.glob("streamsed-*.flac")):
            name = path.name
            self._known[name] = known[name] if name in known else is_clip(path)
            if self._known[name]:
                with suppress(FileNotFoundError):  # another listener deleted it first
                    sizes[path] = path.stat().st_size
        total = sum(sizes.values())
        for path, size in sizes.items():
            if total <= self._max_bytes and path.name >= oldest:
                break
            if path != newest:
                path.unlink(missing_ok=True)
                total -= size
