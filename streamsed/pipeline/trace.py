"""What passes between the stages of the pipeline, for who wants to see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from streamsed.pipeline.stitcher import ScoreFrames
from streamsed.samples import Float32


class Observer(Protocol):
    """Whoever wants to see what passes between the stages."""

    def add_frames(self, frames: Float32) -> None:
        """Take log-mel frames, float32 (n_frames, n_mels)."""

    def add_scores(self, final: ScoreFrames) -> None:
        """Take the next frames whose scores are final, none at times."""


@dataclass(frozen=True, slots=True)
class Observers:
    """Several who want to see it.

    Parameters
    ----------
    observers : sequence of Observer
        Are shown it in this order.
    """

    observers: Sequence[Observer]

    def add_frames(self, frames: Float32) -> None:
        """Pass log-mel frames on."""
        for observer in self.observers:
            observer.add_frames(frames)

    def add_scores(self, final: ScoreFrames) -> None:
        """Pass final scores on."""
        for observer in self.observers:
            observer.add_scores(final)


@dataclass(slots=True)
class Trace:
    """Keep what passes between the stages, for pictures and score files.

    Parameters
    ----------
    keep_frames : bool
        Keep the log-mel too (190 MB for an hour; the scores take 2 MB).
    first_frame, last_frame : int, int or None
        Which of its frames are kept, from the first to before the last.
    """

    keep_frames: bool = False
    first_frame: int = 0
    last_frame: int | None = None
    _final: list[ScoreFrames] = field(default_factory=list)
    _frames: list[Float32] = field(default_factory=list)
    _n_frames: int = 0

    def add_frames(self, frames: Float32) -> None:
        """Keep log-mel frames, float32 (n_frames, n_mels), if they are to be kept."""
        before = self._n_frames
        self._n_frames += len(frames)
        if not self.keep_frames:
            return
        stop = len(frames) if self.last_frame is None else self.last_frame - before
        kept = frames[max(0, self.first_frame - before) : max(0, stop)]
        if len(kept) or not self._frames:
            self._frames.append(kept if len(kept) == len(frames) else kept.copy())

    def add_scores(self, final: ScoreFrames) -> None:
        """Keep frames whose scores are final."""
        self._final.append(final)

    @property
    def scores(self) -> Float32:
        """Final scores, float32 (n_score_frames, n_labels)."""
        return ScoreFrames.joined(self._final).scores

    @property
    def region(self) -> Float32:
        """The self-mask's region probability, float32 (n_score_frames,)."""
        return ScoreFrames.joined(self._final).region

    @property
    def frames(self) -> Float32:
        """Log-mel in decibels, float32 (n_frames, n_mels)."""
        return np.concatenate(self._frames)
