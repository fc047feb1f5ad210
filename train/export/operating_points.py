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
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from streamsed.atomic_write import write
from streamsed.config import PostConfig, StreamConfig
from streamsed.inference.thresholds.operating_points import OperatingPoint, choose_point
from streamsed.inference.thresholds.recall_curves import RecallCurves
from streamsed.progress import track
from train.evaluation.continuous.recall import recall_curves
from train.evaluation.continuous.recordings import ScoredRecording
from train.evaluation.continuous.tuning import Trials, false_alarms, lasting_labels

STEP = 0.25
"""Seconds between the segments of a stream."""
SETTLING = (1.0, 10.0)
"""Seconds after which scores are final: of a live view, and with full context."""
PRICES = {"low": 0.1, "normal": 0.008, "high": 0.0015}
"""Event F1 that a false alarm an hour costs a label, by sensitivity. With 0.03, low
sensitivity had hardly fewer false announcements than normal (`docs/model-card.md`)."""

Half = Sequence[ScoredRecording]


@dataclass(frozen=True, slots=True)
class Halves:
    """Recordings in parts that share none, and what every setting does to each part.

    Parameters
    ----------
    recordings : tuple of sequences of ScoredRecording
        The parts.
    trials : dict of float to tuple of Trials
        By settling, one for each part.
    """

    recordings: tuple[Half, ...]
    trials: dict[float, tuple[Trials, ...]]

    @classmethod
    def count(cls, halves: Sequence[Half]) -> Halves:
        """Try every setting on each part."""
        lasting = lasting_labels([each for half in halves for each in half])
        todo = [(settle, half) for settle in SETTLING for half in halves]
        found = [
            Trials.count(half, _stream(settle), lasting)
            for settle, half in track(todo, "settings", total=len(todo), unit="parts")
        ]
        n = len(halves)
        trials = {
            settle: tuple(found[n * i : n * (i + 1)])
            for i, settle in enumerate(SETTLING)
        }
        return cls(tuple(halves), trials)

    def chosen_elsewhere(self, settle: float, sensitivity: str) -> list[PostConfig]:
        """Choose, for each part, on all others."""
        trials = self.trials[settle]
        return [
            choose_settings(
                reduce(add, [each for each in trials if each is not own]), sensitivity
            )
            for own in trials
        ]


def choose_settings(trials: Trials, sensitivity: str) -> PostConfig:
    """Choose the settings of a sensitivity.

    Those of low sensitivity differ from those of normal sensitivity by higher thresholds
    alone, so that what it announces is less, not something else.
    """
    price, above = PRICES[sensitivity], None
    if sensitivity == "low":
        above = trials.choose(PRICES["normal"])
    return trials.choose(price, above=above)


def choose_operating_points(halves: Halves) -> list[OperatingPoint]:
    """Choose the points of each sensitivity and settling on all recordings.

    Their false alarms an hour are those of points chosen on the other half.
    """
    points = []
    for settle, trials in halves.trials.items():
        for name in PRICES:
            alarms = [
                false_alarms(half, _stream(settle), post)
                for half, post in zip(
                    halves.recordings,
                    halves.chosen_elsewhere(settle, name),
                    strict=True,
                )
            ]
            mean = {
                label: _mean([each[label] for each in alarms]) for label in alarms[0]
            }
            post = choose_settings(reduce(add, trials), name)
            points.append(OperatingPoint(name, settle, post, mean))
    return points


def measure_recall(
    halves: Halves, points: Sequence[OperatingPoint]
) -> list[RecallCurves]:
    """Measure the recall at each threshold, for each value of `settle`.

    Gaps, durations and smoothing are those of the points of normal sensitivity; the scores
    are of recordings that the network was not trained on.
    """
    recordings = [each for half in halves.recordings for each in half]
    labels = recordings[0].scores.labels
    return [
        recall_curves(
            recordings,
            _stream(settle),
            choose_point(points, labels, sensitivity="normal", settle=settle).post,
        )
        for settle in halves.trials
    ]


class Tuned(NamedTuple):
    """What `python -m train tune` found out about a network.

    Parameters
    ----------
    points : list of OperatingPoint
        Thresholds.
    recall : list of RecallCurves
        What is found at others; none in files of an older version.
    figures : dict
        What the points of normal sensitivity are worth, measured crosswise.
    """

    points: list[OperatingPoint]
    recall: list[RecallCurves]
    figures: dict[str, Any]


def write_operating_points(path: Path, tuned: Tuned) -> None:
    """Write points, curves and figures as JSON."""
    content = {
        "points": [point.to_dict() for point in tuned.points],
        "recall_curves": [curves.to_dict() for curves in tuned.recall],
        "figures": tuned.figures,
    }
    write(path, [json.dumps(content, indent=1) + "\n"])


def read_operating_points(path: Path) -> Tuned:
    """Read what `write_operating_points` wrote.

    Raises
    ------
    ValueError
        The file is missing or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Tuned(
            [OperatingPoint.from_dict(each) for each in content["points"]],
            [RecallCurves.from_dict(each) for each in content.get("recall_curves", [])],
            dict(content["figures"]),
        )
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such file") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: not operating points; make them with `python -m train tune`"
        ) from error


def points_for(path: Path, labels: Sequence[str]) -> Tuned:
    """Read operating points to export a network of these labels with.

    Raises
    ------
    ValueError
        See `read_operating_points`; or they have thresholds of other labels, or none of
        normal sensitivity.
    """
    tuned = read_operating_points(path)
    if "normal" not in {each.sensitivity for each in tuned.points}:
        raise ValueError(f"{path}: has no thresholds of normal sensitivity")
    for point in tuned.points:
        named = point.post.onset_threshold
        other = set(named) ^ set(labels) if isinstance(named, Mapping) else ()
        if other:
            raise ValueError(
                f"{path}: its thresholds are of other labels than the network's "
                f"({', '.join(sorted(other))} of one of them alone); tune a run of the same"
            )
    return tuned


def _stream(settle: float) -> StreamConfig:
    return StreamConfig(step=STEP, latency=settle)


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 4)
