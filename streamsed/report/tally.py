"""Count how often and how long each label occurred, in total and by hour."""

from __future__ import annotations

import csv
import io
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from statistics import mean, median

from streamsed.report.log import ListeningLog, LoggedEvent
from streamsed.terminal import for_spreadsheets

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
    """Return the starts of the clock hours from the first to the last.

    A log may span decades, if a computer without a battery began in 1970.
    """
    times = [time for span in log.listened for time in span]
    times += [event.onset for event in log.events]
    if not times:
        return []
    began = datetime.fromtimestamp(min(times)).astimezone()
    start = began.replace(minute=0, second=0, microsecond=0).timestamp()
    return [start + HOUR * i for i in range(int((max(times) - start) // HOUR) + 1)]


def listened(log: ListeningLog, start: float, stop: float) -> float:
    """Return the seconds with sound between two clock times."""
    # Spans are in order, so those before `start` are found without a look at each.
    first = bisect_right(log.listened, start, key=lambda span: span[1])
    total = 0.0
    for a, b in islice(log.listened, first, None):
        if a >= stop:
            break
        total += min(stop, b) - max(start, a)
    return total


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
    """Yield a row per label and hour, including zeros, of hours listened to.

    Yields
    ------
    str
        A line with its line break; the first is `HEADER`.
    """
    yield ",".join(HEADER) + "\n"
    hours = hours_of(log)
    inside: dict[tuple[int, str], list[float]] = defaultdict(list)
    for event in log.events:
        inside[_hour_of(event, hours), event.label].append(event.duration)
    labels = sorted({event.label for event in log.events})
    with_events = {number for number, _ in inside}
    for number, start in enumerate(hours):
        seconds = listened(log, start, start + HOUR)
        if not seconds and number not in with_events:
            continue
        hour = datetime.fromtimestamp(start).astimezone().isoformat(timespec="seconds")
        for label in labels:
            lengths = inside.get((number, label), [])
            rate = f"{len(lengths) * HOUR / seconds:.3f}" if seconds else ""
            counts = f"{seconds:.3f}", len(lengths), f"{sum(lengths):.3f}"
            row = hour, for_spreadsheets(label), *counts, rate
            line = io.StringIO()
            csv.writer(line, lineterminator="\n").writerow(row)
            yield line.getvalue()


def _by_label(events: Sequence[LoggedEvent]) -> dict[str, list[LoggedEvent]]:
    found: dict[str, list[LoggedEvent]] = defaultdict(list)
    for event in events:
        found[event.label].append(event)
    return found


def _counts(events: Sequence[LoggedEvent], hours: Sequence[float]) -> list[int]:
    found = Counter(_hour_of(event, hours) for event in events)
    return [found[number] for number in range(len(hours))]


def _hour_of(event: LoggedEvent, hours: Sequence[float]) -> int:
    return int((event.onset - hours[0]) // HOUR)
