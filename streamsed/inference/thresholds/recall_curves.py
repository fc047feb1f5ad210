"""Recall by threshold: how many events a higher threshold misses.

A curve is measured once, when thresholds are tuned, on recordings that the network was not
trained on, and stored in the model file. It gives how many events of a label are missed
when its threshold is raised, by hand or by `streamsed calibrate`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

from streamsed.config.settings import MAX_SECONDS, is_number, shortened

MAX_CURVES = 20
"""Maximum number of values of `settle` with curves in a model file."""
MAX_THRESHOLDS = 200
"""Maximum number of thresholds of a curve."""
MAX_EVENTS = 10**9
"""Maximum number of events behind a label's curve."""
FIELDS = ("settle", "thresholds", "recall", "n_events")


@dataclass(frozen=True, slots=True)
class RecallCurves:
    """The recall of each label, by onset threshold.

    Parameters
    ----------
    settle : float
        Seconds after which scores were final in the measurement.
    thresholds : tuple of float
        Onset thresholds in [0, 1], increasing.
    recall : mapping of str to tuple of float
        By label, for each threshold the share of its events, in [0, 1], that a detected
        event of this label overlaps; not increasing.
    n_events : mapping of str to int
        Number of events behind each label's curve.

    Examples
    --------
    >>> curves = RecallCurves(10.0, (0.4, 0.8), {"Dog": (0.9, 0.5)}, {"Dog": 31})
    >>> round(curves.recall_at("Dog", 0.5), 3)
    0.8
    """

    settle: float
    thresholds: tuple[float, ...]
    recall: Mapping[str, tuple[float, ...]]
    n_events: Mapping[str, int]

    def __post_init__(self) -> None:
        """Check every number."""
        rule = f"a number from 0 to {MAX_SECONDS:g} (in seconds)"
        _require(_within(self.settle, MAX_SECONDS), "settle", rule)
        thresholds = self.thresholds
        _require(
            2 <= len(thresholds) <= MAX_THRESHOLDS
            and all(_within(each, 1) for each in thresholds)
            and all(low < high for low, high in pairwise(thresholds)),
            "thresholds",
            f"2 to {MAX_THRESHOLDS} numbers from 0 to 1, rising",
        )
        _require(
            self.recall.keys() == self.n_events.keys(),
            "n_events",
            "given for the same labels as recall",
        )
        for label, shares in self.recall.items():
            _require(
                len(shares) == len(thresholds)
                and all(_within(each, 1) for each in shares)
                and all(high <= low for low, high in pairwise(shares)),
                f"recall of {shortened(repr(label))}",
                "a share from 0 to 1 for each threshold, never rising",
            )
            count = self.n_events[label]
            _require(
                type(count) is int and 0 <= count <= MAX_EVENTS,
                f"n_events of {shortened(repr(label))}",
                f"a whole number from 0 to {MAX_EVENTS:g}",
            )

    def recall_at(self, label: str, threshold: float) -> float | None:
        """Return the recall at a threshold; None if it was not measured.

        Parameters
        ----------
        label : str
            One of the model's labels.
        threshold : float
            In [0, 1]; the recall is interpolated between measured thresholds, and
            constant beyond them.
        """
        shares = self.recall.get(label)
        if shares is None or not self.n_events[label]:
            return None
        if threshold <= self.thresholds[0]:
            return shares[0]
        if threshold >= self.thresholds[-1]:
            return shares[-1]
        above = bisect_right(self.thresholds, threshold)
        low, high = self.thresholds[above - 1], self.thresholds[above]
        way = (threshold - low) / (high - low)
        return shares[above - 1] + way * (shares[above] - shares[above - 1])

    def to_dict(self) -> dict[str, Any]:
        """Return the curves as a dict for JSON."""
        return {
            "settle": self.settle,
            "thresholds": list(self.thresholds),
            "recall": {label: list(shares) for label, shares in self.recall.items()},
            "n_events": dict(self.n_events),
        }

    @classmethod
    def from_dict(cls, curves: Mapping[str, Any]) -> Self:
        """Build from a dict of the form of `to_dict`.

        Raises
        ------
        ValueError
            A key is missing or unknown, or a value has the wrong type or is out of range.
        """
        if sorted(curves) != sorted(FIELDS):
            raise ValueError(f"recall curves must have {', '.join(FIELDS)}")
        _require(isinstance(curves["thresholds"], list), "thresholds", "a list")
        for name in FIELDS[2:]:
            _require(isinstance(curves[name], dict), name, "given by label")
        shares = curves["recall"].values()
        _require(all(isinstance(each, list) for each in shares), "recall", "lists")
        return cls(
            settle=curves["settle"],
            thresholds=tuple(curves["thresholds"]),
            recall={label: tuple(each) for label, each in curves["recall"].items()},
            n_events=dict(curves["n_events"]),
        )


def read_curves(records: Any, labels: Sequence[str]) -> tuple[RecallCurves, ...]:
    """Read the curves from a model file's description.

    Parameters
    ----------
    records : list of dict
        In the form of `RecallCurves.to_dict`; anything else is rejected.
    labels : sequence of str
        The model's labels.

    Raises
    ------
    ValueError
        There are too many, one is invalid, or a label is unknown.
    """
    if not isinstance(records, list) or len(records) > MAX_CURVES:
        raise ValueError(f"its recall_curves must be a list of {MAX_CURVES} at most")
    if not all(isinstance(each, dict) for each in records):
        raise ValueError("its recall_curves must be tables")
    curves = tuple(RecallCurves.from_dict(each) for each in records)
    for each in curves:
        for label in each.recall.keys() - set(labels):
            raise ValueError(f"recall names the unknown label {shortened(repr(label))}")
    return curves


def nearest_curves(
    curves: Sequence[RecallCurves], *, settle: float
) -> RecallCurves | None:
    """Return the curves of the nearest `settle`, the larger of two; None without any."""
    return min(
        curves, key=lambda each: (abs(each.settle - settle), -each.settle), default=None
    )


def _within(value: object, most: float) -> bool:
    return is_number(value) and 0 <= value <= most  # type: ignore[operator]


def _require(holds: object, name: str, rule: str) -> None:
    if not holds:
        raise ValueError(f"{name} of recall curves must be {rule}")
