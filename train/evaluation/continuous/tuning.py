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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

ONSETS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.87, 0.93, 0.96)
PRICE = 0.002
"""Event F1 that one false alarm an hour on backgrounds and other sounds costs a label."""
PIECES = 0.05
"""Event F1 that each piece too many of a lasting sound costs."""
UNCOVERED = 0.3
"""Event F1 that a lasting sound costs if none of its time is covered."""


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
"""Shapes of sounds that come and go."""
LASTING = tuple(
    Shape(*values)
    for values in product(
        (0.8, 0.5, 0.25), (0.2, 0.6, 1.2), (0.2, 1.0, 2.5), (0.0, 1.0, 2.5)
    )
)
"""Shapes of sounds that last."""


@dataclass(frozen=True, slots=True)
class Worth:
    """What one setting is worth to each label of a group.

    Parameters
    ----------
    f1 : float64 (n_labels,)
        Event F1.
    false_alarms : float64 (n_labels,)
        An hour, on backgrounds and other sounds.
    pieces : float64 (n_labels,)
        Events too many for a lasting sound.
    uncovered : float64 (n_labels,)
        Share of lasting sounds that no event covers.
    """

    f1: NDArray[np.float64]
    false_alarms: NDArray[np.float64]
    pieces: NDArray[np.float64]
    uncovered: NDArray[np.float64]

    def objective(self, price: float) -> NDArray[np.float64]:
        """Weigh all of it, (n_labels,)."""
        lasting: NDArray[np.float64] = PIECES * self.pieces + UNCOVERED * self.uncovered
        worth: NDArray[np.float64] = self.f1 - price * self.false_alarms - lasting
        return worth


def tune_continuous(
    recordings: Sequence[ScoredRecording],
    stream: StreamConfig,
    *,
    price: float = PRICE,
) -> PostConfig:
    """Choose thresholds and shapes for a stream's final scores.

    Parameters
    ----------
    recordings : sequence of ScoredRecording
        By a network that was not trained on what is in them; some with events.
    stream : StreamConfig
        Step and settling of the scores.
    price : float
        See `PRICE`; a higher one makes for a lower sensitivity.

    Returns
    -------
    PostConfig
        All settings by label.
    """
    labels = recordings[0].scores.labels
    finals = [final_scores(each.scores, stream) for each in recordings]
    lasting = {e.label for r in recordings if r.part == "steady" for e in r.events}
    settings: dict[str, dict[str, float]] = {}
    for shapes, group in (
        (PASSING, [label for label in labels if label not in lasting]),
        (LASTING, [label for label in labels if label in lasting]),
    ):
        if group:
            columns = [labels.index(label) for label in group]
            scores = [np.ascontiguousarray(each[:, columns]) for each in finals]
            settings |= _tune_group(recordings, scores, group, shapes, price)
    names = ("onset_threshold", "offset_threshold", *Shape._fields[1:])
    return PostConfig(
        **{name: {label: settings[label][name] for label in labels} for name in names}
    )


def _tune_group(
    recordings: Sequence[ScoredRecording],
    scores: Sequence[Float32],
    group: Sequence[str],
    shapes: Sequence[Shape],
    price: float,
) -> dict[str, dict[str, float]]:
    """Choose one shape for a group, and each label's onset threshold."""
    broad = {
        shape: _smoothed(
            np.array(
                [
                    _worth(recordings, scores, group, _post(shape, onset)).objective(
                        price
                    )
                    for onset in ONSETS
                ]
            )
        )
        for shape in shapes
    }
    best = max(shapes, key=lambda shape: float(broad[shape].max(axis=0).mean()))
    onsets = [ONSETS[row] for row in broad[best].argmax(axis=0)]
    return {
        label: {
            "onset_threshold": onset,
            "offset_threshold": round(onset * best.offset_ratio, 3),
            **dict(zip(Shape._fields[1:], best[1:], strict=True)),
        }
        for label, onset in zip(group, onsets, strict=True)
    }


def _smoothed(objective: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average over neighbouring thresholds, (n_onsets, n_labels): narrow peaks fall."""
    padded = np.pad(objective, ((1, 1), (0, 0)), mode="edge")
    mean: NDArray[np.float64] = 0.25 * padded[:-2] + 0.5 * objective + 0.25 * padded[2:]
    return mean


def _post(shape: Shape, onset: float) -> PostConfig:
    return PostConfig(
        onset_threshold=onset,
        offset_threshold=onset * shape.offset_ratio,
        min_gap=shape.min_gap,
        min_duration=shape.min_duration,
        smoothing=shape.smoothing,
    )


def _worth(
    recordings: Sequence[ScoredRecording],
    scores: Sequence[Float32],
    group: Sequence[str],
    post: PostConfig,
) -> Worth:
    """Measure one setting on all recordings."""
    reference: list[list[Event]] = []
    estimated: list[list[Event]] = []
    alarms = dict.fromkeys(group, 0)
    sounds: dict[str, list[tuple[int, float]]] = {label: [] for label in group}
    hours = 0.0
    for each, own in zip(recordings, scores, strict=True):
        events = scores_to_events(own, group, post, each.scores.frontend)
        if each.part == "events":
            reference.append([event for event in each.events if event.label in group])
            estimated.append(events)
        elif each.part == "steady":
            truth = each.events[0]
            if truth.label in sounds:
                sounds[truth.label].append(_pieces(truth, events))
        else:
            hours += each.scores.duration / 3600
            for event in events:
                alarms[event.label] += 1
    f1 = event_counts(reference, estimated, tuple(group)).f1().per_label
    lasting = {
        label: np.mean([(max(n - 1, 0), 1.0 - covered) for n, covered in found], axis=0)
        if found
        else np.zeros(2)
        for label, found in sounds.items()
    }
    return Worth(
        np.array([f1[label] for label in group]),
        np.array([alarms[label] / max(hours, 1e-9) for label in group]),
        np.array([lasting[label][0] for label in group]),
        np.array([lasting[label][1] for label in group]),
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
    counted = _worth(recordings, scores, labels, post).false_alarms
    return {label: round(float(n), 2) for label, n in zip(labels, counted, strict=True)}
