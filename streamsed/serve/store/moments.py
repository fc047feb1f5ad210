"""Parse times given on the command line: a date, a time, or how long ago."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([mhdw])")


def read_moment(text: str, *, option: str, now: datetime) -> float:
    """Parse a time to seconds since 1970.

    Parameters
    ----------
    text : str
        `36h`, `7d` and the like before now; `today` or `yesterday`, at midnight; or a date
        with or without a time (ISO 8601), in the local time zone by default.
    option : str
        Name of the option, for the message.
    now : datetime
        Current time, with a time zone.

    Raises
    ------
    ValueError
        The text is not a time, or out of range.

    Examples
    --------
    >>> noon = datetime.fromisoformat("2026-11-26T12:00:00+00:00")
    >>> noon.timestamp() - read_moment("1.5h", option="--since", now=noon)
    5400.0
    """
    rule = "use for example 24h, 7d, yesterday, 2026-11-26 or 2026-11-26T07:30"
    typed = text.strip()
    try:
        if ago := _AGO.fullmatch(typed):
            return (now - timedelta(**{UNITS[ago[2]]: float(ago[1])})).timestamp()
        if typed in ("today", "yesterday"):
            day = now.date() - timedelta(days=typed == "yesterday")
            return datetime.combine(day, time()).astimezone().timestamp()
        when = datetime.fromisoformat(typed)
        return (when if when.tzinfo else when.astimezone()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{option}: {text[:60]!r} is not a time; {rule}") from None
