"""Hits, false alarms and confusions of one label at every threshold at once.

At a threshold, the detections of a label are its runs of frames with scores that reach it.
As the threshold falls, runs appear, grow and merge. Each run that ever exists is the widest
one around some frame that is nowhere lower, so a clip of n frames has n runs at most; each
exists from a score at which it `appears` down to one at which it `vanishes` in a wider run::

    scores    2  5  4  1  3        runs    [1, 2) appears at 5, vanishes at 4
                                           [1, 3)            4              2
                                           [0, 3)            2              1
                                           [4, 5)            3              1
                                           [0, 5)            1              never

Whether a run is a false alarm does not depend on the threshold. So all counts are sums of
steps, up where a run appears and down where it vanishes, and they are exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DECIMALS = 6
"""Times are compared to the microsecond, so that a share that is met on paper is met."""


class Runs(NamedTuple):
    """Runs of frames, (n_runs,): `first` to `last` (exclusive), and the scores between."""

    first: Ints
    last: Ints
    appears: Floats
    vanishes: Floats

    def chosen(self, rows: NDArray[np.bool_]) -> Runs:
        """Return some of them."""
        return Runs(
            self.first[rows],
            self.last[rows],
            self.appears[rows],
            self.vanishes[rows],
        )


class Steps(NamedTuple):
    """Changes of counts as the threshold falls.

    Parameters
    ----------
    scores : float64 (n,)
        A change takes place when the threshold falls to this score.
    changes : float64 (n, n_counts)
        Hits, false alarms, and confusions with each label of the clip.
    """

    scores: Floats
    changes: Floats

    @classmethod
    def joined(cls, parts: Sequence[Steps]) -> Steps:
        """Put the steps of several clips together."""
        return cls(
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.changes for part in parts]),
        )

    def counts(self) -> Floats:
        """Add up from the highest threshold; the counts at each score, (n_scores, n_counts)."""
        order = np.argsort(-self.scores, kind="stable")
        scores, totals = self.scores[order], np.cumsum(self.changes[order], axis=0)
        last_of_equal = np.append(scores[1:] != scores[:-1], True)[: len(scores)]
        counts: Floats = totals[last_of_equal]
        return counts


def find_runs(scores: NDArray[np.floating]) -> Runs:
    """List all runs of frames that are detections at some threshold.

    Parameters
    ----------
    scores : (n_frames,)
        Of one label.

    Examples
    --------
    >>> runs = find_runs(np.array([2, 5, 4, 1, 3]))
    >>> list(zip(runs.first.tolist(), runs.last.tolist()))
    [(0, 3), (1, 2), (1, 3), (0, 5), (4, 5)]
    >>> runs.appears.tolist(), runs.vanishes.tolist()
    ([2.0, 5.0, 4.0, 1.0, 3.0], [1.0, 4.0, 2.0, -inf, 1.0])
    """
    values = scores.tolist()
    n = len(values)
    first, last = [0] * n, [n] * n
    lowest: list[int] = []  # the first of the lowest frames of each run
    ongoing: list[int] = []  # those of them whose run has not ended, from low to high
    latest = [0] * n  # and for each the latest frame that is as low
    for frame, value in enumerate(values):
        while ongoing and values[ongoing[-1]] > value:
            last[ongoing.pop()] = frame
        if ongoing and values[ongoing[-1]] == value:
            latest[ongoing[-1]] = frame
            continue
        first[frame] = latest[ongoing[-1]] + 1 if ongoing else 0
        latest[frame] = frame
        ongoing.append(frame)
        lowest.append(frame)
    begins, ends = np.array(first)[lowest], np.array(last)[lowest]
    beside = np.concatenate([[-np.inf], scores, [-np.inf]])  # frame i is beside[i + 1]
    vanishes = np.maximum(beside[begins], beside[ends + 1])
    return Runs(begins, ends, scores[lowest].astype(np.float64), vanishes)


def count_steps(
    scores: NDArray[np.floating],
    edges: Floats,
    truth: Mapping[str, Floats],
    label: str,
    *,
    dtc: float,
    gtc: float,
    cttc: float | None,
) -> Steps:
    """Count hits, false alarms and confusions of a label in one clip.

    Parameters
    ----------
    scores : (n_frames,)
        Of the label.
    edges : float64 (n_frames + 1,)
        Seconds at which frames begin and end.
    truth : mapping of str to float64 (n_events, 2)
        For each label, onsets and offsets (seconds) of its events, none of which overlap.
    label : str
        One of `truth`.
    dtc, gtc, cttc
        See `train.metrics.psds.Scenario`.
    """
    runs = find_runs(scores)
    lengths = edges[runs.last] - edges[runs.first]

    def covered(by: Floats, share: float) -> NDArray[np.bool_]:
        before = _active_before(edges, by)
        return _reaches(before[runs.last] - before[runs.first], share, lengths)

    right = covered(truth[label], dtc)
    wrong = np.zeros((len(lengths), 2 + len(truth)))
    wrong[~right, 1] = 1.0
    for column, (other, spans) in enumerate(truth.items(), start=2):
        if cttc is not None and other != label and len(spans):
            wrong[~right & covered(spans, cttc), column] = 1.0
    false = Steps(
        np.concatenate([runs.appears, runs.vanishes]), np.concatenate([wrong, -wrong])
    )
    valid = runs.chosen(right)
    found, change = _hits(valid, edges, truth[label], gtc)
    hits = np.zeros((len(found), 2 + len(truth)))
    hits[:, 0] = change
    steps = Steps.joined([false, Steps(found, hits)])
    ever = steps.scores > -np.inf
    return Steps(steps.scores[ever], steps.changes[ever])


def _active_before(edges: Floats, spans: Floats) -> Floats:
    """Sum how many seconds of some spans lie before each edge."""
    onset, offset = spans[:, 0], spans[:, 1]
    before: Floats = np.clip(edges[:, None] - onset, 0.0, offset - onset).sum(axis=1)
    return before


def _hits(
    runs: Runs, edges: Floats, events: Floats, share: float
) -> tuple[Floats, Floats]:
    """Find the scores from which on events are covered by runs, or no longer are."""
    begins, ends = edges[runs.first], edges[runs.last]
    scores, changes = [np.empty(0)], [np.empty(0)]
    for onset, offset in events:
        overlap = np.minimum(ends, offset) - np.maximum(begins, onset)
        on = overlap > 0
        steps = Steps(
            np.concatenate([runs.appears[on], runs.vanishes[on]]),
            np.concatenate([overlap[on], -overlap[on]])[:, None],
        )
        hit = _reaches(steps.counts()[:, 0], share, offset - onset)
        change = np.diff(hit.astype(np.float64), prepend=0.0)
        scores.append(np.unique(steps.scores)[::-1][change != 0])
        changes.append(change[change != 0])
    return np.concatenate(scores), np.concatenate(changes)


def _reaches(
    covered: Floats, share: float, lengths: Floats | float
) -> NDArray[np.bool_]:
    """Compare seconds that are covered with a share of the lengths."""
    enough: NDArray[np.bool_] = np.round(covered, DECIMALS) >= np.round(
        share * lengths, DECIMALS
    )
    return enough
