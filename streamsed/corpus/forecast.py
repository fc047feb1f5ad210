"""What a corpus will take: one percent of it is done, and the rest predicted."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from streamsed.corpus.files.listing import Listed
from streamsed.corpus.local_engine import LocalEngine
from streamsed.corpus.status import Status, duration
from streamsed.corpus.tables.parts import PartWriter, read_files

SHARE = 0.01
"""Of the files, that is done."""

FEWEST = 20
"""Files that are done in any case, or all where there are fewer."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is expected of all files.

    Parameters
    ----------
    n_files, n_sampled, n_failed : int
        All files; those that were done; those of them that failed.
    n_bytes, n_bytes_out : float
        To read, and to write.
    seconds : float
        Of audio.
    speed : float
        Times real time, with all workers.
    """

    n_files: int
    n_sampled: int
    n_failed: int
    n_bytes: float
    n_bytes_out: float
    seconds: float
    speed: float

    def lines(self, n_workers: int) -> list[str]:
        """Write it for people."""
        wall = self.seconds / self.speed if self.speed else 0.0
        return [
            f"files       {self.n_files}; {self.n_sampled} tried, {self.n_failed} failed",
            f"audio       {self.seconds / 3600:.1f} h in {self.n_bytes / 1e9:.2f} GB",
            f"speed       {self.speed:.0f} x real time with {n_workers} workers",
            f"time        {duration(wall)}, {wall * n_workers / 3600:.1f} core-hours",
            f"tables      {self.n_bytes_out / 1e6:.1f} MB",
        ]


def forecast(
    files: Sequence[Listed], engine: LocalEngine, stamp: dict[str, str], out: Path
) -> Forecast | None:
    """Do a sample of the files, write nothing that stays, and predict the whole.

    Files are drawn by their hash, so that the same ones are drawn every time. Hours follow
    from bytes, for each suffix by itself.

    Parameters
    ----------
    files : sequence of Listed
        All that is to be done.
    engine : LocalEngine
        What does it.
    stamp : dict
        See `PartWriter`.
    out : Path
        The corpus, for a folder beside it that is removed.

    Returns
    -------
    Forecast or None
        None where there is nothing to do.
    """
    by_hash = sorted(files, key=lambda listed: listed.key)
    sample = by_hash[: max(FEWEST, round(SHARE * len(files)))]
    if not sample:
        return None
    with tempfile.TemporaryDirectory(prefix=".dry-run.", dir=out) as name:
        folder = Path(name)
        n_bytes = sum(max(0, listed.size) for listed in sample)
        status = Status(folder / "status.json", len(sample), n_bytes)
        started = time.monotonic()
        engine.run(sample, PartWriter(folder, "dry", stamp), status)
        elapsed = time.monotonic() - started - engine.start_time
        written = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
        seconds = _seconds_by_uri(folder)
    total = sum(max(0, listed.size) for listed in files)
    ratio = total / n_bytes if n_bytes else len(files) / len(sample)
    return Forecast(
        n_files=len(files),
        n_sampled=len(sample),
        n_failed=status.counts["failed"] + status.counts["skipped"],
        n_bytes=total,
        n_bytes_out=written * ratio,
        seconds=_extrapolated(files, sample, seconds),
        speed=status.seconds / elapsed if elapsed > 0 else 0.0,
    )


def _seconds_by_uri(folder: Path) -> dict[str, float]:
    tables = read_files(folder, ["uri", "seconds"])
    rows = (row for table in tables for row in table.to_pylist())
    return {row["uri"]: row["seconds"] or 0.0 for row in rows}


def _extrapolated(
    files: Sequence[Listed], sample: Sequence[Listed], seconds: dict[str, float]
) -> float:
    """Return the seconds of all files, from those of the sample by its bytes."""
    sampled: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for listed in sample:
        for group in (_suffix(listed), ""):
            sampled[group][0] += seconds.get(listed.uri, 0.0)
            sampled[group][1] += max(0, listed.size)
    total = 0.0
    for listed in files:
        known, n_bytes = sampled.get(_suffix(listed), sampled[""])
        if n_bytes:
            total += known / n_bytes * max(0, listed.size)
    return total


def _suffix(listed: Listed) -> str:
    return PurePosixPath(listed.uri.partition("?")[0]).suffix.lower()
