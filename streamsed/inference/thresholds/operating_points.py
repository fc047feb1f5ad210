"""Operating points: thresholds for each sensitivity and value of `settle`.

A model file may contain several sets of thresholds, each tuned and measured: for low,
normal and high sensitivity, and for shorter values of `settle` than its default. Others
are derived: low sensitivity doubles the odds of the normal thresholds, high sensitivity
halves them. So 0.5 becomes 0.67 or 0.33, and 0.9 becomes 0.95 or 0.82, and thresholds
always stay between 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from streamsed.config import PostConfig

SENSITIVITIES = ("low", "normal", "high")

MAX_POINTS = 100
"""Maximum number of operating points in a model file."""

THRESHOLDS = ("onset_threshold", "rise_threshold", "offset_threshold")

ODDS = {"low": 2.0, "normal": 1.0, "high": 0.5}
"""Factor on the odds of the normal thresholds if a model file has no others."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A tuned set of thresholds and its false alarms.

    Parameters
    ----------
    sensitivity : str
        One of `SENSITIVITIES`.
    settle : float
        Seconds after which scores were final during tuning.
    post : PostConfig
        Settings that turn those scores into events.
    false_alarms : mapping
        Measured false alarms per hour by label; empty if not measured.
    """

    sensitivity: str
    settle: float
    post: PostConfig
    false_alarms: Mapping[str, float]

    def __post_init__(self) -> None:
        """Check the values."""
        if self.sensitivity not in SENSITIVITIES:
            raise ValueError(
                f"sensitivity={self.sensitivity!r} must be one of "
                f"{', '.join(SENSITIVITIES)}"
            )
        numbers: dict[str, float] = {"settle": self.settle, **self.false_alarms}
        for name, value in numbers.items():
            number = (
                value if type(value) in (int, float) else math.nan
            )  # a bool is not a number
            if not 0 <= number < math.inf:
                raise ValueError(f"{name}={value!r} must be a number, at least 0")

    @property
    def total_false_alarms(self) -> float | None:
        """Total false alarms per hour of all labels; None if not measured."""
        return sum(self.false_alarms.values()) if self.false_alarms else None

    def to_dict(self) -> dict[str, Any]:
        """Return the point as a dict for JSON."""
        return {
            "sensitivity": self.sensitivity,
            "settle": self.settle,
            "post": self.post.to_dict(),
            "false_alarms": dict(self.false_alarms),
        }

    @classmethod
    def from_dict(cls, point: Mapping[str, Any]) -> Self:
        """Build from a dict of the form of `to_dict`.

        Raises
        ------
        ValueError
            A key is missing or unknown, or a value has the wrong type or is out of range.
        """
        known = [field.name for field in fields(cls)]
        if sorted(point) != sorted(known):
            raise ValueError(f"an operating point must have {', '.join(known)}")
        tables = [name for name in known[2:] if isinstance(point[name], Mapping)]
        if tables != known[2:]:
            raise ValueError(
                "post and false_alarms of an operating point must be objects"
            )
        return cls(**{**point, "post": PostConfig.from_dict(point["post"])})


def read_points(records: Any) -> tuple[OperatingPoint, ...]:
    """Read the operating points from a model file's description.

    Parameters
    ----------
    records : list of dict
        In the form of `OperatingPoint.to_dict`; anything else is rejected.

    Raises
    ------
    ValueError
        There are too many, or one is invalid.
    """
    if not isinstance(records, list):
        raise ValueError("its operating_points must be a list")  # noqa: TRY004 - of a file
    if len(records) > MAX_POINTS:
        raise ValueError(
            f"it has {len(records)} operating points; at most {MAX_POINTS} are allowed"
        )
    if not all(isinstance(point, dict) for point in records):
        raise ValueError("its operating points must be objects")
    return tuple(OperatingPoint.from_dict(point) for point in records)


def choose_point(
    points: Sequence[OperatingPoint],
    labels: Sequence[str],
    *,
    sensitivity: str,
    settle: float,
) -> OperatingPoint:
    """Return the operating point for a sensitivity and a value of `settle`.

    Parameters
    ----------
    points : sequence of OperatingPoint
        Those of the model; at least one of normal sensitivity.
    labels : sequence of str
        The model's labels.
    sensitivity : str
        One of `SENSITIVITIES`.
    settle : float
        Seconds; the point with the nearest value is used, the larger one of two.

    Raises
    ------
    ValueError
        There is no such sensitivity, or no point of normal sensitivity.

    Examples
    --------
    >>> own = OperatingPoint("normal", 10.0, PostConfig(0.5), {})
    >>> low = choose_point([own], ["Dog"], sensitivity="low", settle=1.0)
    >>> low.post.per_label("onset_threshold", ["Dog"])
    [0.667]
    """
    if sensitivity not in SENSITIVITIES:
        raise ValueError(
            f"--sensitivity must be one of {', '.join(SENSITIVITIES)}, not {sensitivity!r}"
        )
    tuned = [point for point in points if point.sensitivity == sensitivity]
    if tuned:
        return min(tuned, key=lambda p: (abs(p.settle - settle), -p.settle))
    if sensitivity == "normal":
        raise ValueError("operating points must include one of normal sensitivity")
    normal = choose_point(points, labels, sensitivity="normal", settle=settle)
    post = with_odds(normal.post, labels, ODDS[sensitivity])
    return OperatingPoint(sensitivity, normal.settle, post, {})


def with_odds(post: PostConfig, labels: Sequence[str], factor: float) -> PostConfig:
    """Multiply the odds t / (1 - t) of all thresholds by a factor; 0 and 1 are kept."""

    def shifted(name: str) -> dict[str, float]:
        values = zip(labels, post.per_label(name, labels), strict=True)
        return {
            label: round(factor * t / (1 - t + factor * t), 3) for label, t in values
        }

    return post.override(
        labels,
        {name: shifted(name) for name in THRESHOLDS},
    )
