"""Combine the parts of a corpus into one file, with the memory of one part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from streamsed.atomic_write import replacing, write
from streamsed.corpus.files.listing import FILE as MANIFEST
from streamsed.corpus.tables.events import check_choice, read_parts
from streamsed.corpus.tables.parts import EVENTS, FILES
from streamsed.events import Event
from streamsed.recordings.formats import FORMATS, lines

OF_FILES = ("size", "etag", "seconds", "sample_rate", "channels")
"""Columns of the files table that are added to events."""

TEXT = {FORMATS[name].suffix: FORMATS[name] for name in ("csv", "tsv", "jsonl")}


def export_events(
    folder: Path, output: Path, *, labels: Sequence[str] | None, min_score: float
) -> tuple[int, int]:
    """Write the events of a corpus to one file.

    Parameters
    ----------
    folder : Path
        The corpus.
    output : Path
        A .parquet file, with columns of the files in addition to events; or .csv,
        .tsv or .jsonl as `streamsed file` writes them.
    labels : sequence of str or None
        Labels to select; None selects all.
    min_score : float
        Minimum score.

    Returns
    -------
    n_events, n_files : int
        Number of events, and of files that were read to the end.

    Raises
    ------
    ValueError, OSError
        The selection is invalid, or a file cannot be read or written.
    """
    suffix = output.suffix.lower()
    if suffix not in (".parquet", *TEXT):
        raise ValueError(
            f"--output must end with .parquet, {', '.join(sorted(TEXT))}, not {suffix!r}"
        )
    if suffix == ".parquet" and _is_of_corpus(output, folder):
        raise ValueError(
            f"--output {output}: is among the tables of the corpus; choose another file"
        )
    chosen = check_choice(folder, labels or (), min_score)
    counts = {"events": 0, "files": 0}
    tables = _counted(read_parts(folder, chosen, min_score), counts)
    if suffix == ".parquet":
        schema = pa.schema([*EVENTS, *(FILES.field(name) for name in OF_FILES)])
        with (
            replacing(output) as scratch,
            pq.ParquetWriter(scratch, schema, compression="zstd") as stream,
        ):
            for files, events in tables:
                joined = events.join(files.select(["uri", *OF_FILES]), "uri")
                ordered = joined.sort_by([("uri", "ascending"), ("onset", "ascending")])
                stream.write_table(ordered.select(schema.names).cast(schema))
    else:
        write(output, lines(TEXT[suffix], _by_file(tables)))
    return counts["events"], counts["files"]


def _is_of_corpus(output: Path, folder: Path) -> bool:
    """Whether a table would replace one of the corpus, or be taken for one."""
    try:
        place = output.resolve().relative_to(folder.resolve())
    except ValueError:
        return False
    return len(place.parts) > 1 or place.name == MANIFEST


def _counted(
    tables: Iterator[tuple[pa.Table, pa.Table]], counts: dict[str, int]
) -> Iterator[tuple[pa.Table, pa.Table]]:
    for files, events in tables:
        status = files["status"].to_pylist()
        counts["files"] += sum(each in ("ok", "empty") for each in status)
        counts["events"] += len(events)
        yield files, events


def _by_file(
    tables: Iterator[tuple[pa.Table, pa.Table]],
) -> Iterator[tuple[str, list[Event]]]:
    """Yield the files that were read to the end, with their events."""
    for files, events in tables:
        found = defaultdict(list)
        for row in events.select(
            ["uri", "label", "onset", "offset", "score"]
        ).to_pylist():
            found[row.pop("uri")].append(Event(**row))
        for row in files.select(["uri", "status"]).to_pylist():
            if row["status"] in ("ok", "empty"):
                yield row["uri"], found[row["uri"]]
