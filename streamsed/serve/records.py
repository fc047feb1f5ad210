"""The records that the outputs of `streamsed serve` receive.

The records are those of `streamsed listen --log`, with the name of their source in each as
`source`. There is one more state: a `status` record of every source is made every
`STATUS_EVERY` seconds, when its `status` or `armed` changes, and before `stopped`::

    {"state": "status", "source": "kitchen", "run": "5f0c91aa", "at": 120.0,
     "time": "2026-11-26T07:12:40.000+01:00", "status": "running", "reason": "",
     "level": -48.5, "heard": 118.2, "lost": 1.8, "skipped": 0, "armed": true}

`status` is the source's state (see `streamsed.serve.status`), with the `reason` of one that
waits. `heard` and `lost` are the seconds of the run so far with and without sound, so it
does not matter if a record is lost. `level` is in dBFS; -120 is digital silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

STATUS_EVERY = 10.0
"""Seconds from one status record of a source to the next."""

RUNNING = "running"
"""The `status` of a source that delivers sound."""


def source_of(record: Mapping[str, Any]) -> str:
    """Return the name of a record's source, or "" if it concerns none."""
    return str(record.get("source", ""))


def clock_of(record: Mapping[str, Any]) -> float:
    """Return the clock time of a record: that of its onset if it has one.

    Returns
    -------
    float
        Seconds since 1970.

    Raises
    ------
    KeyError, ValueError
        It has no time, or one without a time zone.

    Examples
    --------
    >>> clock_of({"time": "1970-01-01T01:00:00.250+01:00"})
    0.25
    """
    when = datetime.fromisoformat(record["time"])
    if when.tzinfo is None:
        raise ValueError(f"time={record['time']} must have a zone")
    return when.timestamp()
