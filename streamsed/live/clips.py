"""Save the sound of events, and keep the folder small."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from streamsed.live.background import Worker
from streamsed.pipeline.lifecycle import EventUpdate

PRE_ROLL = 1.0
"""Seconds of sound saved before an event."""

POST_ROLL = 0.5
"""Seconds of sound saved after an event."""

CLIP_HISTORY = 120.0
"""Seconds of sound kept for clips; of a longer event the end is saved."""


class ClipSink:
    """Save every closed event with what came before it, and keep the folder small.

    Parameters
    ----------
    folder : Path
        Must exist.
    sample_rate : int
        Hz.
    max_bytes : int
        The oldest clips go when those in the folder are larger together; the newest
        stays in any case.
    """

    def __init__(self, folder: Path, *, sample_rate: int, max_bytes: int) -> None:
        if not folder.is_dir():
            raise FileNotFoundError(
                f"--save-clips={folder} must be a folder that exists; make it first"
            )
        self._folder = folder
        self._rate = sample_rate
        self._max_bytes = max_bytes
        self._history: deque[NDArray[np.float32]] = deque()
        self._end = 0  # of the history, in samples from the start
        self._held = 0  # samples in the history
        self._started = datetime.now(UTC)
        self.worker = Worker("clips")

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Remember the newest samples."""
        self._history.append(samples)
        self._end += len(samples)
        self._held += len(samples)
        while self._held - len(self._history[0]) > CLIP_HISTORY * self._rate:
            self._held -= len(self._history.popleft())

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:  # noqa: ARG002
        """Queue the clip of an event that closed."""
        if update is None or update.state != "closed":
            return
        first = self._end - self._held
        start = max(first, round((update.event.onset - PRE_ROLL) * self._rate))
        stop = min(self._end, round((update.event.offset + POST_ROLL) * self._rate))
        clip = np.concatenate(list(self._history))[start - first : stop - first]
        stamp = self._started.strftime("%Y%m%dT%H%M%SZ")
        label = "".join(
            c if c.isalnum() or c in "-_" else "_" for c in update.event.label
        )
        name = f"streamsed-{stamp}-{update.id:06d}-{label}.flac"
        self.worker.submit(lambda: self._save(self._folder / name, clip))

    def notices(self) -> list[str]:
        """Tell of clips that could not be written or were left out."""
        return self.worker.notices()

    def close(self) -> None:
        """Let the clips that wait be written."""
        self.worker.close()

    def _save(self, path: Path, clip: NDArray[np.float32]) -> None:
        soundfile.write(path, np.clip(clip, -1, 1), self._rate, subtype="PCM_16")
        clips = sorted(self._folder.glob("streamsed-*.flac"))
        sizes = [clip.stat().st_size for clip in clips]
        while len(clips) > 1 and sum(sizes) > self._max_bytes:
            clips.pop(0).unlink(missing_ok=True)
            sizes.pop(0)
