"""Read logs of `streamsed listen`: the closed events, and the times with sound.

A log may contain several runs, one after another or at the same time, and a run may
continue in the next file after a rotation. Every record has its time (`at`) in seconds
from the start of its run; `listening` records give the clock time of the start. Lines that
are not records, such as the last one of a program that was killed, are counted and skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streamsed.strict_json import MAX_BYTES, read_json

LONGEST = 1e9
"""Seconds; no run lasts longer, so later times are errors in the log."""
JUMP = 5.0
"""Seconds by which an origin must differ from the last to be another: less is drift."""
LATEST = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
"""No clock is set later, nor to a time before 1970."""


@dataclass(frozen=True, slots=True, order=True)
class LoggedEvent:
    """A closed event.

    Parameters
    ----------
    onset : float
        Clock time, in seconds since 1970.
    duration : float
        Seconds.
    label : str
        Its label.
    score : float
        Mean of its scores.
    """

    onset: float
    duration: float
    label: str
    score: float


@dataclass(slots=True)
class Run:
    """What was read of one run.

    Parameters
    ----------
    origin : float or None
        Clock time of the start of its time line, in seconds since 1970; None if not yet
        known.
    first, last : float
        Times of the first and last record with this origin, in seconds of its time line.
    gaps : list of (float, float)
        Times without sound, in seconds of its time line.
    before : list of (float, float)
        Clock times listened until the clock jumped, as in the night of a suspended machine.
    events : set of LoggedEvent
        Each once, also if a file is given twice, or with a copy of it.
    """

    origin: float | None = None
    first: float = 0.0
    last: float = 0.0
    gaps: list[tuple[float, float]] = field(default_factory=list)
    before: list[tuple[float, float]] = field(default_factory=list)
    events: set[LoggedEvent] = field(default_factory=set)

    def begin_at(self, origin: float, at: float) -> None:
        """Count the clock from another origin, from a time of the time line on."""
        if self.origin is not None and abs(origin - self.origin) > JUMP:
            self.last = max(self.last, at)
            self.before += _listened(self)
            self.first, self.gaps = at, []
        self.origin = origin


@dataclass(slots=True)
class ListeningLog:
    """The contents of logs.

    Parameters
    ----------
    events : list of LoggedEvent
        By onset.
    listened : list of (float, float)
        Clock times of the spans with sound, disjoint and in order.
    n_runs : int
        Number of runs.
    n_left_out : int
        Number of lines that are not records.
    """

    events: list[LoggedEvent]
    listened: list[tuple[float, float]]
    n_runs: int
    n_left_out: int

    @property
    def seconds_listened(self) -> float:
        """Total seconds with sound."""
        return sum(stop - start for start, stop in self.listened)


def read_logs(paths: Iterable[Path]) -> ListeningLog:
    """Read logs, the oldest first.

    Raises
    ------
    OSError
        A file cannot be read.
    ValueError
        They contain no record.
    """
    paths = list(paths)
    runs: dict[str, Run] = {}
    n_left_out = 0
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file")
        current = f"{path}"  # consecutive runs without an id
        with path.open("rb") as lines:
            while line := lines.readline(MAX_BYTES):
                try:
                    record = read_json(line)
                    if record["state"] == "started" and "run" not in record:
                        current = f"{path} {len(runs)}"
                    run = runs.setdefault(str(record.get("run", current)), Run())
                    _read_record(record, run)
                except (ValueError, KeyError, TypeError, AttributeError):
                    n_left_out += bool(line.strip())
    known = [run for run in runs.values() if run.origin is not None]
    if not known:
        names = ", ".join(map(str, paths))
        raise ValueError(f"{names}: not a log of `streamsed listen --log`")
    spans = [span for run in known for span in (*run.before, *_listened(run))]
    events = sorted(event for run in runs.values() for event in run.events)
    return ListeningLog(events, _union(spans), len(known), n_left_out)


def _read_record(record: Mapping[str, Any], run: Run) -> None:
    """Add a record to its run."""
    state, at = record["state"], _second(record, "at")
    run.first = at if run.origin is None else run.first
    if state == "listening":
        run.begin_at(_seconds(record["time"]), at)
    elif state in ("gap", "closed"):
        onset, offset = _second(record, "onset"), _second(record, "offset")
        if onset > offset:
            raise ValueError(f"onset={onset} must be at most offset={offset}")
        if state == "gap":
            run.gaps.append((onset, offset))
        else:
            clock = _clock_of_onset(record, run, onset)
            run.events.add(_event(record, onset, offset, clock))
    run.last = max(run.last, at)


def _event(
    record: Mapping[str, Any], onset: float, offset: float, clock: float
) -> LoggedEvent:
    label, score = record["label"], float(record["score"])
    label.encode()  # a ValueError if it could not be printed
    if isinstance(label, str) and onset < offset and 0 <= score <= 1:
        return LoggedEvent(clock, offset - onset, label, score)
    raise ValueError(f"label={label} must be a name, with times and a score")


def _second(record: Mapping[str, Any], name: str) -> float:
    """Return a time of the run's time line."""
    second = float(record[name])
    if 0 <= second <= LONGEST:
        return second
    raise ValueError(f"{name}={second} must be from 0 to {LONGEST:g} (in seconds)")


def _clock_of_onset(record: Mapping[str, Any], run: Run, onset: float) -> float:
    if "time" in record:
        clock = _seconds(record["time"])
        if run.origin is None:  # the log starts after a rotation
            run.origin = clock - onset
        return clock
    if run.origin is None:
        raise ValueError("time must be given, in the event or before it")
    return run.origin + onset


def _seconds(text: Any) -> float:
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError(f"time={text} must have a zone")
    if 0 <= (clock := when.timestamp()) < LATEST:
        return clock
    raise ValueError(f"time={text} must be from 1970 to 2099")


def _listened(run: Run) -> list[tuple[float, float]]:
    """Return the clock times between a run's gaps."""
    spans, start = [], run.first
    for onset, offset in [*sorted(run.gaps), (run.last, run.last)]:
        if onset > start:
            spans.append((start, onset))
        start = max(start, offset)
    origin = run.origin or 0.0
    return [(origin + start, origin + stop) for start, stop in spans]


def _union(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Merge overlapping spans."""
    joined: list[tuple[float, float]] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], stop)
        else:
            joined.append((start, stop))
    return joined
