"""The tables of a corpus: Parquet parts that are complete at any time.

    OUT/events/3-of-8-5f0c-000017.parquet     a row per event
    OUT/files/3-of-8-5f0c-000017.parquet      a row per processed file
    OUT/scores/...                            a row per label and span, on request

A part is written to a temporary file and renamed. Of the parts with the same name, `files`
is written last, and is the one that counts: the files listed in it are done. Parts of
events without it belong to unfinished work, which is removed and repeated when resuming.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from streamsed.atomic_write import replacing

_NAMES = pa.dictionary(pa.int32(), pa.string())
_BY = [("model", _NAMES), ("settings", _NAMES), ("version", _NAMES)]

EVENTS = pa.schema(
    [
        ("uri", pa.string()),
        ("label", _NAMES),
        ("onset", pa.float64()),
        ("offset", pa.float64()),
        ("score", pa.float32()),
        *_BY,
    ]
)
FILES = pa.schema(
    [
        ("uri", pa.string()),
        ("size", pa.int64()),
        ("etag", pa.string()),
        ("seconds", pa.float64()),
        ("sample_rate", pa.int32()),
        ("channels", pa.int32()),
        ("status", _NAMES),
        ("error", pa.string()),
        ("n_events", pa.int64()),
        ("wall_time", pa.float64()),
        *_BY,
    ]
)
SCORES = pa.schema(
    [
        ("uri", pa.string()),
        ("label", _NAMES),
        ("onset", pa.float64()),
        ("step", pa.float64()),
        ("scores", pa.list_(pa.float16())),
    ]
)
SCHEMAS = {"scores": SCORES, "events": EVENTS, "files": FILES}  # in order of writing

STATUSES = ("ok", "empty", "failed", "skipped")
"""Events found; read to the end without events; not readable; not reached, to be retried."""

Row = dict[str, Any]


def key_of(uri: str, size: int, etag: str) -> bytes:
    """Return the key of a version of a file, which does not depend on the listing."""
    text = f"{uri}\0{size}\0{etag}"
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


class PartWriter:
    """Collect rows and write them as parts.

    Parameters
    ----------
    folder : Path
        OUT.
    shard : str
        Shard of the parts, such as "3-of-8".
    stamp : dict
        Columns of every row that identify the model, settings and version.
    """

    def __init__(self, folder: Path, shard: str, stamp: Row) -> None:
        self._folder, self._stamp = folder, stamp
        self.place = folder, shard, stamp
        self._run = f"{shard}-{secrets.token_hex(4)}"
        self._number = 0
        self._rows: dict[str, list[Row]] = {name: [] for name in SCHEMAS}
        for name in ("events", "files"):
            (folder / name).mkdir(exist_ok=True)

    @property
    def n_files(self) -> int:
        """Number of files whose rows are not yet written."""
        return len(self._rows["files"])

    def file_rows(self) -> list[Row]:
        """Return the rows of these files."""
        return list(self._rows["files"])

    def add(self, file: Row, events: Sequence[Row], scores: Sequence[Row]) -> None:
        """Add all rows of a file; they stay together in one part."""
        self._rows["files"].append(self._stamp | file)
        self._rows["events"] += [self._stamp | event for event in events]
        self._rows["scores"] += scores

    def flush(self, name: str | None = None) -> None:
        """Write the rows, under a new name or the given one.

        Raises
        ------
        OSError
            There is no room, or OUT is not writable; earlier parts remain.
        """
        if not self._rows["files"]:
            return
        name = name or f"{self._run}-{self._number:06d}"
        for table, schema in SCHEMAS.items():
            if table == "scores" and not self._rows[table]:
                continue
            (self._folder / table).mkdir(exist_ok=True)
            rows = pa.Table.from_pylist(self._rows[table], schema)
            write_table(rows, self._folder / table / f"{name}.parquet")
        self._rows = {name: [] for name in SCHEMAS}
        self._number += 1


def write_table(table: pa.Table, path: Path) -> None:
    """Write a Parquet file atomically, even in case of a power failure."""
    with replacing(path) as scratch, scratch.open("wb") as stream:
        pq.write_table(table, stream, compression="zstd")
        stream.flush()
        os.fsync(stream.fileno())


def parts(folder: Path, table: str) -> list[Path]:
    """Return the valid parts of a table: those with a part of `files`."""
    found = sorted((folder / table).glob("*.parquet"))
    return [path for path in found if (folder / "files" / path.name).exists()]


def read_files(folder: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield these columns of the files table, part by part."""
    for path in parts(folder, "files"):
        yield pq.read_table(path, columns=list(columns), partitioning=None)


def done_keys(folder: Path) -> set[bytes]:
    """Return the keys of all processed files, including failed ones."""
    return {
        key_of(row["uri"], row["size"], row["etag"])
        for table in read_files(folder, ["uri", "size", "etag"])
        for row in table.to_pylist()
    }


def remove_unfinished(folder: Path, is_running: Collection[str]) -> None:
    """Remove the remains of interrupted work.

    Parameters
    ----------
    folder : Path
        OUT.
    is_running : collection of str
        Shards in progress, such as "3-of-8", which are not touched.
    """
    for table in SCHEMAS:
        for path in (folder / table).glob("*.parquet"):
            committed = (folder / "files" / path.name).exists()
            if not committed and _shard(path.name) not in is_running:
                path.unlink(missing_ok=True)
        for path in (folder / table).glob(".*"):  # temporary files
            if _shard(path.name.removeprefix(".")) not in is_running:
                path.unlink(missing_ok=True)


def _shard(name: str) -> str:
    return "-".join(name.split("-")[:3])


def forget(folder: Path, uris: Collection[str]) -> None:
    """Remove all rows of these files, so that they are processed again.

    Events are removed first: a file is done as long as it is in the files table.
    """
    gone = pa.array(sorted(uris), pa.string())
    stale = [
        path.name
        for path in parts(folder, "files")
        if pc.any(_among(pq.read_table(path, columns=["uri"]), gone)).as_py()
    ]
    for name in stale:
        for table in SCHEMAS:
            path = folder / table / name
            if path.exists():
                rows = pq.read_table(path, partitioning=None)
                write_table(rows.filter(pc.invert(_among(rows, gone))), path)


def _among(rows: pa.Table, uris: pa.Array) -> pa.ChunkedArray:
    return pc.is_in(rows["uri"], value_set=uris)
