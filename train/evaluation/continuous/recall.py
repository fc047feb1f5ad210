"""What a network finds at each threshold, from kept scores.

An event counts as found if any event of its label overlaps it: the question is whether it
would be noticed at all, not how exact its ends are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamsed.config import PostConfig, StreamConfig
from streamsed.events import Event
from streamsed.inference.thresholds.recall_curves import RecallCurves
from train.evaluation.continuous.recordings import ScoredRecording
from train.evaluation.continuous.replay import final_scores
from train.evaluation.scoring import scores_to_events

THRESHOLDS = (
    *(0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65),
    *(0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 1.0),
)
"""Onset thresholds at which the curves are measured."""


def recall_curves(
    recordings: Sequence[ScoredRecording],
    stream: StreamConfig,
    post: PostConfig,
    *,
    thresholds: Sequence[float] = THRESHOLDS,
) -> RecallCurves:
    """Measure the share of events that is found at each onset threshold.

    Parameters
    ----------
    recordings : sequence of ScoredRecording
        Scored by a network that was not trained on their sounds; only those with events count.
    stream : StreamConfig
        Step and settling of the scores.
    post : PostConfig
        Everything but the onset threshold; an offset threshold above it is pulled down.
    thresholds : sequence of float
        Rising.

    Returns
    -------
    RecallCurves
        Where fewer are found at a threshold than at a higher one, as gaps are filled
        otherwise, the share is that of the higher one.
    """
    chosen = [each for each in recordings if each.part == "events"]
    labels = chosen[0].scores.labels
    finals = [final_scores(each.scores, stream) for each in chosen]
    found = np.zeros((len(thresholds), len(labels)))
    total = np.zeros(len(labels), np.int64)
    for event in (event for each in chosen for event in each.events):
        total[labels.index(event.label)] += 1
    for row, threshold in enumerate(thresholds):
        at = post.override(labels, {"onset_threshold": threshold})
        for each, scores in zip(chosen, finals, strict=True):
            estimated = scores_to_events(scores, labels, at, each.scores.frontend)
            for event in _found(each.events, estimated):
                found[row, labels.index(event.label)] += 1
    never_rising = np.maximum.accumulate(found[::-1], axis=0)[::-1]
    shares = np.round(never_rising / np.maximum(total, 1), 4)
    return RecallCurves(
        settle=stream.settled,
        thresholds=tuple(thresholds),
        recall={k: tuple(shares[:, i].tolist()) for i, k in enumerate(labels)},
        n_events={label: int(n) for label, n in zip(labels, total, strict=True)},
    )


def _found(reference: Sequence[Event], estimated: Sequence[Event]) -> list[Event]:
    """Return the reference events that an estimated one of their label overlaps."""
    return [
        truth
        for truth in reference
        if any(
            event.label == truth.label
            and event.onset < truth.offset
            and truth.onset < event.offset
            for event in estimated
        )
    ]
