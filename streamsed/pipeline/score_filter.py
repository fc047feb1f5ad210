"""Filters of final scores over time, whose output does not depend on the chunks.

A filtered frame depends on the scores of some frames before and after it, so it is
returned once the latter have arrived::

    scores      . . . . . . . . . .
    filtered    . . . . . . .           a latency of 3: three frames are owed
    kept                . . . . . .     these three, and as many as they depend on

At both ends of a recording, and before newer scores are known, a filter sees less.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from streamsed.exclusive import InUse, exclusive
from streamsed.samples import Float32


class ScoreFilter(ABC):
    """Filter final scores, each label in its own way.

    Parameters
    ----------
    n_labels : int
        Columns of the scores.
    before : int
        Score frames before a frame that it depends on.
    latency : int
        Score frames after a frame that must arrive before it is returned; 0 filters
        nothing.
    """

    def __init__(self, n_labels: int, *, before: int, latency: int) -> None:
        self._in_use = InUse(type(self).__name__)
        self._n_labels = n_labels
        self._before = before
        self._latency = latency
        self.reset()

    @property
    def latency(self) -> int:
        """Score frames after a frame that must arrive before it is returned."""
        return self._latency

    @exclusive
    def reset(self) -> None:
        """Return to the initial state."""
        self._kept = np.empty((0, self._n_labels), dtype=np.float32)
        self._n_left = 0  # rows of `kept` already returned, which remain as context

    @exclusive
    def push(self, scores: Float32) -> Float32:
        """Take the next scores and return the frames that can be known.

        Parameters
        ----------
        scores : float32 (n_frames, n_labels)
            Final scores.

        Returns
        -------
        float32 (n_frames, n_labels)
            The next filtered frames.

        Raises
        ------
        ValueError
            `scores` has another number of columns than there are labels.
        """
        if not self._latency:
            return scores
        rows = self._with(scores)
        end = max(self._n_left, len(rows) - self._latency)
        filtered = self._filtered(rows, self._n_left, end)
        dropped = max(0, end - self._before)
        self._kept, self._n_left = rows[dropped:].copy(), end - dropped
        return filtered

    @exclusive
    def peek(self, scores: Float32) -> Float32:
        """Return all remaining frames as if the recording ended after `scores`.

        The state does not change.
        """
        if not self._latency:
            return scores
        rows = self._with(scores)
        return self._filtered(rows, self._n_left, len(rows))

    @exclusive
    def flush(self) -> Float32:
        """End the recording and return the remaining frames."""
        if not self._latency:
            return self._kept
        owed = self._filtered(self._kept, self._n_left, len(self._kept))
        self._n_left = len(self._kept)
        return owed

    @abstractmethod
    def _filter(self, rows: Float32, filtered: Float32, first: int, last: int) -> None:
        """Change `filtered`, a copy of rows `first` to `last` (exclusive), of which there are some."""

    def _filtered(self, rows: Float32, first: int, last: int) -> Float32:
        filtered = rows[first:last].copy()
        if first < last:
            self._filter(rows, filtered, first, last)
        return filtered

    def _with(self, scores: Float32) -> Float32:
        if scores.ndim != 2 or scores.shape[1] != self._n_labels:
            raise ValueError(
                f"scores has {scores.shape[-1]} columns; it must have {self._n_labels}, "
                "one for each label"
            )
        return np.concatenate([self._kept, scores])
