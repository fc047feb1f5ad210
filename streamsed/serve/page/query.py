"""Parse and check the parameters of requests: times, names and numbers."""

from __future__ import annotations

import math
import re
import time
from datetime import datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request

from streamsed.serve.store.reader import Choice

ALIVE = ("opened", "updated", "ended", "closed", "unfinished")
"""States of events that are shown: all except withdrawn ones."""
MOST = 10_000
"""Maximum number of events in a response."""
_AGO = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)([smhdw])")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_LATEST = 1e11
"""Upper limit of seconds since 1970: larger values would be milliseconds."""


def read_time(text: str, *, now: float) -> float:
    """Parse a time to seconds since 1970.

    Parameters
    ----------
    text : str
        ISO 8601, in the local time zone by default; seconds since 1970; or how long
        ago, such as "90m", "24h" or "7d".
    now : float
        Seconds since 1970.

    Raises
    ------
    ValueError
        The text is not a time.

    Examples
    --------
    >>> read_time("90m", now=10000.0), read_time("1970-01-01T01:00Z", now=0.0)
    (4600.0, 3600.0)
    """
    if ago := _AGO.fullmatch(text):
        return now - float(ago[1]) * _UNITS[ago[2]]
    try:
        seconds = float(text)
    except ValueError:
        # An unescaped plus sign in a query is decoded as a space.
        return datetime.fromisoformat(text.replace(" ", "+")).timestamp()
    if not (math.isfinite(seconds) and 0 <= seconds < _LATEST):
        raise ValueError(f"{text} must be seconds since 1970")
    return seconds


def choice_of(request: Request) -> Choice:
    """Return the events selected by since, until, source, label and state."""
    asked = request.query_params
    return Choice(
        since=_time(request, "since", default=0.0),
        until=_time(request, "until", default=Choice().until),
        labels=asked.getlist("label"),
        sources=asked.getlist("source"),
        states=asked.getlist("state") or ALIVE,
    )


def number_of(request: Request, name: str, *, default: int) -> int:
    """Return a parameter that is a whole number from 1 to `MOST`."""
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= MOST):
        raise HTTPException(400, f"{name}={text[:40]} must be from 1 to {MOST}")
    return int(text)


def _time(request: Request, name: str, *, default: float) -> float:
    text = request.query_params.get(name)
    if not text:
        return default
    try:
        return read_time(text, now=time.time())
    except (ValueError, OverflowError) as error:
        message = (
            f"{name}={text[:40]} must be a time such as 2026-11-26T07:00:00+01:00, "
            "seconds since 1970, or how long ago, such as 24h or 7d"
        )
        raise HTTPException(400, message) from error
