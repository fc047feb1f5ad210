"""Read and write lists of annotations in the formats of DESED.

A strong list has a row per event, `filename onset offset event_label`; a row with only a
file name is a clip without events. A weak list has a row per clip, `filename
event_labels`, the labels joined by commas; a list of unlabelled clips has `filename`
alone, a list of durations `filename duration`. Times are seconds.

    filename      onset  offset  event_label
    kitchen.wav   0.500  1.250   Dishes
    kitchen.wav   1.000  9.871   Running_water
    silence.wav

Columns are found by name (see `train.annotations.tsv`), so their order does not matter and
other columns are ignored. The column of labels may be called `label`, as it is in the CSV
of `streamsed file`. Overlapping or repeated events of a label are kept, and count
individually when events are matched. Where only the activity of a label matters,
`merge_overlaps` joins them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from streamsed.atomic_write import write
from streamsed.events import Event
from streamsed.recordings.formats import FORMATS, lines
from train.annotations.tsv import TableRow, read_rows


def read_strong(path: Path) -> dict[str, list[Event]]:
    """Read a strong list.

    Parameters
    ----------
    path : Path
        A column `score`, where there is one, becomes the score of the events, else 1.

    Returns
    -------
    dict of str to list of Event
        Clips and their events, both in the order of the list; none for a clip without
        events.

    Raises
    ------
    ValueError
        A row is invalid; the message names the file and the line.
    OSError
        The file cannot be read.
    """
    clips: dict[str, list[Event]] = {}
    silent: set[str] = set()
    columns = "filename", "onset", "offset", "event_label"
    for row in read_rows(path, columns, other_names={"label": "event_label"}):
        name = row.word("filename")
        events = clips.setdefault(name, [])
        if row["event_label"] or row["onset"] or row["offset"]:
            events.append(_read_event(row))
        else:
            silent.add(name)
        if events and name in silent:
            row.refuse("filename", "have events or a row without any, not both")
    return clips


def read_weak(path: Path) -> dict[str, tuple[str, ...]]:
    """Read a weak list: clips and their labels, both in the order of the list.

    See `read_strong` for the errors.
    """
    clips: dict[str, tuple[str, ...]] = {}
    for name, row in _named_once(read_rows(path, ("filename", "event_labels"))):
        labels = map(str.strip, row["event_labels"].split(","))
        clips[name] = tuple(dict.fromkeys(filter(None, labels)))
    return clips


def read_names(path: Path) -> list[str]:
    """Read the file names of a list of unlabelled clips; see `read_strong`."""
    return [name for name, _ in _named_once(read_rows(path, ("filename",)))]


def read_durations(path: Path) -> dict[str, float]:
    """Read the durations of clips in seconds; see `read_strong` for the errors."""
    durations = {}
    for name, row in _named_once(read_rows(path, ("filename", "duration"))):
        durations[name] = row.seconds("duration")
        if not durations[name] > 0:
            row.refuse("duration", "be positive (in seconds)")
    return durations


def write_strong(path: Path, clips: Mapping[str, Sequence[Event]]) -> None:
    """Write a strong list in the format of the challenge, tab-separated, to the millisecond.

    See `streamsed.atomic_write.write` for the errors.
    """
    write(path, lines(FORMATS["tsv"], clips.items()))


def in_milliseconds(event: Event, end: float) -> Event:
    """Round an event's times to what `write_strong` writes of them, within its clip.

    Parameters
    ----------
    event : Event
        Of a clip.
    end : float
        Seconds, the clip's length.

    Examples
    --------
    >>> in_milliseconds(Event("Dog", 9.9993, 9.9997, 0.8), 9.9997)
    Event(label='Dog', onset=9.998, offset=9.999, score=0.8)
    """
    last = math.floor(1000 * end + 1e-6)  # rounding up would reach past the end
    offset = min(round(1000 * event.offset), last)
    onset = min(round(1000 * event.onset), offset - 1)  # a short event keeps a length
    return replace(event, onset=onset / 1000, offset=offset / 1000)


def write_weak(path: Path, clips: Mapping[str, Iterable[str]]) -> None:
    """Write a weak list, tab-separated; see `streamsed.atomic_write.write` for the errors."""
    rows = ((name, ",".join(labels)) for name, labels in clips.items())
    _write(path, [("filename", "event_labels"), *rows])


def write_names(path: Path, names: Iterable[str]) -> None:
    """Write a list of clips; see `streamsed.atomic_write.write` for the errors."""
    _write(path, [("filename",), *((name,) for name in names)])


def write_durations(path: Path, durations: Mapping[str, float]) -> None:
    """Write the durations of clips; see `streamsed.atomic_write.write` for the errors."""
    rows = ((name, f"{seconds:.6f}") for name, seconds in durations.items())
    _write(path, [("filename", "duration"), *rows])


def digest(clips: Mapping[str, Sequence[Event] | Sequence[str] | None]) -> str:
    """Fingerprint the content of a list: 16 hexadecimal digits.

    The order of rows, columns and weak labels does not count, nor do digits beyond the
    millisecond.

    Parameters
    ----------
    clips : mapping of str to sequence of Event, sequence of str or None
        For each clip its events, its weak labels, or None in a list of names.

    Examples
    --------
    >>> digest({"a.wav": [Event("Dog", 0.5, 1.0, 1.0)], "b.wav": []})
    'dc488ea476315a7b'
    """
    rows = sorted(
        f"{name}\t{event.onset:.3f}\t{event.offset:.3f}\t{event.label}\n"
        if isinstance(event, Event)
        else f"{name}\t{event}\n"
        for name, events in clips.items()
        for event in events or ()
    )
    rows += sorted(f"{name}\n" for name, events in clips.items() if not events)
    text = "".join(rows).encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:16]


def _write(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Write rows of values, tab-separated."""
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(rows)
    write(path, [text.getvalue()])


def _read_event(row: TableRow) -> Event:
    """Read an event and check its times."""
    if not row["event_label"]:
        row.refuse("event_label", "be a label, or the times be empty too")
    onset, offset = row.seconds("onset"), row.seconds("offset")
    if onset < 0:
        row.refuse("onset", "be at least 0 (in seconds)")
    if not offset > onset:
        row.refuse("offset", f"be later than onset={onset:g}")
    score = row.number("score") if row["score"] else 1.0
    return Event(row.label("event_label"), onset, offset, score)


def _named_once(rows: Iterable[TableRow]) -> Iterator[tuple[str, TableRow]]:
    """Yield rows with their file names, which must differ."""
    seen: set[str] = set()
    for row in rows:
        name = row.word("filename")
        if name in seen:
            row.refuse("filename", "be listed only once")
        seen.add(name)
        yield name, row
