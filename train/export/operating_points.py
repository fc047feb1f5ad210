"""Operating points: what a model file ships as thresholds, and what they were worth.

Thresholds are chosen on recordings that the network was not trained on, in two halves that
share no recording. What they are worth is measured crosswise: chosen on one half, measured
on the other. What ships is chosen on both.

A network that is trained on everything has no such recordings left. It takes the points of
a sibling, trained alike on a part: `python -m train tune SIBLING`, then `export
--operating-points`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from streamsed.atomic_write import write
from streamsed.config import StreamConfig
from streamsed.inference.operating_points import OperatingPoint
from streamsed.progress import track
from train.evaluation.continuous.measures import measure_stream
from train.evaluation.continuous.recordings import ScoredRecording
from train.evaluation.continuous.tuning import false_alarms, tune_continuous

STEP = 0.25
"""Seconds between the segments of a stream."""
SETTLING = (1.0, 10.0)
"""Seconds after which scores are final: of a live view, and with full context."""
PRICES = {"low": 0.03, "normal": 0.008, "high": 0.0015}
"""Event F1 that a false alarm an hour costs a label, by sensitivity."""
MEASURED = ("event_f1_macro", "event_f1_micro", "psds1", "psds2")

Half = Sequence[ScoredRecording]


def choose_operating_points(halves: Sequence[Half]) -> list[OperatingPoint]:
    """Choose the points of each sensitivity and settling on all recordings.

    Their false alarms an hour are those of points chosen on the other half.

    Parameters
    ----------
    halves : sequence of sequences of ScoredRecording
        Parts that share no recording; see `train.evaluation.continuous`.
    """
    everything = [each for half in halves for each in half]
    points = []
    settings = [(settle, name) for settle in SETTLING for name in PRICES]
    for settle, name in track(
        settings, "operating points", total=len(settings), unit="points"
    ):
        stream = StreamConfig(step=STEP, latency=settle)
        post = tune_continuous(everything, stream, price=PRICES[name])
        alarms = [
            false_alarms(
                half, stream, tune_continuous(rest, stream, price=PRICES[name])
            )
            for half, rest in _crosswise(halves)
        ]
        mean = {
            label: round(float(np.mean([each[label] for each in alarms])), 2)
            for label in alarms[0]
        }
        points.append(OperatingPoint(name, settle, post, mean))
    return points


def measure_crosswise(halves: Sequence[Half]) -> dict[str, Any]:
    """Measure each half with thresholds of normal sensitivity chosen on the others.

    Returns
    -------
    dict
        By settling, the mean over the halves of event F1 (macro, micro, by label), PSDS,
        and false announcements an hour; and what was done, in words.
    """
    figures: dict[str, Any] = {}
    for settle in SETTLING:
        stream = StreamConfig(step=STEP, latency=settle)
        rows = [
            measure_stream(
                half, stream, tune_continuous(rest, stream, price=PRICES["normal"])
            )
            for half, rest in _crosswise(halves)
        ]
        per_label = {
            label: _mean([row["event_f1_per_label"][label] for row in rows])
            for label in rows[0]["event_f1_per_label"]
        }
        figures[f"{settle:g}"] = {
            **{name: _mean([row[name] for row in rows]) for name in MEASURED},
            "event_f1_per_label": per_label,
            "false_announcements_per_hour": _mean(
                [row["false_announcements_per_hour"] for row in rows]
            ),
        }
    figures["how"] = (
        "continuous recordings in two halves without a recording in common, neither "
        "trained on; thresholds chosen on one and measured on the other"
    )
    return figures


def write_operating_points(
    path: Path, points: Sequence[OperatingPoint], figures: Mapping[str, Any]
) -> None:
    """Write points and figures as JSON."""
    content = {
        "points": [point.to_dict() for point in points],
        "figures": dict(figures),
    }
    write(path, [json.dumps(content, indent=1) + "\n"])


def read_operating_points(path: Path) -> tuple[list[OperatingPoint], dict[str, Any]]:
    """Read what `write_operating_points` wrote.

    Raises
    ------
    ValueError
        The file is missing or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        points = [OperatingPoint.from_dict(each) for each in content["points"]]
        return points, dict(content["figures"])
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such file") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: not operating points; make them with `python -m train tune`"
        ) from error


def _crosswise(halves: Sequence[Half]) -> list[tuple[Half, list[ScoredRecording]]]:
    """Pair each half with all recordings of the others."""
    return [
        (half, [each for other in halves if other is not half for each in other])
        for half in halves
    ]


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 4)
