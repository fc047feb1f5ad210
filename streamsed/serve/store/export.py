"""Export events of a store as CSV, JSON lines or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from streamsed.atomic_write import replacing
from streamsed.installation import install_command
from streamsed.serve.store.stored import StoredEvent
from streamsed.terminal import for_spreadsheets

COLUMNS = (
    "onset",
    "offset",
    "duration",
    "source",
    "label",
    "score",
    "state",
    "clip",
    "run",
    "id",
)
"""Columns of CSV and Parquet; JSON lines have `number` and `seq` too."""

ROWS = 10_000
"""Events per row group of Parquet."""


def csv_lines(events: Iterable[StoredEvent]) -> Iterator[str]:
    """Yield the lines of a CSV file, times in UTC; text that looks like a formula is quoted."""
    yield _csv_line(COLUMNS)
    for event in events:
        values = event.to_dict()
        yield _csv_line([_cell(values[name]) for name in COLUMNS])


def json_lines(events: Iterable[StoredEvent]) -> Iterator[str]:
    """Yield one line of JSON for each event."""
    for event in events:
        yield json.dumps(event.to_dict(), ensure_ascii=False) + "\n"


def write_parquet(path: Path, events: Iterable[StoredEvent]) -> None:
    """Write a Parquet file, times in UTC; only some thousand events are in memory.

    Raises
    ------
    ModuleNotFoundError
        pyarrow is not installed.
    OSError
        The file cannot be written.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"--format parquet needs pyarrow; install it with `{install_command('corpus')}`"
        ) from error

    moment, text = pa.timestamp("us", tz="UTC"), pa.dictionary(pa.int32(), pa.string())
    kinds = {"onset": moment, "offset": moment, "duration": pa.float64()}
    kinds |= {"score": pa.float32(), "clip": pa.string(), "id": pa.int64()}
    schema = pa.schema([(name, kinds.get(name, text)) for name in COLUMNS])
    columns: dict[str, Callable[[StoredEvent], Any]] = {
        "onset": lambda event: round(event.onset * 1e6),
        "offset": lambda event: (
            None if event.offset is None else round(event.offset * 1e6)
        ),
    }
    rest = iter(events)
    with (
        replacing(path) as scratch,
        pq.ParquetWriter(scratch, schema, compression="zstd") as stream,
    ):
        while rows := list(islice(rest, ROWS)):
            arrays = []
            for name in COLUMNS:
                values = [
                    columns[name](e) if name in columns else getattr(e, name)
                    for e in rows
                ]
                arrays.append(pa.array(values, schema.field(name).type))
            stream.write_table(pa.table(arrays, schema=schema))


def _csv_line(fields: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(
        fields
    )  # with \r\n so that both are quoted
    return line.getvalue().removesuffix("\r\n") + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return for_spreadsheets(value) if isinstance(value, str) else str(value)
