"""What passes between the stages of the pipeline, for who wants to see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from streamsed.samples import Float32


class Observer(Protocol):
    """Whoever wants to see what passes between the stages."""

    def add_frames(self, frames: Float32) -> None:
        """Take log-mel frames, float32 (n_frames, n_mels)."""

    def add_views(self, views: Float32) -> None:
        """Take final scores with the region behind them, (n_frames, n_labels + 1)."""


@dataclass(slots=True)
class Trace:
    """Keep what passes between the stages, for pictures and score files.

    Parameters
    ----------
    keep_frames : bool
        Keep the log-mel too (190 MB for an hour; the scores take 2 MB).
    """

    keep_frames: bool = False
    _views: list[Float32] = field(default_factory=list)
    _frames: list[Float32] = field(default_factory=list)

    def add_frames(self, frames: Float32) -> None:
        """Keep log-mel frames, float32 (n_frames, n_mels), if they are to be kept."""
        if self.keep_frames:
            self._frames.append(frames)

    def add_views(self, views: Float32) -> None:
        """Keep final scores with the region behind them, (n_frames, n_labels + 1)."""
        self._views.append(views)

    @property
    def scores(self) -> Float32:
        """Final scores, float32 (n_score_frames, n_labels)."""
        return np.concatenate(self._views)[:, :-1]

    @property
    def region(self) -> Float32:
        """The self-mask's region probability, float32 (n_score_frames,)."""
        return np.concatenate(self._views)[:, -1]

    @property
    def frames(self) -> Float32:
        """Log-mel in decibels, float32 (n_frames, n_mels)."""
        return np.concatenate(self._frames)
