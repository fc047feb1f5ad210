"""Rows of a store: events, hours and gaps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event of a store.

    Parameters
    ----------
    id : int
        Unique in its store, never reused.
    seq : int
        Number of its newest change; counts the changes of all events.
    source, run : str
        Source and run.
    number : int
        Its `id` in the records of that run.
    label : str
        Label.
    onset : float
        Clock time, in seconds since 1970.
    offset : float or None
        As `onset`; None while the event is ongoing, or if its end is unknown.
    score : float
        Mean of the scores.
    state : str
        "opened", "updated", "ended", "closed", "withdrawn", or "unfinished" if the
        program was killed before it was settled.
    clip : str or None
        Path of its clip.
    """

    id: int
    seq: int
    source: str
    run: str
    number: int
    label: str
    onset: float
    offset: float | None
    score: float
    state: str
    clip: str | None

    @property
    def duration(self) -> float | None:
        """Seconds, or None if the end is not known."""
        return None if self.offset is None else self.offset - self.onset

    def to_dict(self) -> dict[str, Any]:
        """Return the event for JSON, with times in UTC (RFC 3339)."""
        offset = None if self.offset is None else utc(self.offset)
        duration = None if self.duration is None else round(self.duration, 6)
        times = {"onset": utc(self.onset), "offset": offset, "duration": duration}
        return asdict(self) | times | {"score": round(self.score, 6)}


@dataclass(frozen=True, slots=True)
class HourListened:
    """Seconds listened to a source in an hour.

    Parameters
    ----------
    hour : int
        Its beginning, in seconds since 1970.
    source : str
        Name of the source.
    heard, lost : float
        Seconds with and without sound.
    """

    hour: int
    source: str
    heard: float
    lost: float


@dataclass(frozen=True, slots=True)
class HourCount:
    """Number of events of a label in an hour.

    Parameters
    ----------
    hour : int
        Its beginning, in seconds since 1970.
    source, label : str
        Source and label of the events.
    n_events : int
        Events with their onset in the hour.
    """

    hour: int
    source: str
    label: str
    n_events: int


@dataclass(frozen=True, slots=True)
class StoredGap:
    """A time without sound.

    Parameters
    ----------
    source : str
        Name of the source.
    start, stop : float
        Clock times, in seconds since 1970.
    reason : str
        Reason.
    """

    source: str
    start: float
    stop: float
    reason: str


def utc(seconds: float) -> str:
    """Return a clock time in UTC, RFC 3339 to the millisecond.

    Examples
    --------
    >>> utc(0.25)
    '1970-01-01T00:00:00.250Z'
    """
    moment = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")
