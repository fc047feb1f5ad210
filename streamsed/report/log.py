"""Read logs of `streamsed listen`: which events closed, and when there was sound to hear.

A log may hold several runs, of one listener after another or of two at once, and a run may
go on in the next file after a rotation. Every record counts seconds (`at`) from the start
of its run; the `listening` records say at which clock time that was. A line that is no
record, such as the last one of a program that was killed, is counted and left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from streamsed.strict_json import MAX_BYTES, read_json


@dataclass(frozen=True, slots=True, order=True)
class LoggedEvent:
    """An event that was closed.

    Parameters
    ----------
    onset : float
        Clock time, in seconds since 1970.
    duration : float
        Seconds.
    label : str
        What sounded.
    score : float
        Mean of its scores.
    """

    onset: float
    duration: float
    label: str
    score: float


@dataclass(slots=True)
class Run:
    """What one listener wrote, as far as it was read.

    Parameters
    ----------
    origin : float or None
        Clock time of its time line's beginning, in seconds since 1970; None until a record
        says it.
    first, last : float
        Seconds of its time line that the records span.
    gaps : list of (float, float)
        Seconds of its time line without sound.
    """

    origin: float | None = None
    first: float = 0.0
    last: float = 0.0
    gaps: list[tuple[float, float]] = field(default_factory=list)


@dataclass(slots=True)
class ListeningLog:
    """What logs hold.

    Parameters
    ----------
    events : list of LoggedEvent
        By onset.
    listened : list of (float, float)
        Clock times between which there was sound, apart and in order.
    n_runs : int
        Listeners.
    n_left_out : int
        Lines that are no records.
    """

    events: list[LoggedEvent]
    listened: list[tuple[float, float]]
    n_runs: int
    n_left_out: int

    @property
    def seconds_listened(self) -> float:
        """Seconds that anybody listened."""
        return sum(stop - start for start, stop in self.listened)


def read_logs(paths: Iterable[Path]) -> ListeningLog:
    """Read logs, the oldest first.

    Raises
    ------
    OSError
        A file cannot be read.
    ValueError
        There is no record in them.
    """
    paths = list(paths)
    runs: dict[str, Run] = {}
    events: list[LoggedEvent] = []
    n_left_out = 0
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file")
        current = f"{path}"  # runs that wrote no id, one after another
        with path.open("rb") as lines:
            while line := lines.readline(MAX_BYTES):
                try:
                    record = read_json(line)
                    if record["state"] == "started" and "run" not in record:
                        current = f"{path} {len(runs)}"
                    run = runs.setdefault(str(record.get("run", current)), Run())
                    events += _read_record(record, run)
                except (ValueError, KeyError, TypeError, AttributeError):
                    n_left_out += bool(line.strip())
    known = [run for run in runs.values() if run.origin is not None]
    if not known:
        names = ", ".join(map(str, paths))
        raise ValueError(f"{names}: not a log of `streamsed listen --log`")
    spans = [span for run in known for span in _listened(run)]
    return ListeningLog(sorted(events), _union(spans), len(known), n_left_out)


def _read_record(record: Mapping[str, Any], run: Run) -> list[LoggedEvent]:
    """Take a record into its run; return the event that it closes."""
    state, at = record["state"], float(record["at"])
    if run.origin is None:
        run.first = at
    run.last = max(run.last, at)
    if state == "listening":
        run.origin = _seconds(record["time"])
    elif state == "gap":
        run.gaps.append((float(record["onset"]), float(record["offset"])))
    elif state == "closed":
        onset, offset = float(record["onset"]), float(record["offset"])
        label, score = record["label"], float(record["score"])
        clock = _clock_of_onset(record, run, onset)
        if isinstance(label, str) and 0 <= onset < offset and 0 <= score <= 1:
            return [LoggedEvent(clock, offset - onset, label, score)]
        raise ValueError(f"label={label} must be a name, with times and a score")
    return []


def _clock_of_onset(record: Mapping[str, Any], run: Run, onset: float) -> float:
    if "time" in record:
        clock = _seconds(record["time"])
        if run.origin is None:  # the log begins after a rotation
            run.origin = clock - onset
        return clock
    if run.origin is None:
        raise ValueError("time must be given, in the event or before it")
    return run.origin + onset


def _seconds(text: Any) -> float:
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError(f"time={text} must have a zone")
    return when.timestamp()


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
    """Join spans that overlap: an hour that two listened is an hour."""
    joined: list[tuple[float, float]] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], stop)
        else:
            joined.append((start, stop))
    return joined
