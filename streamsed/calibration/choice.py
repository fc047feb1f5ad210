"""The lowest thresholds that keep the events of normal sound below a limit.

The limit is for all labels together, and every label may use as much of it as any other:
the largest number of events that each may have such that all have no more than the limit.
A label whose events stop at no threshold is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamsed.calibration.event_counts import EventCounts

LONG_ENOUGH = 600.0
"""Seconds from which halves of the time can check each other."""

Counts = Sequence[NDArray[np.int64]]
"""For each label, its events at each of its thresholds."""


def choose_levels(counts: Counts, limit: float) -> list[int]:
    """Choose the level of each label.

    Parameters
    ----------
    counts : sequence of int64 (n_levels,)
        Events of each label at each of its levels, the lowest threshold first.
    limit : float
        Events that all labels may have together.

    Returns
    -------
    list of int
        For each label the index of the lowest threshold that will do, and so will all
        above it; the number of its levels if none does.

    Examples
    --------
    >>> choose_levels([np.array([9, 3, 0]), np.array([1, 1, 1]), np.array([0, 0])], 3)
    [2, 0, 0]
    >>> choose_levels([np.array([9, 3, 0]), np.array([1, 1, 1]), np.array([0, 0])], 0)
    [2, 3, 0]
    """
    most = max((int(each.max(initial=0)) for each in counts), default=0)
    for allowed in range(min(math.floor(limit), most), 0, -1):
        levels = [_lowest_level(each, allowed) for each in counts]
        if events_at(counts, levels) <= limit:
            return levels
    return [_lowest_level(each, 0) for each in counts]


def events_at(counts: Counts, levels: Sequence[int]) -> int:
    """Count the events of all labels at their levels; one beyond the last has none."""
    return sum(
        int(each[level])
        for each, level in zip(counts, levels, strict=True)
        if level < len(each)
    )


def expected_rate(counts: EventCounts, max_false: float) -> float | None:
    """Estimate how many events an hour will come in sound that was not counted yet.

    Each half of the minutes is counted with the thresholds that the other half alone would
    have chosen. None if there was too little sound for that.

    Parameters
    ----------
    counts : EventCounts
        Of everything.
    max_false : float
        Events an hour that are allowed.
    """
    if counts.seconds < LONG_ENOUGH:
        return None
    hours = counts.seconds / 3600
    halves = counts.halves()
    found = sum(
        events_at(other, choose_levels(half, max_false * hours / 2))
        for half, other in (halves, halves[::-1])
    )
    return found / hours


def _lowest_level(counts: NDArray[np.int64], allowed: int) -> int:
    """Return the first level from which on there are never more events than allowed."""
    too_many = np.flatnonzero(counts > allowed)
    return int(too_many[-1]) + 1 if len(too_many) else 0
