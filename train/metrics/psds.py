"""PSDS: how well a detector does over all of its thresholds, in one number.

The polyphonic sound detection score is the area under the curve of hits against false
alarms per hour, up to 100 of these; at each number of false alarms, the hits are the mean
over labels minus the deviation between them. An estimated event is a false alarm unless
reference events of its label cover a share of it (`dtc`); a reference event is hit if
estimated events that are no false alarms cover a share of it (`gtc`).

Scenario 1 wants exact times, scenario 2 the right label: there a false alarm that events
of another label cover (`cttc`) is a confusion, and confusions, averaged over the other
labels, weigh half as much again.

Here the curve comes from scores and is exact, by `sed_scores_eval`; see
`train.metrics.psds_points` for the curve through the events at some thresholds.

References
----------
Bilen et al., "A framework for the robust evaluation of sound event detection", ICASSP
2020; Ebbers et al., "Threshold independent evaluation of sound event detection scores",
ICASSP 2022.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsed.config import FrontendConfig
from train.metrics.intervals import Clips, merge_overlaps

Floats = NDArray[np.float64]

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


class NoPsdsError(ValueError):
    """The package that computes PSDS from scores is not installed."""

    def __init__(self) -> None:
        super().__init__("PSDS must have sed_scores_eval: pip install '.[train]'")


def _sed_scores_eval() -> tuple[Any, Any]:
    """Import what computes curves, and what it wants scores made into."""
    try:
        with warnings.catch_warnings():
            # dcase_util, under it, imports pkg_resources, which warns that it is
            # deprecated.
            warnings.simplefilter("ignore")
            from sed_scores_eval import intersection_based
            from sed_scores_eval.base_modules.scores import create_score_dataframe
    except ModuleNotFoundError as error:
        raise NoPsdsError from error
    return intersection_based, create_score_dataframe


def psds(
    reference: Clips,
    scores: Sequence[NDArray[np.float32]],
    labels: Sequence[str],
    *,
    n_samples: Sequence[int],
    frontend: FrontendConfig,
) -> tuple[float, float]:
    """Compute PSDS 1 and PSDS 2 of scores on a front-end's grid; see `psd_rocs`."""
    tables, durations = _on_grid(scores, n_samples, frontend)
    first, second = psd_rocs(reference, tables, labels, durations=durations)
    return first.area, second.area


def psds1(
    reference: Clips,
    scores: Sequence[NDArray[np.float32]],
    labels: Sequence[str],
    *,
    n_samples: Sequence[int],
    frontend: FrontendConfig,
) -> tuple[float]:
    """Compute PSDS 1 alone: without confusions to count, in a fifth of the time."""
    tables, durations = _on_grid(scores, n_samples, frontend)
    (first,) = _curves(reference, tables, labels, durations, SCENARIOS[:1])
    return (first.area,)


def _on_grid(
    scores: Sequence[NDArray[np.float32]],
    n_samples: Sequence[int],
    frontend: FrontendConfig,
) -> tuple[list[ScoreTable], list[float]]:
    """Give the table and the duration of each clip."""
    both = zip(scores, n_samples, strict=True)
    tables = [ScoreTable.on_grid(table, n, frontend) for table, n in both]
    return tables, [n / frontend.sample_rate for n in n_samples]


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
    NoPsdsError
        `sed_scores_eval` is not installed.
    """
    first, second = _curves(reference, tables, labels, durations, SCENARIOS)
    return first, second


def _curves(
    reference: Clips,
    tables: Sequence[ScoreTable],
    labels: Sequence[str],
    durations: Sequence[float],
    scenarios: Sequence[Scenario],
) -> list[PsdRoc]:
    """Compute the curve of each scenario."""
    intersection_based, create_score_dataframe = _sed_scores_eval()
    columns = named_columns(reference, labels)
    chosen = [labels[column] for column in columns]
    frames, truth, lengths = {}, {}, {}
    for index, (events, table) in enumerate(zip(reference, tables, strict=True)):
        name = str(index)
        frames[name] = create_score_dataframe(
            table.scores[:, columns], table.edges, chosen
        )
        truth[name] = [
            (e.onset, e.offset, e.label)
            for e in merge_overlaps(events)
            if e.label in chosen
        ]
        lengths[name] = durations[index]

    def curve(scenario: Scenario) -> PsdRoc:
        alone = len(chosen) == 1  # a single label cannot be confused
        area, _, (hits, false_alarms), _ = intersection_based.psds(
            frames,
            truth,
            lengths,
            dtc_threshold=scenario.dtc,
            gtc_threshold=scenario.gtc,
            cttc_threshold=None if alone else scenario.cttc,
            alpha_ct=0.0 if alone else scenario.alpha_ct,
            alpha_st=scenario.alpha_st,
            max_efpr=MAX_FALSE_ALARMS,
        )
        return PsdRoc(float(area), false_alarms, hits)

    return [curve(scenario) for scenario in scenarios]


def named_columns(reference: Clips, labels: Sequence[str]) -> list[int]:
    """Find the columns of the labels that the reference names."""
    named = {event.label for events in reference for event in events}
    columns = [column for column, label in enumerate(labels) if label in named]
    if not columns:
        raise ValueError(
            f"labels={tuple(labels)} must name something that the reference names"
        )
    return columns
