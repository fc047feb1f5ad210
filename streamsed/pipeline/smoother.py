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

from streamsed.pipeline.score_filter import ScoreFilter
from streamsed.samples import Float32


class ScoreSmoother(ScoreFilter):
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
        longest = int(reaches.max(initial=0))
        self._groups = [
            (int(reach), np.flatnonzero(reaches == reach))
            for reach in np.unique(reaches[reaches > 0])
        ]
        super().__init__(reaches.size, before=longest, latency=longest)

    def _filter(self, rows: Float32, filtered: Float32, first: int, last: int) -> None:
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
            filtered[:, columns] = ordered[np.arange(last - first), :, middle]
