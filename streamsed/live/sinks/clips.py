"""Save the sound of every event as a file.

A clip with speech is not saved unless requested; this is decided for the whole clip,
including the sound before the event, before any of it is written. A clip is named after
the clock time and label of its event, and only its owner may read it.

It is written to a temporary name (`.NAME.part`) and renamed when complete, so a file with
its final name can be played. `ClipFolder` deletes old clips, and only those of the program.
"""

from __future__ import annotations

import fcntl
import io
import os
import secrets
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
from streamsed.live.sinks.clip_files import clip_name, mark, part_of
from streamsed.live.sinks.clip_folder import ClipFolder
from streamsed.live.sinks.speech_guard import SpeechGuard
from streamsed.pipeline.lifecycle import EventUpdate

PRE_ROLL = 1.0
"""Seconds of sound saved before an event."""

POST_ROLL = 0.5
"""Seconds of sound saved after an event."""

CLIP_HISTORY = 120.0
"""Seconds of sound buffered for clips; of longer events the end is saved."""


class ClipSink:
    """Save the sound of every closed event.

    Parameters
    ----------
    folder : ClipFolder
        Takes the clips; several sinks may share it. Whoever made it closes it.
    sample_rate : int
        Hz.
    guard : SpeechGuard or None
        Detects speech in clips; None saves them all.
    on_saved : callable or None
        Called with the record and update of each closed event afterwards; the record has
        the path of its clip if there is one.
    """

    name = "clips"

    def __init__(
        self,
        folder: ClipFolder,
        *,
        sample_rate: int,
        guard: SpeechGuard | None = None,
        on_saved: Callable[[Mapping[str, Any], EventUpdate], None] | None = None,
    ) -> None:
        self._folder = folder
        self._rate = sample_rate
        self._guard = guard
        self._on_saved = on_saved
        self._n_withheld = 0  # not saved because of speech
        self._n_reported = 0
        self._history: deque[NDArray[np.float32]] = deque()
        self._end = 0  # end of the buffer, in samples from the start
        self._n_buffered = 0  # samples in the buffer
        self._run = secrets.token_hex(4)
        self.worker = Worker("clips")

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Buffer the latest samples."""
        self._history.append(samples)
        self._end += len(samples)
        self._n_buffered += len(samples)
        while self._n_buffered - len(self._history[0]) > CLIP_HISTORY * self._rate:
            self._n_buffered -= len(self._history.popleft())

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
        path = self._folder.path / self._name(record, update)
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
        self._folder.add(path)
