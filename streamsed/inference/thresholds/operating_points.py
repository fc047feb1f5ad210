"""How easily a model detects: thresholds for a sensitivity, and for when scores settle.

A model file may carry several sets of thresholds, each tuned and measured: for a low, a
normal and a high sensitivity, and for scores that settle earlier than its own do. What it
does not carry is derived from what it does: a low sensitivity asks for twice the odds of
its normal thresholds, a high one for half of them. So 0.5 becomes 0.67 or 0.33, and 0.9
becomes 0.95 or 0.82, and no threshold leaves the range from 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from streamsed.config import PostConfig

SENSITIVITIES = ("low", "normal", "high")

MAX_POINTS = 100
"""Operating points that a model file may have."""

ODDS = {"low": 2.0, "normal": 1.0, "high": 0.5}
"""Factor on the odds of the normal thresholds where a model file has none of its own."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A tuned set of thresholds and what it costs.

    Parameters
    ----------
    sensitivity : str
        One of `SENSITIVITIES`.
    settle : float
        Seconds after which the scores it was tuned on are final.
    post : PostConfig
        How those scores become events.
    false_alarms : mapping
        False alarms an hour by label, as measured; empty if they were not.
    """

    sensitivity: str
    settle: float
    post: PostConfig
    false_alarms: Mapping[str, float]

    def __post_init__(self) -> None:
        """Check what does not check itself."""
        if self.sensitivity not in SENSITIVITIES:
            raise ValueError(
                f"sensitivity={self.sensitivity!r} must be one of "
                f"{', '.join(SENSITIVITIES)}"
            )
        numbers: dict[str, float] = {"settle": self.settle, **self.false_alarms}
        for name, value in numbers.items():
            number = value if type(value) in (int, float) else math.nan  # bool is none
            if not 0 <= number < math.inf:
                raise ValueError(f"{name}={value!r} must be a number, at least 0")

    @property
    def total_false_alarms(self) -> float | None:
        """False alarms an hour of all labels together; None if they were not measured."""
        return sum(self.false_alarms.values()) if self.false_alarms else None

    def to_dict(self) -> dict[str, Any]:
        """Return the point as a dict that JSON can hold."""
        return {
            "sensitivity": self.sensitivity,
            "settle": self.settle,
            "post": self.post.to_dict(),
            "false_alarms": dict(self.false_alarms),
        }

    @classmethod
    def from_dict(cls, point: Mapping[str, Any]) -> Self:
        """Build from `to_dict`'s form.

        Raises
        ------
        ValueError
            A key is missing or unknown, or a value is not of its kind or out of range.
        """
        known = [field.name for field in fields(cls)]
        if sorted(point) != sorted(known):
            raise ValueError(f"an operating point must have {', '.join(known)}")
        tables = [name for name in known[2:] if isinstance(point[name], Mapping)]
        if tables != known[2:]:
            raise ValueError(
                "post and false_alarms of an operating point must be tables"
            )
        return cls(**{**point, "post": PostConfig.from_dict(point["post"])})


def read_points(records: Any) -> tuple[OperatingPoint, ...]:
    """Read the operating points that a model file's description holds.

    Parameters
    ----------
    records : list of dict
        In `OperatingPoint.to_dict`'s form; anything else is refused.

    Raises
    ------
    ValueError
        They are too many, or not of their kind.
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
    """Return the set of thresholds for a sensitivity and a settling.

    Parameters
    ----------
    points : sequence of OperatingPoint
        What the model has; at least one of normal sensitivity.
    labels : sequence of str
        The model's.
    sensitivity : str
        One of `SENSITIVITIES`.
    settle : float
        Seconds; the point tuned for the nearest one is taken, of two the later.

    Raises
    ------
    ValueError
        There is no such sensitivity.

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
    normal = choose_point(points, labels, sensitivity="normal", settle=settle)
    post = with_odds(normal.post, labels, ODDS[sensitivity])
    return OperatingPoint(sensitivity, normal.settle, post, {})


def with_odds(post: PostConfig, labels: Sequence[str], factor: float) -> PostConfig:
    """Multiply the odds t / (1 - t) of all thresholds by a factor; 0 and 1 stay."""

    def shifted(name: str) -> dict[str, float]:
        values = zip(labels, post.per_label(name, labels), strict=True)
        return {
            label: round(factor * t / (1 - t + factor * t), 3) for label, t in values
        }

    return post.override(
        labels,
        {name: shifted(name) for name in ("onset_threshold", "offset_threshold")},
    )
