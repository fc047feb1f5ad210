"""Median smoothing of final scores over time, label by label.

The scores of a long, even sound waver, and a single low frame must not cut a vacuum
cleaner in two. For a label that lasts, each score is replaced by the median of the scores
within `reach` frames to either side::

    scores    .1 .1 .8 .9 .2 .8 .9 .8 .1 .1
    reach 1   .1 .1 .8 .8 .8 .8 .8 .8 .1 .1      the dip is gone, the edges stay

A median moves no edge of a sound that is longer than half its window, as a mean would, and
picks one of the scores, so no rounding depends on how the frames arrived. The window is
centred: a frame leaves once the `latency` frames after it have arrived. At the two ends of
a recording, and where nothing newer is known yet, the window is cut short; of an even
number of scores the upper middle one is taken.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from streamsed.exclusive import InUse, exclusive
from streamsed.samples import Float32


class ScoreSmoother:
    """Smooth scores as they become final, each label over its own window.

    Parameters
    ----------
    reaches : int64 (n_labels,)
        Score frames to either side of a frame that its median takes in; 0 leaves a label
        as it is.

    Examples
    --------
    >>> smoother = ScoreSmoother(np.array([1]))
    >>> smoother.push(np.array([[0.75], [0.25], [1.0]], np.float32)).ravel().tolist()
    [0.75, 0.75]
    >>> smoother.flush().ravel().tolist()
    [1.0]
    """

    def __init__(self, reaches: NDArray[np.int64]) -> None:
        self._in_use = InUse("ScoreSmoother")
        self._reaches = reaches
        self._latency = int(reaches.max(initial=0))
        self.reset()

    @property
    def latency(self) -> int:
        """Score frames after a frame that must arrive before it leaves."""
        return self._latency

    @exclusive
    def reset(self) -> None:
        """Forget everything, as if newly made."""
        self._held = np.empty((0, len(self._reaches)), dtype=np.float32)
        self._n_left = 0  # rows of `held` that have left, and are kept as context

    @exclusive
    def push(self, scores: Float32) -> Float32:
        """Take the next scores and return the frames whose windows are complete.

        Parameters
        ----------
        scores : float32 (n_frames, n_labels)
            Final scores.

        Returns
        -------
        float32 (n_frames, n_labels)
            The next smoothed frames.

        Raises
        ------
        ValueError
            `scores` has another number of columns than there are labels.
        """
        if not self._latency:
            return scores
        rows = self._with(scores)
        end = max(self._n_left, len(rows) - self._latency)
        smoothed = self._smooth(rows, self._n_left, end)
        dropped = max(0, end - self._latency)
        self._held, self._n_left = rows[dropped:].copy(), end - dropped
        return smoothed

    @exclusive
    def peek(self, scores: Float32) -> Float32:
        """Return all frames still owed if the recording ended after `scores`.

        Takes nothing: the next `push` goes on as if this had not been called.
        """
        if not self._latency:
            return scores
        rows = self._with(scores)
        return self._smooth(rows, self._n_left, len(rows))

    @exclusive
    def flush(self) -> Float32:
        """End the recording and return the frames still owed."""
        if not self._latency:
            return self._held
        owed = self._smooth(self._held, self._n_left, len(self._held))
        self._n_left = len(self._held)
        return owed

    def _with(self, scores: Float32) -> Float32:
        n_labels = self._held.shape[1]
        if scores.ndim != 2 or scores.shape[1] != n_labels:
            raise ValueError(
                f"scores has {scores.shape[-1]} columns; it must have {n_labels}, one "
                "for each label"
            )
        return np.concatenate([self._held, scores])

    def _smooth(self, rows: Float32, first: int, last: int) -> Float32:
        """Return rows `first` to `last` (exclusive), each the median of its window."""
        smoothed = rows[first:last].copy()
        if first == last:
            return smoothed
        position = np.arange(first, last)
        for reach in np.unique(self._reaches[self._reaches > 0]):
            columns = np.flatnonzero(self._reaches == reach)
            # Infinity beyond both ends sorts last, behind the window's real scores.
            padded = np.pad(
                rows[:, columns], ((reach, reach), (0, 0)), constant_values=np.inf
            )
            windows = sliding_window_view(padded, 2 * reach + 1, axis=0)[first:last]
            before = np.minimum(position, reach)
            after = np.minimum(len(rows) - 1 - position, reach)
            middle = ((before + 1 + after) // 2)[:, None, None]
            ordered = np.sort(windows, axis=-1)
            chosen = np.take_along_axis(ordered, middle, axis=-1)
            smoothed[:, columns] = chosen[..., 0]
        return smoothed
