"""Count how often and how long each label occurred, in total and by hour."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import mean, median

from streamsed.report.log import ListeningLog, LoggedEvent

HOUR = 3600.0
HEADER = ("hour", "label", "listened_s", "events", "sounding_s", "events_per_hour")


@dataclass(frozen=True, slots=True)
class Tally:
    """One label in a log.

    Parameters
    ----------
    label : str
        The label.
    n_events : int
        Number of events.
    seconds : float
        Total duration of the events.
    median : float
        Median duration in seconds.
    per_hour : float
        Events per hour listened.
    first, last : float
        Clock times of the first and last onset, in seconds since 1970.
    score : float
        Mean of the events' scores.
    by_hour : tuple of int
        Events in each hour of `hours_of`.
    """

    label: str
    n_events: int
    seconds: float
    median: float
    per_hour: float
    first: float
    last: float
    score: float
    by_hour: tuple[int, ...]


def hours_of(log: ListeningLog) -> list[float]:
    """Return the starts of the clock hours from the first to the last."""
    times = [time for span in log.listened for time in span]
    times += [event.onset for event in log.events]
    if not times:
        return []
    began = datetime.fromtimestamp(min(times)).astimezone()
    start = began.replace(minute=0, second=0, microsecond=0).timestamp()
    return [start + HOUR * i for i in range(int((max(times) - start) // HOUR) + 1)]


def listened(log: ListeningLog, start: float, stop: float) -> float:
    """Return the seconds with sound between two clock times."""
    return sum(max(0.0, min(stop, b) - max(start, a)) for a, b in log.listened)


def tallies(log: ListeningLog) -> list[Tally]:
    """Count the events of each label, sorted by total duration."""
    hours = hours_of(log)
    total = log.seconds_listened / HOUR
    found = [
        Tally(
            label=label,
            n_events=len(events),
            seconds=sum(event.duration for event in events),
            median=median(event.duration for event in events),
            per_hour=len(events) / total if total else 0.0,
            first=events[0].onset,
            last=events[-1].onset,
            score=mean(event.score for event in events),
            by_hour=tuple(_counts(events, hours)),
        )
        for label, events in _by_label(log.events).items()
    ]
    return sorted(found, key=lambda tally: (-tally.seconds, tally.label))


def csv_lines(log: ListeningLog) -> Iterator[str]:
    """Yield a row per label and hour, including zeros.

    Yields
    ------
    str
        A line with its line break; the first is `HEADER`.
    """
    yield ",".join(HEADER) + "\n"
    by_label = _by_label(log.events)
    for start in hours_of(log):
        seconds = listened(log, start, start + HOUR)
        hour = datetime.fromtimestamp(start).astimezone().isoformat(timespec="seconds")
        for label in sorted(by_label):
            inside = [e for e in by_label[label] if start <= e.onset < start + HOUR]
            ongoing = sum(event.duration for event in inside)
            rate = f"{len(inside) * HOUR / seconds:.3f}" if seconds else ""
            row = hour, label, f"{seconds:.3f}", len(inside), f"{ongoing:.3f}", rate
            line = io.StringIO()
            csv.writer(line, lineterminator="\n").writerow(row)
            yield line.getvalue()


def _by_label(events: Sequence[LoggedEvent]) -> dict[str, list[LoggedEvent]]:
    found: dict[str, list[LoggedEvent]] = defaultdict(list)
    for event in events:
        found[event.label].append(event)
    return found


def _counts(events: Sequence[LoggedEvent], hours: Sequence[float]) -> Iterator[int]:
    for start in hours:
        yield sum(start <= event.onset < start + HOUR for event in events)
