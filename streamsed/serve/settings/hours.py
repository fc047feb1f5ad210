"""A span of the day in local time, such as 22:00-06:30."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time
from typing import Self

_SPAN = re.compile(r"\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*")


@dataclass(frozen=True, slots=True)
class Hours:
    """A span between two times of the day, over midnight if the second is earlier.

    Parameters
    ----------
    start, stop : datetime.time
        Local time; `start` belongs to the span, `stop` does not.

    Examples
    --------
    >>> night = Hours.parse("22:00-06:30")
    >>> night.contains(datetime(2026, 11, 26, 23, 59))
    True
    >>> night.contains(datetime(2026, 11, 26, 6, 30))
    False
    >>> str(night)
    '22:00-06:30'
    """

    start: time
    stop: time

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `22:00-06:30`; the end of the day is 24:00 or 00:00.

        Raises
        ------
        ValueError
            The text is not a span, or the span is empty.
        """
        match = _SPAN.fullmatch(text)
        rule = "must be two times of the day, such as 22:00-06:30"
        if match is None:
            raise ValueError(rule)
        hours = [int(number) for number in match.groups()]
        if hours[2:] == [24, 0]:
            hours[2] = 0
        try:
            span = cls(time(hours[0], hours[1]), time(hours[2], hours[3]))
        except ValueError:
            raise ValueError(rule) from None
        if span.start == span.stop and span.start != time():
            raise ValueError("must not be empty; the whole day is 00:00-24:00")
        return span

    def contains(self, moment: datetime) -> bool:
        """Whether a local time is in the span."""
        now = moment.time()
        if self.start < self.stop:
            return self.start <= now < self.stop
        return now >= self.start or now < self.stop

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.stop:%H:%M}"
