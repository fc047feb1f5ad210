"""PSDS: how well a detector does over all of its thresholds, in one number.

The polyphonic sound detection score is the area under the curve of hits against false
alarms per hour, up to 100 of these; at each number of false alarms, the hits are the mean
over labels minus the deviation between them. An estimated event is a false alarm unless
reference events of its label cover a share of it (`dtc`); a reference event is hit if
estimated events that are no false alarms cover a share of it (`gtc`).

Scenario 1 wants exact times, scenario 2 the right label: there a false alarm that events
of another label cover (`cttc`) is a confusion, and confusions, averaged over the other
labels, weigh half as much again.

Here the curve comes from scores and is exact, by the counts at all thresholds of
`train.metrics.psds_counts`; tests hold it to `sed_scores_eval`. See
`train.metrics.psds_points` for the curve through the events at some thresholds.

References
----------
Bilen et al., "A framework for the robust evaluation of sound event detection", ICASSP
2020; Ebbers et al., "Threshold independent evaluation of sound event detection scores",
ICASSP 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsed.config import FrontendConfig
from streamsed.events import Event
from train.metrics.intervals import Clips, merge_overlaps
from train.metrics.psds_counts import Floats, Steps, count_steps

MAX_FALSE_ALARMS = 100.0
"""Per hour; where the curve ends."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What counts as a hit, a false alarm and a confusion.

    Parameters
    ----------
    dtc, gtc : float
        Shares of an estimated and of a reference event that must be covered.
    cttc : float or None
        Share of a false alarm that makes it a confusion; None counts no confusions.
    alpha_ct, alpha_st : float
        Weights of the confusions and of the deviation between labels.
    """

    dtc: float
    gtc: float
    cttc: float | None = None
    alpha_ct: float = 0.0
    alpha_st: float = 1.0


SCENARIOS = (Scenario(0.7, 0.7), Scenario(0.1, 0.1, cttc=0.3, alpha_ct=0.5))
"""1 and 2 of the DCASE challenge since 2021."""

DEFINITIONS = {
    "psds1": "PSDS 1: area under the curve of hits against false alarms per hour (up to "
    "100) over all thresholds, mean over labels minus their deviation; an event must be "
    "covered by 70 %, on both sides.",
    "psds2": "PSDS 2: the same, but covered by 10 %, and a false alarm that another "
    "label's events cover by 30 % counts half as much again as a confusion.",
}
"""What the two scenarios mean, in a sentence."""


@dataclass(frozen=True, slots=True)
class PsdRoc:
    """The curve behind a PSDS.

    Parameters
    ----------
    area : float
        PSDS, from 0 to 1.
    false_alarms : float64 (n,)
        Effective false alarms per hour, rising to 100.
    hits : float64 (n,)
        Effective share of hits from there to the next.
    """

    area: float
    false_alarms: Floats
    hits: Floats


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """Scores of one clip: float32 (n_frames, n_labels) and edges, seconds, (n_frames + 1,)."""

    scores: NDArray[np.float32]
    edges: Floats

    @classmethod
    def on_grid(
        cls, scores: NDArray[np.float32], n_samples: int, frontend: FrontendConfig
    ) -> ScoreTable:
        """Lay scores on a front-end's grid; the last frame ends with the clip."""
        length = frontend.score_frame_length
        edges = np.minimum(np.arange(len(scores) + 1) * length, n_samples)
        present = edges[1:] > edges[:-1]  # the last frame may begin where the clip ends
        kept = edges[: present.sum() + 1] / frontend.sample_rate
        return cls(scores[present], kept)


def psds(
    reference: Clips,
    scores: Sequence[NDArray[np.float32]],
    labels: Sequence[str],
    *,
    n_samples: Sequence[int],
    frontend: FrontendConfig,
) -> tuple[float, float]:
    """Compute PSDS 1 and PSDS 2 of scores on a front-end's grid; see `psd_rocs`."""
    tables = [
        ScoreTable.on_grid(table, n, frontend)
        for table, n in zip(scores, n_samples, strict=True)
    ]
    durations = [n / frontend.sample_rate for n in n_samples]
    first, second = psd_rocs(reference, tables, labels, durations=durations)
    return first.area, second.area


def psd_rocs(
    reference: Clips,
    tables: Sequence[ScoreTable],
    labels: Sequence[str],
    *,
    durations: Sequence[float],
) -> tuple[PsdRoc, PsdRoc]:
    """Compute the exact curves of scenarios 1 and 2 from scores.

    Parameters
    ----------
    reference : sequence of sequences of Event
        One inner sequence per clip; overlapping events of a label are joined.
    tables : sequence of ScoreTable
        One per clip, in the same order.
    labels : sequence of str
        The columns of the scores; those that the reference never names do not count.
    durations : sequence of float
        Length of each clip, seconds.

    Raises
    ------
    ValueError
        The reference names none of the labels.
    """
    columns = named_columns(reference, labels)
    chosen = [labels[column] for column in columns]
    truth = [spans_by_label(events, chosen) for events in reference]
    seconds = [
        sum(float(np.diff(clip[label]).sum()) for clip in truth) for label in chosen
    ]
    n_reference = [sum(len(clip[label]) for clip in truth) for label in chosen]
    hours = sum(durations) / 3600

    def curve(scenario: Scenario) -> PsdRoc:
        hits, alarms = [], []
        for row, (column, label) in enumerate(zip(columns, chosen, strict=True)):
            steps = [
                count_steps(
                    table.scores[:, column],
                    table.edges,
                    clip,
                    label,
                    dtc=scenario.dtc,
                    gtc=scenario.gtc,
                    cttc=scenario.cttc,
                )
                for clip, table in zip(truth, tables, strict=True)
            ]
            counts = Steps.joined(steps).counts()
            hits.append(counts[:, 0] / n_reference[row])
            rates = counts[:, 2:] / (np.array(seconds) / 3600)
            confused = scenario.alpha_ct * rates.sum(axis=1) / max(len(chosen) - 1, 1)
            alarms.append(counts[:, 1] / hours + confused)
        return staircase(hits, alarms, scenario.alpha_st)

    first, second = (curve(scenario) for scenario in SCENARIOS)
    return first, second


def staircase(
    hits: Sequence[Floats], alarms: Sequence[Floats], alpha_st: float
) -> PsdRoc:
    """Join the points of all labels to one curve and take its area.

    Parameters
    ----------
    hits, alarms : sequences of float64 (n_points,)
        For each label, shares of hits and effective false alarms per hour of its points, in
        any order: at a number of false alarms, the best hits at no more of them count.
    alpha_st : float
        See `Scenario`.
    """
    every = np.concatenate(alarms)
    grid = np.unique(np.append(every[every <= MAX_FALSE_ALARMS], 0.0))
    steps = np.zeros((len(grid), len(hits)))
    for column, (own, at) in enumerate(zip(hits, alarms, strict=True)):
        order = np.argsort(at)
        best = np.maximum.accumulate(own[order])
        place = np.searchsorted(at[order], grid, side="right")
        steps[:, column] = np.append(0.0, best)[place]
    effective = np.maximum(steps.mean(axis=1) - alpha_st * steps.std(axis=1), 0.0)
    edges = np.append(grid, MAX_FALSE_ALARMS)
    area = float((effective * np.diff(edges)).sum() / MAX_FALSE_ALARMS)
    return PsdRoc(area, edges, np.append(effective, effective[-1]))


def spans_by_label(events: Sequence[Event], labels: Sequence[str]) -> dict[str, Floats]:
    """Give onsets and offsets by label, float64 (n, 2), joined where they overlap."""
    spans: dict[str, list[tuple[float, float]]] = {label: [] for label in labels}
    for event in merge_overlaps(events):
        if event.label in spans:
            spans[event.label].append((event.onset, event.offset))
    return {
        label: np.array(each, np.float64).reshape(-1, 2)
        for label, each in spans.items()
    }


def named_columns(reference: Clips, labels: Sequence[str]) -> list[int]:
    """Find the columns of the labels that the reference names."""
    named = {event.label for events in reference for event in events}
    columns = [column for column, label in enumerate(labels) if label in named]
    if not columns:
        raise ValueError(
            f"labels={tuple(labels)} must name something that the reference names"
        )
    return columns
