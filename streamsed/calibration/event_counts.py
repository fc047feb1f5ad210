"""How many events each label has at each threshold, in sound that holds none to report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamsed.pipeline.lifecycle import EventUpdate

BLOCK = 60.0
"""Seconds that are counted for one half; the next are for the other."""

Int64 = NDArray[np.int64]


class EventCounts:
    """Count announced events by label and threshold, in two halves of the time.

    The halves alternate every minute, so that thresholds chosen on one can be checked on
    the other. An event counts when it is announced (`opened`), even if it is withdrawn
    later: that is what a listener notices.

    Parameters
    ----------
    names : sequence of str
        The columns of `ThresholdLevels`.

    Examples
    --------
    >>> from streamsed.events import Event
    >>> counts = EventCounts(["0.0", "0.1", "1.0"])
    >>> counts.add([EventUpdate("opened", 1, Event("0.1", 3.0, 4.0, 0.9), True)])
    >>> [each.tolist() for each in counts.total()]
    [[0, 1], [0]]
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._column = {name: index for index, name in enumerate(names)}
        self._label = np.array(
            [int(name.partition(".")[0]) for name in names], np.int64
        )
        self._counts = np.zeros((2, len(names)), np.int64)
        self._before = 0.0  # seconds of the recordings that are done
        self._seconds = 0.0  # of the one in hand

    @property
    def seconds(self) -> float:
        """Seconds of sound that were counted in."""
        return self._before + self._seconds

    def add(self, updates: Sequence[EventUpdate]) -> None:
        """Count the events announced in the current recording."""
        for update in updates:
            if update.state == "opened":
                half = int((self._before + update.event.onset) // BLOCK) % 2
                self._counts[half, self._column[update.event.label]] += 1

    def advance(self, seconds: float) -> None:
        """Note that so much more of the recording in hand was listened to."""
        self._seconds += seconds

    def next_recording(self) -> None:
        """Begin another recording, whose times start at zero again."""
        self._before, self._seconds = self.seconds, 0.0

    def total(self) -> list[Int64]:
        """Return for each label the events at each of its thresholds."""
        return self._by_label(self._counts.sum(axis=0))

    def halves(self) -> tuple[list[Int64], list[Int64]]:
        """Return the same of the even and of the odd minutes."""
        return self._by_label(self._counts[0]), self._by_label(self._counts[1])

    def _by_label(self, counts: Int64) -> list[Int64]:
        n_labels = int(self._label.max(initial=-1)) + 1
        return [counts[self._label == label] for label in range(n_labels)]
