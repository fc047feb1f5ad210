"""How scores of continuous recordings best become events, with few choices.

A few hours of recordings that a network was not trained on cannot choose eighty numbers:
per-label searches gain nine points on one set and lose four on the next. So what labels
have in common is chosen together, the shape of events: how far the offset threshold lies
below the onset threshold, which gaps are filled, what is too short, and over how long
scores are smoothed; once for sounds that come and go, once for sounds that last. Only the
onset threshold is a label's own, and of it a broad optimum wins over a high, narrow one.

What is best weighs event F1 against what F1 does not see: false alarms on backgrounds and
other sounds, which have a price, and long sounds that fall into pieces.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamsed.config import PostConfig, StreamConfig
from streamsed.events import Event
from streamsed.samples import Float32
from train.evaluation.continuous.recordings import ScoredRecording
from train.evaluation.continuous.replay import final_scores
from train.evaluation.scoring import scores_to_events
from train.metrics.criteria import event_counts

LONG = 3.0
"""Seconds; labels with a longer median event are labels of long sounds."""
ONSETS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.87, 0.93, 0.96)
PRICE = 0.002
"""Event F1 that one false alarm an hour on backgrounds and other sounds costs a label."""
PIECES = 0.05
"""Event F1 that each piece too many of a lasting sound costs."""
UNCOVERED = 0.3
"""Event F1 that a lasting sound costs if none of its time is covered."""


Float64 = NDArray[np.float64]


class Shape(NamedTuple):
    """What labels of one group share; seconds but for the ratio of the thresholds."""

    offset_ratio: float
    min_duration: float
    min_gap: float
    smoothing: float


PASSING = tuple(
    Shape(*values)
    for values in product((1.0, 0.6, 0.3), (0.2, 0.35), (0.2, 0.4, 0.8), (0.0,))
)
"""Candidates for short sounds."""
LASTING = tuple(
    Shape(*values)
    for values in product((0.5, 0.25), (0.2, 0.35), (0.2, 2.5), (0.0, 0.8, 1.6))
)
"""Candidates for long sounds. A median over 2.5 s, and longer shortest durations, would find
a little more, but announce an event up to a second later."""


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


@dataclass(frozen=True, slots=True)
class Trials:
    """All settings of all labels, counted on some recordings; of two sets they add up.

    Parameters
    ----------
    groups : tuple of tuples of str
        Labels that come and go, and labels that last.
    counted : tuple of dicts
        For each group, what each shape counts at each of `ONSETS`.
    """

    groups: tuple[tuple[str, ...], ...]
    counted: tuple[dict[Shape, list[Counted]], ...]

    @classmethod
    def count(
        cls,
        recordings: Sequence[ScoredRecording],
        stream: StreamConfig,
        lasting: Sequence[str],
    ) -> Trials:
        """Try every setting.

        Parameters
        ----------
        recordings : sequence of ScoredRecording
            Scored by a network that was not trained on their sounds; some with events.
        stream : StreamConfig
            Step and settling of the scores.
        lasting : sequence of str
            Labels of the second group.
        """
        labels = recordings[0].scores.labels
        finals = [final_scores(each.scores, stream) for each in recordings]
        groups = (
            tuple(label for label in labels if label not in lasting),
            tuple(label for label in labels if label in lasting),
        )
        tables = []
        for group, shapes in zip(groups, (PASSING, LASTING), strict=True):
            columns = [labels.index(label) for label in group]
            scores = [np.ascontiguousarray(each[:, columns]) for each in finals]
            tables.append(
                {
                    shape: [
                        count(recordings, scores, group, _post(shape, onset))
                        for onset in ONSETS
                    ]
                    for shape in (shapes if group else ())
                }
            )
        return cls(groups, tuple(tables))

    def __add__(self, other: Trials) -> Trials:
        """Add the counts of other recordings."""
        counted = tuple(
            {
                shape: [a + b for a, b in zip(rows, theirs[shape], strict=True)]
                for shape, rows in ours.items()
            }
            for ours, theirs in zip(self.counted, other.counted, strict=True)
        )
        return Trials(self.groups, counted)

    def choose(self, price: float = PRICE) -> PostConfig:
        """Choose one shape for each group, and each label's onset threshold.

        Parameters
        ----------
        price : float
            See `PRICE`; a higher one makes for a lower sensitivity.

        Returns
        -------
        PostConfig
            All settings by label.
        """
        settings: dict[str, dict[str, float]] = {}
        for group, table in zip(self.groups, self.counted, strict=True):
            if not group:
                continue
            broad = {
                shape: _smoothed(np.array([each.objective(price) for each in rows]))
                for shape, rows in table.items()
            }
            best = max(broad, key=lambda shape: float(broad[shape].max(axis=0).mean()))
            for label, row in zip(group, broad[best].argmax(axis=0), strict=True):
                settings[label] = {
                    "onset_threshold": ONSETS[row],
                    "offset_threshold": round(ONSETS[row] * best.offset_ratio, 3),
                    **dict(zip(Shape._fields[1:], best[1:], strict=True)),
                }
        names = ("onset_threshold", "offset_threshold", *Shape._fields[1:])
        return PostConfig(
            **{
                name: {label: each[name] for label, each in sorted(settings.items())}
                for name in names
            }
        )


def lasting_labels(recordings: Sequence[ScoredRecording]) -> list[str]:
    """List the labels whose events mostly last longer than `LONG`."""
    durations: dict[str, list[float]] = defaultdict(list)
    for each in recordings:
        for event in each.events:
            durations[event.label].append(event.duration)
    return sorted(k for k, values in durations.items() if np.median(values) > LONG)


def tune_continuous(
    recordings: Sequence[ScoredRecording],
    stream: StreamConfig,
    *,
    price: float = PRICE,
) -> PostConfig:
    """Choose thresholds and shapes for a stream's final scores; see `Trials`."""
    return Trials.count(recordings, stream, lasting_labels(recordings)).choose(price)


def _smoothed(objective: Float64) -> Float64:
    """Average over neighbouring thresholds, (n_onsets, n_labels): narrow peaks fall."""
    padded = np.pad(objective, ((1, 1), (0, 0)), mode="edge")
    mean: Float64 = 0.25 * padded[:-2] + 0.5 * objective + 0.25 * padded[2:]
    return mean


def _post(shape: Shape, onset: float) -> PostConfig:
    return PostConfig(
        onset_threshold=onset,
        offset_threshold=onset * shape.offset_ratio,
        min_gap=shape.min_gap,
        min_duration=shape.min_duration,
        smoothing=shape.smoothing,
    )


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


def false_alarms(
    recordings: Sequence[ScoredRecording], stream: StreamConfig, post: PostConfig
) -> Mapping[str, float]:
    """Count false alarms an hour of each label, on backgrounds and other sounds."""
    labels = recordings[0].scores.labels
    scores = [final_scores(each.scores, stream) for each in recordings]
    counted = count(recordings, scores, labels, post).false_alarms
    return {label: round(float(n), 2) for label, n in zip(labels, counted, strict=True)}
