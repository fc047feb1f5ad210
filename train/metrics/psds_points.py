"""PSDS through operating points: events at some thresholds in place of scores.

Some systems publish the events that they give at fifty thresholds or so. The curve of
hits against false alarms is then the staircase through these points, for each label the
best hits at no more false alarms, and its area is at most that of the exact curve (see
`train.metrics.psds`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamsed.events import Event
from train.metrics.intervals import Clips, Spans, is_covered, merge_overlaps
from train.metrics.psds import (
    MAX_FALSE_ALARMS,
    SCENARIOS,
    Floats,
    PsdRoc,
    Scenario,
    named_columns,
)


def operating_point_rocs(
    reference: Clips,
    points: Sequence[Clips],
    labels: Sequence[str],
    *,
    durations: Sequence[float],
) -> tuple[PsdRoc, PsdRoc]:
    """Compute the curves of scenarios 1 and 2 through operating points.

    Parameters
    ----------
    reference : sequence of sequences of Event
        One inner sequence per clip; overlapping events of a label are joined.
    points : sequence of (sequence of sequences of Event)
        At each point (a threshold, say) the events of each clip, in the same order.
    labels, durations
        As for `psd_rocs`.
    """
    chosen = [labels[column] for column in named_columns(reference, labels)]
    truth = [_spans(events, chosen) for events in reference]
    n_reference = np.array([sum(len(clip[k]) for clip in truth) for k in chosen])
    active = np.array(
        [sum(b - a for clip in truth for a, b in clip[k]) for k in chosen]
    )
    hours = sum(durations) / 3600

    def curve(scenario: Scenario) -> PsdRoc:
        hits, alarms = np.zeros((2, len(points), len(chosen)))
        for row, clips in enumerate(points):
            counts = _count_point(truth, clips, chosen, scenario)
            hits[row] = counts.hits / n_reference
            alarms[row] = counts.false_alarms / hours
            if scenario.cttc is not None and len(chosen) > 1:
                rates = counts.confusions / (active / 3600)
                alarms[row] += scenario.alpha_ct * rates.sum(1) / (len(chosen) - 1)
        return _staircase(hits, alarms, scenario.alpha_st)

    first, second = (curve(scenario) for scenario in SCENARIOS)
    return first, second


@dataclass(slots=True)
class _PointCounts:
    """Of one operating point: (n_labels,), (n_labels,), and (n_labels, of the other)."""

    hits: Floats
    false_alarms: Floats
    confusions: Floats


def _count_point(
    truth: Sequence[Mapping[str, Spans]],
    clips: Clips,
    labels: Sequence[str],
    scenario: Scenario,
) -> _PointCounts:
    """Count hits, false alarms and confusions of one operating point."""
    n = len(labels)
    counts = _PointCounts(np.zeros(n), np.zeros(n), np.zeros((n, n)))
    for there, events in zip(truth, clips, strict=True):
        claimed = _spans(events, labels)
        for row, label in enumerate(labels):
            valid: Spans = []
            wrong: Spans = []
            for span in claimed[label]:
                covered = is_covered(span, there[label], scenario.dtc)
                (valid if covered else wrong).append(span)
            counts.false_alarms[row] += len(wrong)
            if valid:
                counts.hits[row] += sum(
                    is_covered(span, valid, scenario.gtc) for span in there[label]
                )
            if wrong and scenario.cttc is not None:
                for column, other in enumerate(labels):
                    if other != label and there[other]:
                        counts.confusions[row, column] += sum(
                            is_covered(span, there[other], scenario.cttc)
                            for span in wrong
                        )
    return counts


def _staircase(hits: Floats, alarms: Floats, alpha_st: float) -> PsdRoc:
    """Join each label's points (n_points, n_labels) to one curve and take its area."""
    kept = alarms <= MAX_FALSE_ALARMS
    grid = np.unique(np.append(alarms[kept], 0.0))
    steps = np.zeros((len(grid), hits.shape[1]))
    for column in range(hits.shape[1]):
        order = np.argsort(alarms[:, column])
        best = np.maximum.accumulate(hits[order, column])
        place = np.searchsorted(alarms[order, column], grid, side="right")
        steps[:, column] = np.append(0.0, best)[place]
    effective = np.maximum(steps.mean(axis=1) - alpha_st * steps.std(axis=1), 0.0)
    edges = np.append(grid, MAX_FALSE_ALARMS)
    area = float((effective * np.diff(edges)).sum() / MAX_FALSE_ALARMS)
    return PsdRoc(area, edges, np.append(effective, effective[-1]))


def _spans(events: Sequence[Event], labels: Sequence[str]) -> dict[str, Spans]:
    """Gather onsets and offsets by label, joined where they overlap."""
    spans: dict[str, Spans] = {label: [] for label in labels}
    for event in merge_overlaps(events):
        if event.label in spans:
            spans[event.label].append((event.onset, event.offset))
    return spans
