"""Find events in a corpus and cut them out of their recordings, to listen to them.

Files in the output folder::

    0001-Dog-0.98-kitchen.flac     the sound, with the recording's rate and channels
    0001-Dog-0.98-kitchen.txt      the position of the event, as Audacity labels
    clips.selections.txt           all events as a Raven table, by recording
"""

from __future__ import annotations

import heapq
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import soundfile

from streamsed.atomic_write import replacing, write
from streamsed.audio.decode import audio_info
from streamsed.corpus.files.storage import Staging, stat
from streamsed.corpus.tables.events import check_choice, read_parts
from streamsed.events import Event
from streamsed.recordings.formats import FORMATS, lines
from streamsed.terminal import counted, message_of, print_message

TABLE = "clips" + FORMATS["raven"].suffix

_DEEP = {"PCM_24", "PCM_32", "FLOAT", "DOUBLE"}  # clips of these formats have 24 bits
_MOST_CHANNELS = 8  # the maximum of FLAC


@dataclass(frozen=True, slots=True)
class Found:
    """A selected event, its file, and the rank of its score, from 1."""

    rank: int
    uri: str
    size: int
    etag: str
    event: Event

    @property
    def stem(self) -> str:
        """A safe file name for the clip, for any label and URI."""
        name = unquote(self.uri.partition("?")[0]).rpartition("/")[2].rpartition(".")[0]
        words = f"{self.event.label}-{self.event.score:.2f}-{name}"
        return f"{self.rank:04d}-{re.sub(r'[^A-Za-z0-9._-]+', '_', words)[:80]}"


def find_events(
    folder: Path, *, labels: Sequence[str], min_score: float, limit: int
) -> list[Found]:
    """Return the `limit` events with the highest scores, in descending order."""

    def candidates() -> Any:
        for files, events in read_parts(folder, labels, min_score):
            of = {
                row["uri"]: (row["size"], row["etag"])
                for row in files.select(["uri", "size", "etag"]).to_pylist()
            }
            names = ["uri", "label", "onset", "offset", "score"]
            for row in events.select(names).to_pylist():
                yield row, of[row["uri"]]

    best = heapq.nsmallest(
        limit,
        candidates(),
        key=lambda pair: (-pair[0]["score"], pair[0]["uri"], pair[0]["onset"]),
    )
    found = []
    for rank, (row, (size, etag)) in enumerate(best, start=1):
        uri = row.pop("uri")
        found.append(Found(rank, uri, size, etag, Event(**row)))
    return found


def search_events(
    folder: Path,
    output: Path,
    *,
    labels: Sequence[str] | None,
    min_score: float,
    context: float,
    limit: int,
) -> int:
    """Cut events out of their recordings.

    Parameters
    ----------
    folder : Path
        The corpus.
    output : Path
        Folder for the clips; created if its parent exists.
    labels : sequence of str or None
        Labels to select; None selects all.
    min_score : float
        Minimum score.
    context : float
        Seconds before and after each event.
    limit : int
        Maximum number of events.

    Returns
    -------
    int
        The exit code: 0, 1 if some recordings could not be read, 2 if none could.

    Raises
    ------
    ValueError, OSError
        The selection is invalid, or a file cannot be written.
    """
    chosen = check_choice(folder, labels or (), min_score)
    if not 0 <= context <= 3600:
        raise ValueError(f"--context must be from 0 to 3600 (in s), not {context}")
    if limit < 1:
        raise ValueError("--limit must be 1 or more")
    found = find_events(folder, labels=chosen, min_score=min_score, limit=limit)
    if not found:
        print_message("no events found; try a lower --min-score")
        return 0
    output.mkdir(exist_ok=True)
    cut, n_failed = _cut_all(found, output, context)
    header, rows = FORMATS["raven"].header, []
    for number, each in enumerate(sorted(cut, key=lambda each: each.rank), start=1):
        rows.append(FORMATS["raven"].row(each.uri, number, each.event) + "\n")
    if rows:
        write(output / TABLE, [header + "\n", *rows])
    print_message(
        f"{counted(len(cut), 'clip')} in {output}"
        + (f", {n_failed} failed" if n_failed else "")
    )
    return min(1, n_failed) if cut else 2


def _cut_all(
    found: Sequence[Found], output: Path, context: float
) -> tuple[list[Found], int]:
    """Write all clips, recording by recording; return those that were written."""
    by_file = defaultdict(list)
    for each in found:
        by_file[each.uri, each.size, each.etag].append(each)
    cut, n_failed = [], 0
    with tempfile.TemporaryDirectory(prefix="streamsed-") as name:
        staging = Staging(Path(name))
        for state, events in by_file.items():
            try:
                if stat(state[0]) != state[1:]:
                    raise ValueError(
                        f"{state[0]} has changed or does not exist any more; run `streamsed corpus` "
                        "again with --relist"
                    )
                path = staging.fetch(*state)
                for each in events:
                    _cut(path, each, output, context)
                    cut.append(each)
            except (OSError, ValueError) as error:
                print_message(f"error: {message_of(error)}")
                n_failed += 1
            except soundfile.SoundFileError as error:
                print_message(f"error: {state[0]}: cannot be cut ({error})")
                n_failed += 1
            staging.release(*state)
    return cut, n_failed


def _cut(path: Path, found: Found, output: Path, context: float) -> None:
    """Write one clip, and the position of the event in it."""
    event = found.event
    begin = max(0.0, event.onset - context)
    info = audio_info(path)
    rate = info.sample_rate
    first, last = round(begin * rate), round((event.offset + context) * rate)
    samples, subtype = _read(path, first, last, exact=info.starts_anywhere(rate))
    clip = output / f"{found.stem}.flac"
    with replacing(clip) as scratch:
        soundfile.write(
            os.fsencode(scratch), samples, rate, format="FLAC", subtype=subtype
        )
    inside = Event(
        event.label, event.onset - begin, event.offset - begin, score=event.score
    )
    form = FORMATS["audacity"]
    write(clip.with_suffix(form.suffix), lines(form, [(found.uri, [inside])]))


def _read(path: Path, first: int, last: int, *, exact: bool) -> tuple[Any, str]:
    """Return samples `first` to `last`, float32 (n, n_channels), and FLAC's subtype.

    Formats that cannot be read from any sample are read from the start.
    """
    with soundfile.SoundFile(os.fsencode(path)) as sound:  # names need not be UTF-8
        subtype = "PCM_24" if sound.subtype in _DEEP else "PCM_16"
        position = 0
        if exact:
            sound.seek(first)
            position = first
        while position < first:
            n_read = len(sound.read(min(1 << 17, first - position), dtype="float32"))
            if not n_read:
                raise ValueError(f"{path} ends before the event at {first} samples")
            position += n_read
        samples = sound.read(last - first, dtype="float32", always_2d=True)
    if samples.shape[1] > _MOST_CHANNELS:
        samples = samples.mean(axis=1, keepdims=True)
    return samples, subtype
