"""Scoring: event-based F1, the number that the report's table 1 is made of.

An estimated event is right if its label is, its onset lies within 0.2 s of the
reference's and its offset within 0.2 s or a fifth of the reference's length, whichever
is more. F1 is computed per label; *macro* is the mean over labels, *micro* counts all
events together. A label without any hit has 0, never NaN.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streamsed.events import Event

with warnings.catch_warnings():
    # dcase_util, under sed_eval, imports pkg_resources, which warns that it is deprecated.
    warnings.simplefilter("ignore")
    from sed_eval.sound_event import EventBasedMetrics

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
