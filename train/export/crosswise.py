"""What operating points are worth: each half measured with points chosen on the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from streamsed.config import StreamConfig
from streamsed.inference.thresholds.operating_points import OperatingPoint, choose_point
from streamsed.progress import track
from train.evaluation.continuous.latencies import (
    latency_row,
    latency_streams,
    mean_row,
    sensitivity_row,
)
from train.evaluation.continuous.measures import (
    measure_detections,
    measure_latency,
    measure_stream,
)
from train.export.operating_points import PRICES, STEP, Half, Halves

MEASURED = (
    *("event_f1_macro", "event_f1_micro", "psds1", "psds2"),
    *("false_announcements_per_hour", "event_f1_per_label"),
)
"""What is averaged over the halves at each settling."""

Chosen = Mapping[float, OperatingPoint]
"""The points of normal sensitivity by settling."""


def measure_crosswise(halves: Halves) -> dict[str, Any]:
    """Measure each half with thresholds of normal sensitivity chosen on the others.

    Returns
    -------
    dict
        By settling, the mean over the halves of event F1 (macro, micro, by label), PSDS,
        and false announcements per hour, and the whole of each under `halves`; the tables
        by latency and by sensitivity under `by_latency` and `by_sensitivity`, see
        `train.evaluation.continuous.latencies`, each row with those of the halves; and
        what was done, in words.
    """
    chosen = _chosen_elsewhere(halves)
    whole = {
        settle: [
            measure_stream(
                half, StreamConfig(step=STEP, latency=settle), own[settle].post
            )
            for half, own in zip(halves.recordings, chosen, strict=True)
        ]
        for settle in halves.trials
    }
    figures: dict[str, Any] = {
        f"{settle:g}": {
            **mean_row([{name: row[name] for name in MEASURED} for row in rows]),
            "halves": rows,
        }
        for settle, rows in whole.items()
    }
    figures["by_latency"] = list(_by_latency(halves, chosen, whole))
    figures["by_sensitivity"] = list(_by_sensitivity(halves, whole))
    figures["how"] = (
        "continuous recordings in two halves without a recording in common, neither "
        "trained on; thresholds chosen on one and measured on the other"
    )
    return figures


def _chosen_elsewhere(halves: Halves) -> list[Chosen]:
    """Choose the points of each half on all others."""
    chosen: list[dict[float, OperatingPoint]] = [{} for _ in halves.recordings]
    for settle in halves.trials:
        posts = halves.chosen_elsewhere(settle, "normal")
        for points, post in zip(chosen, posts, strict=True):
            points[settle] = OperatingPoint("normal", settle, post, {})
    return list(chosen)


def _by_latency(
    halves: Halves,
    chosen: list[Chosen],
    whole: Mapping[float, list[dict[str, Any]]],
) -> Iterator[dict[str, Any]]:
    """Give the table's rows; those that were measured whole are not measured again."""
    streams = latency_streams(halves.recordings[0][0].scores.frontend)
    for stream in track(streams, "measuring", total=len(streams), unit="latencies"):
        measured = whole.get(stream.latency) or [
            _measure(half, stream, own)
            for half, own in zip(halves.recordings, chosen, strict=True)
        ]
        rows = [latency_row(each) for each in measured]
        yield {**mean_row(rows), "halves": rows}


def _by_sensitivity(
    halves: Halves, whole: Mapping[float, list[dict[str, Any]]]
) -> Iterator[dict[str, Any]]:
    """Give the table's rows by settling; normal sensitivity is not measured again."""
    todo = [(settle, name) for settle in halves.trials for name in PRICES]
    for settle, name in track(todo, "measuring", total=len(todo), unit="sensitivities"):
        stream = StreamConfig(step=STEP, latency=settle)
        measured = whole[settle]
        if name != "normal":
            posts = halves.chosen_elsewhere(settle, name)
            measured = [
                measure_detections(half, stream, post)
                for half, post in zip(halves.recordings, posts, strict=True)
            ]
        rows = [sensitivity_row(each) for each in measured]
        yield {"sensitivity": name, **mean_row(rows), "halves": rows}


def _measure(half: Half, stream: StreamConfig, chosen: Chosen) -> dict[str, Any]:
    """Measure one half with the point that a program would take at this latency."""
    point = choose_point(
        list(chosen.values()),
        half[0].scores.labels,
        sensitivity="normal",
        settle=stream.settled,
    )
    with_events = [each for each in half if each.part == "events"]
    return measure_latency(with_events, stream, point.post)
