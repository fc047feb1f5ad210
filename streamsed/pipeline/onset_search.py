"""Carry the scores of long sounds back to where the sound began, label by label.

A network recognises a steady sound the better the more of it there is, so that the score
of a vacuum cleaner reaches its threshold some time after it was switched on. That
*something* began is seen at once: the scores of several labels rise together, though none
by much. Up to `reach` frames after such a rise, a frame gets the highest score from itself
on::

    rise of all labels           4.1             .2  .3
    scores of one label   0  0  .1  .1  .2  .4  .6  .6  .5
    reach 4               0  0  .6  .6  .6  .6  .6  .6  .5     begins with the rise

A rise is a frame at which the sum is higher than at its neighbours. Of two rises in reach the
higher one counts: nothing is carried back across a higher one. No score becomes higher than
all that follow it within reach, so nothing is detected that was not; but what was too short to
be an event may become long enough, and two events may become one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamsed.pipeline.score_filter import ScoreFilter
from streamsed.samples import Float32

MIN_RISE = 3.0
"""Sum over all labels by which log-odds must rise, from one score frame to the next."""
LOWEST, HIGHEST = 0.002, 0.998
"""Scores beyond these count as these: what is certain cannot become more so."""


class OnsetSearch(ScoreFilter):
    """Carry scores back to where the scores of all labels rise most.

    Parameters
    ----------
    reaches : int64 (n_labels,)
        Score frames by which a label's scores are carried back at most; 0 leaves a label
        as it is.

    Examples
    --------
    >>> search = OnsetSearch(np.array([0, 2]))
    >>> scores = [[0, 0], [0.125, 0.25], [0.125, 0.25], [0.125, 0.875], [0.125, 0.5]]
    >>> search.push(np.array(scores, np.float32))[:, 1].tolist()
    [0.0, 0.875]
    >>> search.flush()[:, 1].tolist()
    [0.875, 0.875, 0.5]
    """

    def __init__(self, reaches: NDArray[np.int64]) -> None:
        longest = int(reaches.max(initial=0))
        self._groups = [
            (int(reach), np.flatnonzero(reaches == reach))
            for reach in np.unique(reaches[reaches > 0])
        ]
        # Whether a frame is a peak depends on its neighbours, and a rise on the one before.
        super().__init__(
            reaches.size, before=longest + 2, latency=longest + 1 if longest else 0
        )

    def _filter(self, rows: Float32, filtered: Float32, first: int, last: int) -> None:
        rises = _rises(rows)
        peaks = _peaks(rises)
        for reach, columns in self._groups:
            for peak in peaks[(peaks >= first - reach) & (peaks < last)]:
                within = peaks[(peaks > peak) & (peaks <= peak + reach)]
                higher = within[rises[within] > rises[peak]]
                end = (
                    int(higher[0]) if higher.size else min(peak + reach + 1, len(rows))
                )
                begin, stop = max(peak, first), min(end, last)
                if begin >= stop:
                    continue
                from_end = np.maximum.accumulate(rows[begin:end, columns][::-1], axis=0)
                own = slice(begin - first, stop - first)
                filtered[own, columns] = np.maximum(
                    filtered[own, columns], from_end[::-1][: stop - begin]
                )


def _rises(rows: Float32) -> NDArray[np.float64]:
    """Return by how much the log-odds of all labels that rise do so, (n_frames,)."""
    scores = np.clip(rows.astype(np.float64), LOWEST, HIGHEST)
    odds = np.log(scores / (1.0 - scores))
    rises = np.zeros(len(rows))
    rises[1:] = np.maximum(np.diff(odds, axis=0), 0.0).sum(axis=1)
    return rises


def _peaks(rises: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the frames with a rise of at least `MIN_RISE`, higher than its neighbours'."""
    padded = np.pad(rises, 1)
    highest = (rises >= padded[:-2]) & (rises > padded[2:])
    return np.flatnonzero(highest & (rises >= MIN_RISE))
