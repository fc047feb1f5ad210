"""Median smoothing of final scores over time, label by label.

The scores of a long, steady sound fluctuate, and a single low frame should not split a
vacuum cleaner into two events. For labels of long sounds, each score is replaced by the
median of the scores within `reach` frames to either side::

    scores    .1 .1 .8 .9 .2 .8 .9 .8 .1 .1
    reach 1   .1 .1 .8 .8 .8 .8 .8 .8 .1 .1      the dip is removed, the edges stay

Unlike a mean, a median does not move the edges of sounds longer than half its window, and
it selects one of the scores, so rounding does not depend on how the frames arrived. The
window is centred: a frame is returned once the `latency` frames after it have arrived. At
both ends of a recording, and before newer scores are known, the window is truncated; of an
even number of scores the upper of the middle two is used.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from streamsed.exclusive import InUse, exclusive
from streamsed.samples import Float32


class ScoreSmoother:
    """Median-filter final scores, each label with its own window.

    Parameters
    ----------
    reaches : int64 (n_labels,)
        Score frames to either side of a frame in its window; 0 does not filter a label.

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
        self._groups = [
            (int(reach), np.flatnonzero(reaches == reach))
            for reach in np.unique(reaches[reaches > 0])
        ]
        self.reset()

    @property
    def latency(self) -> int:
        """Score frames after a frame that must arrive before it is returned."""
        return self._latency

    @exclusive
    def reset(self) -> None:
        """Return to the initial state."""
        self._kept = np.empty((0, len(self._reaches)), dtype=np.float32)
        self._n_left = 0  # rows of `kept` already returned, which remain as context

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
        self._kept, self._n_left = rows[dropped:].copy(), end - dropped
        return smoothed

    @exclusive
    def peek(self, scores: Float32) -> Float32:
        """Return all remaining frames as if the recording ended after `scores`.

        The state does not change.
        """
        if not self._latency:
            return scores
        rows = self._with(scores)
        return self._smooth(rows, self._n_left, len(rows))

    @exclusive
    def flush(self) -> Float32:
        """End the recording and return the remaining frames."""
        if not self._latency:
            return self._kept
        owed = self._smooth(self._kept, self._n_left, len(self._kept))
        self._n_left = len(self._kept)
        return owed

    def _with(self, scores: Float32) -> Float32:
        n_labels = self._kept.shape[1]
        if scores.ndim != 2 or scores.shape[1] != n_labels:
            raise ValueError(
                f"scores has {scores.shape[-1]} columns; it must have {n_labels}, one "
                "for each label"
            )
        return np.concatenate([self._kept, scores])

    def _smooth(self, rows: Float32, first: int, last: int) -> Float32:
        """Return rows `first` to `last` (exclusive), each the median of its window."""
        smoothed = rows[first:last].copy()
        if first == last:
            return smoothed
        position = np.arange(first, last)
        for reach, columns in self._groups:
            low, high = max(0, first - reach), min(len(rows), last + reach)
            # Infinity beyond both ends is sorted last, after the real scores of the window.
            padded = np.full(
                (last - first + 2 * reach, columns.size), np.inf, np.float32
            )
            inner = low - (first - reach)
            padded[inner : inner + high - low] = rows[low:high, columns]
            windows = sliding_window_view(padded, 2 * reach + 1, axis=0)
            before = np.minimum(position, reach)
            after = np.minimum(len(rows) - 1 - position, reach)
            middle = (before + 1 + after) // 2
            ordered = np.sort(windows, axis=-1)
            smoothed[:, columns] = ordered[np.arange(last - first), :, middle]
        return smoothed
