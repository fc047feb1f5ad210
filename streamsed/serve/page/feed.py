"""Recent records for all viewers: a sink without queues.

Records are numbered and kept in one ring buffer. Each viewer remembers the number of the
last record it was sent, is woken when there are more, and reads those after it. So a slow
browser delays nothing and needs no memory, and one that reconnects sends its last number.
A number is a time in microseconds since 1970, so it is also valid after a restart of the
program: records that are not in the ring buffer are then read from the store.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from streamsed.live.sinks.base_sink import BaseSink
from streamsed.pipeline.lifecycle import EventUpdate

LENGTH = 2000
"""Number of records that are kept."""
STATES = ("opened", "updated", "ended", "closed", "withdrawn", "gap", "notice")
"""States of records that are shown; levels and seconds are read from the service."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """A record with its number.

    Parameters
    ----------
    number : int
        Microseconds since 1970, larger than that of the record before.
    record : mapping
        For JSON, with the clock time of its `end`.
    """

    number: int
    record: Mapping[str, Any]


class PageFeed(BaseSink):
    """Number the records of all sources, keep the latest, and wake the viewers.

    Parameters
    ----------
    now : callable
        Seconds since 1970.
    """

    name = "page"

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._kept: deque[Numbered] = deque(maxlen=LENGTH)
        self._watchers: set[Callable[[], None]] = set()
        self._last = self.before = int(now() * 1e6)
        """`before` is the number of the newest record that was dropped."""

    @property
    def last(self) -> int:
        """Number of the newest record, or of the start."""
        return self._last

    def since(self, number: int) -> list[Numbered] | None:
        """Return the records after a number; None if not all of them are kept."""
        with self._lock:
            if number < self.before:
                return None
            return [each for each in self._kept if each.number > number]

    @contextmanager
    def watching(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call `wake` at every record, from any thread; it must not block."""
        with self._lock:
            self._watchers.add(wake)
        try:
            yield
        finally:
            with self._lock:
                self._watchers.discard(wake)

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:  # noqa: ARG002
        """Assign a number to a record and wake all viewers."""
        if record["state"] not in STATES:
            return
        shown = with_end(record)
        with self._lock:
            self._last = max(self._last + 1, int(self._now() * 1e6))
            if len(self._kept) == LENGTH:
                self.before = self._kept[0].number
            self._kept.append(Numbered(self._last, shown))
            watchers = list(self._watchers)
        for wake in watchers:
            wake()


def with_end(record: Mapping[str, Any]) -> dict[str, Any]:
    """Add the clock time of a record's end, or None.

    Examples
    --------
    >>> record = {"time": "2026-11-26T07:12:40.000+01:00", "onset": 3.0, "offset": 5.5}
    >>> with_end(record)["end"]
    '2026-11-26T07:12:42.500+01:00'
    """
    onset, offset = record.get("onset"), record.get("offset")
    if onset is None or offset is None:
        return {**record, "end": None}
    end = datetime.fromisoformat(record["time"]) + timedelta(seconds=offset - onset)
    return {**record, "end": end.isoformat(timespec="milliseconds")}
