"""Observers of the data that pass between the stages of the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from streamsed.pipeline.stitcher import ScoreFrames
from streamsed.samples import Float32


class Observer(Protocol):
    """Receives the data that pass between the stages."""

    def add_frames(self, frames: Float32) -> None:
        """Receive log-mel frames, float32 (n_frames, n_mels)."""

    def add_scores(self, final: ScoreFrames) -> None:
        """Receive the next frames with final scores, possibly none."""


@dataclass(frozen=True, slots=True)
class Observers:
    """Pass the data on to several observers.

    Parameters
    ----------
    observers : sequence of Observer
        Called in this order.
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
    """Store the data that pass between the stages, for plots and score files.

    Parameters
    ----------
    keep_frames : bool
        Also store the log-mel (190 MB for an hour; the scores take 2 MB).
    first_frame, last_frame : int, int or None
        Range of its frames to store; `last_frame` is exclusive.
    """

    keep_frames: bool = False
    first_frame: int = 0
    last_frame: int | None = None
    _final: list[ScoreFrames] = field(default_factory=list)
    _frames: list[Float32] = field(default_factory=list)
    _n_frames: int = 0

    def add_frames(self, frames: Float32) -> None:
        """Store log-mel frames, float32 (n_frames, n_mels), in the range."""
        before = self._n_frames
        self._n_frames += len(frames)
        if not self.keep_frames:
            return
        stop = len(frames) if self.last_frame is None else self.last_frame - before
        kept = frames[max(0, self.first_frame - before) : max(0, stop)]
        if len(kept) or not self._frames:
            self._frames.append(kept if len(kept) == len(frames) else kept.copy())

    def add_scores(self, final: ScoreFrames) -> None:
        """Store frames with final scores."""
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
