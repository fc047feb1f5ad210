"""List the files of a corpus and write them to `OUT/manifest.parquet`.

An input is a file, a folder (including subfolders), a pattern, a list of URIs (.txt with
one per line, .csv or .parquet with a column `uri`), or any of the first three as a URL.
"""

from __future__ import annotations

import csv
import glob
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from streamsed.audio.decode import OTHER_SUFFIXES, SUFFIXES, describe_other_formats
from streamsed.corpus.files.shards import Shard
from streamsed.corpus.files.storage import etag_of, filesystem, is_url, stat, uri_of
from streamsed.corpus.tables.parts import key_of, write_table

FILE = "manifest.parquet"
LISTS = (".txt", ".csv", ".parquet")
SCHEMA = pa.schema([("uri", pa.string()), ("size", pa.int64()), ("etag", pa.string())])

_AT_ONCE = 32  # files whose size is queried at the same time
_URI_COLUMNS = ("uri", "url", "path", "filename", "file")


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of a corpus.

    Parameters
    ----------
    uri : str
        Its location: an absolute path or a URL.
    size : int
        Bytes; -1 if unknown.
    etag : str
        Its version; for a local file, the time of its last change.
    """

    uri: str
    size: int
    etag: str

    @property
    def key(self) -> bytes:
        """The key of this version of the file."""
        return key_of(self.uri, self.size, self.etag)


def list_inputs(
    inputs: Sequence[str], *, on_message: Callable[[str], None]
) -> Iterator[Listed]:
    """Yield the files of the inputs, without duplicates.

    Parameters
    ----------
    inputs : sequence of str
        See the module docstring.
    on_message : callable
        Called with a message for each folder that cannot be listed, and for each input with
        recordings in formats that cannot be read.

    Raises
    ------
    ValueError, OSError
        An input has no files; the message names it.
    """
    seen = set()
    for text in inputs:
        n_found = 0
        others: Counter[str] = Counter()
        for listed in _of(text, on_message, others):
            n_found += 1
            if listed.uri not in seen:
                seen.add(listed.uri)
                yield listed
        if others:
            on_message(f"{text}: {describe_other_formats(others)}")
        if not n_found:
            raise ValueError(f"{text}: no audio files ({', '.join(sorted(SUFFIXES))})")


def write_manifest(folder: Path, inputs: Sequence[str], files: list[Listed]) -> None:
    """Write the listing, sorted by URI, and its inputs."""
    rows = sorted(files, key=lambda listed: listed.uri)
    table = pa.table(
        [
            [listed.uri for listed in rows],
            [listed.size for listed in rows],
            [listed.etag for listed in rows],
        ],
        schema=SCHEMA.with_metadata({"inputs": json.dumps(list(inputs))}),
    )
    write_table(table, folder / FILE)


def manifest_inputs(folder: Path) -> list[str] | None:
    """Return the inputs of the manifest, None if there is no manifest."""
    if not (folder / FILE).exists():
        return None
    metadata = pq.read_schema(folder / FILE).metadata or {}
    return list(json.loads(metadata.get(b"inputs", b"[]")))


def read_manifest(folder: Path, shard: Shard) -> Iterator[Listed]:
    """Yield the files of a shard, in the order of the manifest."""
    with pq.ParquetFile(folder / FILE) as manifest:
        for batch in manifest.iter_batches(columns=SCHEMA.names):
            for row in batch.to_pylist():
                if shard.contains(row["uri"]):
                    yield Listed(**row)


def _of(
    text: str, on_message: Callable[[str], None], others: Counter[str]
) -> Iterator[Listed]:
    """List one input; count the recordings in other formats by suffix."""
    if is_url(text):
        yield from _remote(text, others)
        return
    path = Path(text.removeprefix("file://"))
    if path.is_dir():
        yield from _folder(path, on_message, others)
    elif path.suffix.lower() in LISTS and path.is_file():
        yield from _with_states(_entries(path))
    elif os.path.lexists(path):
        yield from _with_states(iter([{"uri": str(path)}]))
    elif glob.has_magic(text):
        for found in sorted(glob.iglob(text, recursive=True)):  # noqa: PTH207
            if Path(found).is_dir():
                yield from _folder(Path(found), on_message, others)
            elif _is_audio(found, others):
                yield from _with_states(iter([{"uri": found}]))
    else:
        raise FileNotFoundError(
            f"{text}: no such file, folder, pattern, list (.txt, .csv, .parquet) or URL"
        )


def _folder(
    folder: Path, on_message: Callable[[str], None], others: Counter[str]
) -> Iterator[Listed]:
    """List the audio files in a folder and its subfolders, without hidden ones."""
    waiting = [os.fspath(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            on_message(f"error: {error.filename}: cannot be listed ({error.strerror})")
            continue
        for entry in found:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif _is_audio(entry.name, others) and (
                entry.is_file() or entry.is_symlink()
            ):
                uri = uri_of(Path(entry.path))
                yield Listed(uri, *stat(uri))  # includes broken links, which fail later


def _remote(url: str, others: Counter[str]) -> Iterator[Listed]:
    """List the files of a URL: one file, a pattern, or all below a prefix."""
    files = filesystem(url)
    root = files._strip_protocol(url)
    try:
        if glob.has_magic(root):
            found = files.glob(root, detail=True)
            yield from _audio_of(files, found, others)
        elif Path(root).suffix.lower() in SUFFIXES:
            yield from _audio_of(files, {root: files.info(root)}, others)
        else:
            for _, _, found in files.walk(root, detail=True, on_error="raise"):
                by_name = {info["name"]: info for info in found.values()}
                yield from _audio_of(files, by_name, others)
    except Exception as error:
        if isinstance(error, FileNotFoundError):
            raise FileNotFoundError(f"{url}: no such file or folder") from error
        raise ValueError(
            f"{url}: cannot be reached ({str(error) or type(error).__name__})"
        ) from error


def _audio_of(
    files: Any, found: dict[str, dict[str, Any]], others: Counter[str]
) -> Iterator[Listed]:
    for name, info in found.items():
        if info.get("type", "file") == "file" and _is_audio(name, others):
            uri = files.unstrip_protocol(name)
            yield Listed(uri, int(info.get("size") or 0), etag_of(info))


def _is_audio(name: str, others: Counter[str]) -> bool:
    plain = name.partition("?")[0]
    suffix = os.path.splitext(plain)[1].lower()  # noqa: PTH122 - URLs too
    if suffix in OTHER_SUFFIXES:
        others[suffix] += 1
    return suffix in SUFFIXES


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    """Read a list of files: `uri`, and `size` and `etag` if present."""
    if path.suffix.lower() == ".parquet":
        with pq.ParquetFile(path) as table:
            names = table.schema_arrow.names
            column = _uri_column(path, names)
            wanted = [column, *{"size", "etag"}.intersection(names)]
            for batch in table.iter_batches(columns=wanted):
                for row in batch.to_pylist():
                    yield {**row, "uri": row[column]}
        return
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        if path.suffix.lower() == ".csv":
            table = csv.DictReader(lines)
            column = _uri_column(path, table.fieldnames or [])
            for row in table:
                yield {**row, "uri": row[column]}
        else:
            for line in lines:
                if (entry := line.strip()) and not entry.startswith("#"):
                    yield {"uri": entry}


def _uri_column(path: Path, names: Sequence[str]) -> str:
    for name in _URI_COLUMNS:
        if name in names:
            return name
    raise ValueError(
        f"{path}: no column uri (or {', '.join(_URI_COLUMNS[1:])}); its columns are "
        f"{', '.join(names) or 'none'}"
    )


def _with_states(entries: Iterator[dict[str, Any]]) -> Iterator[Listed]:
    """Add missing sizes and etags, querying many files at a time."""

    def listed(entry: dict[str, Any]) -> Listed:
        uri = str(entry["uri"] or "")
        uri = uri if is_url(uri) else uri_of(Path(uri.removeprefix("file://")))
        if entry.get("size") not in (None, "") and entry.get("etag"):
            return Listed(uri, int(entry["size"]), str(entry["etag"]))
        return Listed(uri, *stat(uri))

    with ThreadPoolExecutor(_AT_ONCE) as askers:
        while some := list(islice(entries, 100 * _AT_ONCE)):
            yield from askers.map(listed, some)
