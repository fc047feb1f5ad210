"""Settings of the plot of a recording: its part and colours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

MAX_DURATION = 3600.0
"""Seconds; longer plots are unreadable and need too much memory."""


class Theme(NamedTuple):
    """Colours, as matplotlib names them."""

    background: str
    ink: str
    faint: str
    event: str
    score: str


THEMES = {
    "light": Theme("white", "#202020", "#b8b8b8", "tab:red", "#6baed6"),
    "dark": Theme("#15181c", "#e4e4e4", "#50565e", "#ff7043", "#2f6da3"),
}


@dataclass(frozen=True, slots=True)
class Picture:
    """Which part of a recording is plotted, and how.

    Parameters
    ----------
    start : float
        Seconds from the start of the recording.
    stop : float or None
        Seconds; None is the end.
    theme : str
        One of `THEMES`.

    Raises
    ------
    ValueError
        The theme is unknown, or the part is empty or longer than `MAX_DURATION`.
    """

    start: float = 0.0
    stop: float | None = None
    theme: str = "light"

    def __post_init__(self) -> None:
        """Check the settings and their combinations."""
        if self.theme not in THEMES:
            raise ValueError(
                f"--theme must be {' or '.join(THEMES)}, not {self.theme!r}"
            )
        if not 0 <= self.start < math.inf:
            raise ValueError(f"--from must be at least 0, not {self.start:g}")
        if self.stop is not None and not self.start < self.stop < math.inf:
            raise ValueError(
                f"--to must be later than --from ({self.start:g} s), not {self.stop:g} s"
            )
        if self.stop is not None:
            self.check(self.stop)

    def check(self, duration: float) -> None:
        """Raise ValueError if the part of a recording of this length is too long."""
        seconds = min(duration, self.stop or duration) - self.start
        if seconds > MAX_DURATION:
            raise ValueError(
                f"--plot draws at most {MAX_DURATION:.0f} s, and this part has "
                f"{seconds:.0f} s or more; choose a shorter one with --from and --to"
            )


def seconds_of(text: str, option: str) -> float:
    """Parse a time: seconds, optionally with minutes and hours, separated by colons.

    Examples
    --------
    >>> seconds_of("90.5", "--from"), seconds_of("1:02:03", "--from")
    (90.5, 3723.0)
    """
    parts = text.split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 3 or not all(0 <= n < math.inf for n in numbers):
        raise ValueError(
            f"{option} must be a time such as 90.5, 1:30 or 2:03:04, not {text!r}"
        )
    total = 0.0
    for number in numbers:
        total = 60 * total + number
    return total
