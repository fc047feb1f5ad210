"""What a store gives back: events, hours and gaps."""

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
        Unique in its store, for good.
    seq : int
        Counts the changes of all events of the store; the newest of this one.
    source, run : str
        Where and by which run it was detected.
    number : int
        Its `id` in the records of that run.
    label : str
        Which sound.
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
        Path of its sound.
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
        """Return it for JSON, with times in UTC (RFC 3339)."""
        offset = None if self.offset is None else utc(self.offset)
        duration = None if self.duration is None else round(self.duration, 6)
        times = {"onset": utc(self.onset), "offset": offset, "duration": duration}
        return asdict(self) | times | {"score": round(self.score, 6)}


@dataclass(frozen=True, slots=True)
class HourListened:
    """How long a source was listened to in an hour of the clock.

    Parameters
    ----------
    hour : int
        Its beginning, in seconds since 1970.
    source : str
        Which.
    heard, lost : float
        Seconds with and without sound.
    """

    hour: int
    source: str
    heard: float
    lost: float


@dataclass(frozen=True, slots=True)
class HourCount:
    """How many events a label had in an hour of the clock.

    Parameters
    ----------
    hour : int
        Its beginning, in seconds since 1970.
    source, label : str
        Of the events.
    n_events : int
        Those whose onset lies in the hour.
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
        Of which.
    start, stop : float
        Clock times, in seconds since 1970.
    reason : str
        Why.
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
