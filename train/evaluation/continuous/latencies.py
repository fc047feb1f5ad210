"""The tables by latency and by sensitivity.

By latency: what a stream gains by waiting longer before it decides. By sensitivity: what
fewer false announcements cost. Each row is one setting on the same recordings. Over
halves, of which each is measured with thresholds chosen on the other, a row is the mean of
theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streamsed.config import FrontendConfig, StreamConfig
from train.evaluation.continuous.recording_scores import STEP

LATENCIES = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds."""
IN_ROW = (
    *("latency", "event_f1_macro", "event_f1_micro", "psds1", "fates"),
    *("false_per_hour", "announced", "false_announcements_per_hour"),
    "repeated_announcements_per_hour",
)
"""What a row has, under the names of `train.evaluation.continuous.measures`."""
IN_SENSITIVITY_ROW = (
    *("latency", "event_f1_macro", "event_f1_micro", "announced"),
    "false_announcements_per_hour",
)
"""The same for a row by sensitivity."""


def latency_streams(config: FrontendConfig) -> list[StreamConfig]:
    """List the streams of the table; none waits for longer than a segment."""
    longest = config.segment_duration
    return [StreamConfig(step=STEP, latency=t) for t in LATENCIES if t <= longest]


def latency_row(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Reduce what `measure_stream` or `measure_latency` gave to a row, see `IN_ROW`."""
    return {name: measured[name] for name in IN_ROW}


def sensitivity_row(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Reduce what `measure_detections` gave to a row.

    Returns
    -------
    dict
        See `IN_SENSITIVITY_ROW`; `backgrounds_per_hour`, false events on backgrounds
        alone; `others_triggering`, the share of other sounds that an event overlaps. The
        last two are None without such recordings.
    """
    others = measured["others"]
    share = others["triggering"] / others["sounds"] if others["sounds"] else None
    return {
        **{name: measured[name] for name in IN_SENSITIVITY_ROW},
        "backgrounds_per_hour": measured["backgrounds"]["per_hour"],
        "others_triggering": share,
    }


def mean_row(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Average rows of equal form, number by number.

    A number that a row lacks (None: the delay where nothing was announced) is the mean of
    the others; numbers of events, `n`, are added up.

    Examples
    --------
    >>> rows = {"n": 3, "median": 0.5}, {"n": 1, "median": None}
    >>> mean_row(rows)
    {'n': 4, 'median': 0.5}
    """
    mean: dict[str, Any] = {}
    for name, first in rows[0].items():
        values = [row[name] for row in rows if row[name] is not None]
        if isinstance(first, Mapping):
            mean[name] = mean_row(values)
        elif name == "n":
            mean[name] = sum(values)
        else:
            mean[name] = round(sum(values) / len(values), 4) if values else None
    return mean
