"""Text formats of events: for annotation tools, the DCASE challenge and programs.

A `Format` defines the line of one event of one recording, the header, and whether a file
can contain several recordings.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsed.config import FrontendConfig
from streamsed.events import Event
from streamsed.terminal import for_spreadsheets

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Format:
    """A text format of events.

    Parameters
    ----------
    suffix : str
        Suffix of files in this format, with its dot.
    header : str
        First line, or "" for none.
    row : callable
        Maps (filename, number from 1, event) to a line without line break.
    empty : callable or None
        Maps the filename of a recording without events to a line; None writes none.
    many : bool
        Whether a file can contain several recordings.
    is_open : bool
        Whether a line is a JSON object, which may have more keys.
    """

    suffix: str
    header: str
    row: Callable[[str, int, Event], str]
    empty: Callable[[str], str] | None = None
    many: bool = True
    is_open: bool = False


def _joined(*fields: str, by: str) -> str:
    """Join fields to a line, quoting those with the separator or a line break."""
    line = io.StringIO()
    csv.writer(line, delimiter=by, lineterminator="\r\n").writerow(fields)
    return line.getvalue().removesuffix("\r\n")


def _tsv(filename: str, _: int, event: Event) -> str:
    times = f"{event.onset:.3f}", f"{event.offset:.3f}"
    return _joined(filename, *times, event.label, by="\t")


def _csv(filename: str, _: int, event: Event) -> str:
    times = f"{event.onset:.3f}", f"{event.offset:.3f}"
    name, label = for_spreadsheets(filename), for_spreadsheets(event.label)
    return _joined(name, *times, label, f"{event.score:.4f}", by=",")


def _jsonl(filename: str, _: int, event: Event) -> str:
    return _json(
        {
            "filename": filename,
            "label": event.label,
            "onset": round(event.onset, 6),
            "offset": round(event.offset, 6),
            "score": round(event.score, 6),
        }
    )


def _json(value: Mapping[str, Any]) -> str:
    """Return JSON; the bytes of a file name that are not UTF-8 would make it none."""
    text = json.dumps(value, ensure_ascii=False)
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _audacity(_filename: str, _: int, event: Event) -> str:
    return _joined(f"{event.onset:.6f}", f"{event.offset:.6f}", event.label, by="\t")


def _raven(filename: str, number: int, event: Event) -> str:
    where = "Spectrogram 1", "1", f"{event.onset:.6f}", f"{event.offset:.6f}"
    what = "0.0", "22050.0", event.label, f"{event.score:.4f}"
    return _joined(str(number), *where, *what, filename, by="\t")


FORMATS: dict[str, Format] = {
    "tsv": Format(
        ".tsv",
        "filename\tonset\toffset\tevent_label",
        _tsv,
        empty=lambda filename: _joined(filename, "", "", "", by="\t"),
    ),
    "csv": Format(".csv", "filename,onset,offset,label,score", _csv),
    "jsonl": Format(".jsonl", "", _jsonl, is_open=True),
    "audacity": Format(".txt", "", _audacity, many=False),
    "raven": Format(
        ".selections.txt",
        "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\t"
        "High Freq (Hz)\tAnnotation\tScore\tBegin Path",
        _raven,
        many=False,
    ),
}


def lines(
    form: Format,
    results: Iterable[tuple[str, Sequence[Event]]],
    about: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[str]:
    """Yield the lines of a file, recording by recording.

    Parameters
    ----------
    form : Format
        One of `FORMATS`.
    results : iterable of (filename, events)
        Recordings with their events in order.
    about : mapping
        Additional keys of every line, if the format allows them.

    Yields
    ------
    str
        A line with its line break.

    Examples
    --------
    >>> results = [("a.wav", [Event("Dog", 0.5, 1.25, 0.9)]), ("b.wav", [])]
    >>> print("".join(lines(FORMATS["tsv"], results)).replace(chr(9), "|"), end="")
    filename|onset|offset|event_label
    a.wav|0.500|1.250|Dog
    b.wav|||
    """
    if form.header:
        yield form.header + "\n"
    for filename, events in results:
        for number, event in enumerate(events, start=1):
            row = form.row(filename, number, event)
            if about and form.is_open:
                row = _json({**json.loads(row), **about})
            yield row + "\n"
        if not events and form.empty is not None:
            yield form.empty(filename) + "\n"


def score_lines(
    scores: NDArray[np.float32],
    labels: Sequence[str],
    frontend: FrontendConfig,
    n_samples: int,
) -> Iterator[str]:
    """Yield the lines of a score file in the format of `sed_scores_eval`.

    Parameters
    ----------
    scores : float32 (n_score_frames, n_labels)
        In [0, 1].
    labels : sequence of str
        Columns of the scores.
    frontend : FrontendConfig
        Defines the grid of score frames.
    n_samples : int
        Length of the recording; the last frame ends there.

    Yields
    ------
    str
        `onset offset` and the scores, tab-separated, with a line break.
    """
    yield _joined("onset", "offset", *labels, by="\t") + "\n"
    length, rate = frontend.score_frame_length, frontend.sample_rate
    for frame, row in enumerate(scores):
        start, stop = frame * length, min((frame + 1) * length, n_samples)
        if stop > start:
            times = f"{start / rate:.6f}\t{stop / rate:.6f}"
            yield times + "".join(f"\t{score:.6f}" for score in row) + "\n"
