"""What one setting of events does to recordings, counted so that counts add up.

Recordings have parts (see `train.evaluation.continuous.recordings`), and each counts what
it can show: hits and misses where there are events, false alarms where there are none, and
pieces where one sound lasts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from streamsed.config import PostConfig
from streamsed.events import Event
from streamsed.samples import Float32
from train.evaluation.continuous.recordings import ScoredRecording
from train.evaluation.scoring import scores_to_events
from train.metrics.criteria import event_counts

PIECES = 0.05
"""Event F1 that each piece too many of a lasting sound costs."""
UNCOVERED = 0.3
"""Event F1 that a lasting sound costs if none of its time is covered."""

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Counted:
    """What one setting does to the labels of a group; counts of recordings add up.

    Parameters
    ----------
    hits, n_reference, n_estimated : float64 (n_labels,)
        Of event F1.
    alarms : float64 (n_labels,)
        Events on backgrounds and other sounds.
    hours : float64 (n_labels,)
        How long these are.
    pieces, uncovered, n_lasting : float64 (n_labels,)
        Sums over lasting sounds: events too many, the share that no event covers, and how
        many sounds there are.
    """

    hits: Float64
    n_reference: Float64
    n_estimated: Float64
    alarms: Float64
    hours: Float64
    pieces: Float64
    uncovered: Float64
    n_lasting: Float64

    def __add__(self, other: Counted) -> Counted:
        """Add other counts of the same setting."""
        names = [field.name for field in fields(self)]
        return Counted(*(getattr(self, name) + getattr(other, name) for name in names))

    @property
    def f1(self) -> Float64:
        """Event F1 of each label; 0 without events."""
        total = self.n_reference + self.n_estimated
        f1: Float64 = 2.0 * self.hits / np.maximum(total, 1.0)
        return f1

    @property
    def false_alarms(self) -> Float64:
        """False alarms of each label in an hour."""
        alarms: Float64 = self.alarms / np.maximum(self.hours, 1e-9)
        return alarms

    def objective(self, price: float) -> Float64:
        """Weigh all of it, (n_labels,)."""
        lasting = PIECES * self.pieces + UNCOVERED * self.uncovered
        worth: Float64 = (
            self.f1
            - price * self.false_alarms
            - lasting / np.maximum(self.n_lasting, 1.0)
        )
        return worth


def count(
    recordings: Sequence[ScoredRecording],
    scores: Sequence[Float32],
    group: Sequence[str],
    post: PostConfig,
) -> Counted:
    """Count what one setting does, from the final scores of a group's labels."""
    reference: list[list[Event]] = []
    estimated: list[list[Event]] = []
    alarms, lasting = np.zeros(len(group)), np.zeros((3, len(group)))
    hours = 0.0
    for each, own in zip(recordings, scores, strict=True):
        events = scores_to_events(own, group, post, each.scores.frontend)
        if each.part == "events":
            reference.append([event for event in each.events if event.label in group])
            estimated.append(events)
        elif each.part == "steady":
            truth = each.events[0]
            if truth.label in group:
                n, covered = _pieces(truth, events)
                column = list(group).index(truth.label)
                lasting[:, column] += (max(n - 1, 0), 1.0 - covered, 1.0)
        else:
            hours += each.scores.duration / 3600
            for event in events:
                alarms[list(group).index(event.label)] += 1
    counts = event_counts(reference, estimated, tuple(group))
    hits, n_reference, n_estimated = (
        table.sum(axis=0).astype(np.float64)
        for table in (counts.hits, counts.n_reference, counts.n_estimated)
    )
    pieces, uncovered, n_lasting = lasting
    return Counted(
        hits=hits,
        n_reference=n_reference,
        n_estimated=n_estimated,
        alarms=alarms,
        hours=np.full(len(group), hours),
        pieces=pieces,
        uncovered=uncovered,
        n_lasting=n_lasting,
    )


def _pieces(truth: Event, events: Sequence[Event]) -> tuple[int, float]:
    """Count the events of a lasting sound's label in it, and the share that they cover."""
    spans = [
        (max(event.onset, truth.onset), min(event.offset, truth.offset))
        for event in events
        if event.label == truth.label
    ]
    inside = [last - first for first, last in spans if last > first]
    return len(inside), min(sum(inside) / truth.duration, 1.0)
