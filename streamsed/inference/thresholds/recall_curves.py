"""How much of what occurs a model finds, by threshold: what a higher threshold costs.

A curve is measured once, when thresholds are tuned, on recordings that the network was not
trained on, and travels in the model file. Whoever raises a threshold, by hand or by
`streamsed calibrate`, can then say how many events of that label are lost by it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

from streamsed.config.settings import MAX_SECONDS, is_number, shortened

MAX_CURVES = 20
"""Settlings for which a model file may have curves."""
MAX_THRESHOLDS = 200
"""Thresholds of a curve."""
MAX_EVENTS = 10**9
"""Events that a label's curve may rest on."""
FIELDS = ("settle", "thresholds", "recall", "n_events")


@dataclass(frozen=True, slots=True)
class RecallCurves:
    """The share of the events of each label that is found, by onset threshold.

    Parameters
    ----------
    settle : float
        Seconds after which the scores that were measured are final.
    thresholds : tuple of float
        Onset thresholds in [0, 1], rising.
    recall : mapping of str to tuple of float
        By label, for each threshold the share of its events, in [0, 1], that an event of
        this label overlaps; it never rises.
    n_events : mapping of str to int
        How many events each label's curve rests on.

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
        """Return the share that is found at a threshold; None if that was not measured.

        Parameters
        ----------
        label : str
            Of the model.
        threshold : float
            In [0, 1]; between two that were measured the share is interpolated, beyond
            them it is that of the nearest.
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
        """Return the curves as a dict that JSON can hold."""
        return {
            "settle": self.settle,
            "thresholds": list(self.thresholds),
            "recall": {label: list(shares) for label, shares in self.recall.items()},
            "n_events": dict(self.n_events),
        }

    @classmethod
    def from_dict(cls, curves: Mapping[str, Any]) -> Self:
        """Build from `to_dict`'s form.

        Raises
        ------
        ValueError
            A key is missing or unknown, or a value is not of its kind or out of range.
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
    """Read the curves that a model file's description holds.

    Parameters
    ----------
    records : list of dict
        In `RecallCurves.to_dict`'s form; anything else is refused.
    labels : sequence of str
        The model's.

    Raises
    ------
    ValueError
        They are too many, not of their kind, or name another label.
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
    """Return the curves of the nearest settling, of two the later; None without any."""
    return min(
        curves, key=lambda each: (abs(each.settle - settle), -each.settle), default=None
    )


def _within(value: object, most: float) -> bool:
    return is_number(value) and 0 <= value <= most  # type: ignore[operator]


def _require(holds: object, name: str, rule: str) -> None:
    if not holds:
        raise ValueError(f"{name} of recall curves must be {rule}")
