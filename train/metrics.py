"""Scoring: event-based F1, the number of the report's table 1, and PSDS.

An estimated event is right if its label is, its onset lies within 0.2 s of the
reference's and its offset within 0.2 s or a fifth of the reference's length, whichever
is more. F1 is computed per label; *macro* is the mean over labels, *micro* counts all
events together. A label without any hit has 0, never NaN.

PSDS is the area under the curve of hits against false alarms per hour (up to 100) over
all thresholds, mean over labels minus the deviation between them. Scenario 1 wants exact
times (an overlap of 0.7 on both sides), scenario 2 the right label (0.1, and an event
that overlaps another label's by 0.3 counts as a confusion, with weight 0.5).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsed.config import FrontendConfig
from streamsed.events import Event

with warnings.catch_warnings():
    # dcase_util, under both, imports pkg_resources, which warns that it is deprecated.
    warnings.simplefilter("ignore")
    from sed_eval.sound_event import EventBasedMetrics
    from sed_scores_eval import intersection_based
    from sed_scores_eval.base_modules.scores import create_score_dataframe

ONSET_COLLAR = 0.2
OFFSET_COLLAR_RATE = 0.2


@dataclass(frozen=True, slots=True)
class EventF1:
    """Event-based F1, all from 0 to 1: `macro`, `micro` and `per_label`."""

    macro: float
    micro: float
    per_label: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as a dict that JSON can hold, to four decimals."""
        return {
            "event_f1_macro": round(self.macro, 4),
            "event_f1_micro": round(self.micro, 4),
            "event_f1_per_label": {k: round(v, 4) for k, v in self.per_label.items()},
        }


def event_f1(
    reference: Sequence[Sequence[Event]],
    estimated: Sequence[Sequence[Event]],
    labels: Sequence[str],
) -> EventF1:
    """Score estimated against reference events by sed_eval.

    Parameters
    ----------
    reference, estimated : sequence of sequences of Event
        One inner sequence per clip, in the same order.
    labels : sequence of str
        What is scored.

    Returns
    -------
    EventF1
        A label that neither side ever names is 0 and counts in the macro mean.

    Raises
    ------
    ValueError
        The two have different numbers of clips.
    """
    if len(reference) != len(estimated):
        raise ValueError(
            f"estimated clips={len(estimated)} must be as many as reference clips="
            f"{len(reference)}"
        )
    metric = EventBasedMetrics(
        event_label_list=list(labels),
        t_collar=ONSET_COLLAR,
        percentage_of_length=OFFSET_COLLAR_RATE,
        empty_system_output_handling="zero_score",
    )
    for index, (truth, guess) in enumerate(zip(reference, estimated, strict=True)):
        name = str(index)
        metric.evaluate(_as_rows(truth, name), _as_rows(guess, name))
    per_label = {
        label: _number(metric.results_class_wise_metrics()[label]) for label in labels
    }
    macro = sum(per_label.values()) / max(len(per_label), 1)
    return EventF1(macro, _number(metric.results_overall_metrics()), per_label)


def psds(
    reference: Sequence[Sequence[Event]],
    scores: Sequence[NDArray[np.float32]],
    labels: Sequence[str],
    *,
    n_samples: Sequence[int],
    frontend: FrontendConfig,
) -> tuple[float, float]:
    """Compute PSDS 1 and PSDS 2 exactly, by sed_scores_eval.

    Parameters
    ----------
    reference : sequence of sequences of Event
        One inner sequence per clip; events of one label must not overlap.
    scores : sequence of float32 (n_score_frames, n_labels)
        One array per clip, in the same order.
    labels : sequence of str
        The columns of the scores; those that the reference never names do not count.
    n_samples : sequence of int
        Length of each clip.
    frontend : FrontendConfig
        The grid that the scores lie on.

    Returns
    -------
    float, float
        From 0 to 1.
    """
    named = {event.label for events in reference for event in events}
    columns = [index for index, label in enumerate(labels) if label in named]
    length, rate = frontend.score_frame_length, frontend.sample_rate
    frames, truth, durations = {}, {}, {}
    for index, (table, n) in enumerate(zip(scores, n_samples, strict=True)):
        edges = np.minimum(np.arange(len(table) + 1) * length, n) / rate
        held = edges[1:] > edges[:-1]  # the last frame may begin where the clip ends
        frames[str(index)] = create_score_dataframe(
            table[held][:, columns],
            edges[: held.sum() + 1],
            [labels[i] for i in columns],
        )
        truth[str(index)] = [(e.onset, e.offset, e.label) for e in reference[index]]
        durations[str(index)] = n / rate
    first = {"dtc_threshold": 0.7, "gtc_threshold": 0.7, "alpha_st": 1.0}
    second = {"dtc_threshold": 0.1, "gtc_threshold": 0.1, "alpha_st": 1.0}
    if len(columns) > 1:  # a single label cannot be confused
        second |= {"cttc_threshold": 0.3, "alpha_ct": 0.5}
    areas = [
        intersection_based.psds(frames, truth, durations, max_efpr=100.0, **scenario)[0]
        for scenario in (first, second)
    ]
    return float(areas[0]), float(areas[1])


def _as_rows(events: Sequence[Event], name: str) -> list[Mapping[str, object]]:
    """Convert events to the rows that sed_eval reads."""
    return [
        {
            "filename": name,
            "event_label": event.label,
            "onset": event.onset,
            "offset": event.offset,
        }
        for event in events
    ]


def _number(metrics: Mapping[str, Mapping[str, float]]) -> float:
    """Take the F-measure; what sed_eval leaves undefined is 0."""
    value = float(metrics["f_measure"]["f_measure"])
    return 0.0 if math.isnan(value) else value
