"""Estimate the cost of a corpus from a sample of one percent."""

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
from streamsed.terminal import counted

SHARE = 0.01
"""Share of the files in the sample."""

FEWEST = 20
"""Minimum number of files in the sample."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Estimated totals of all files.

    Parameters
    ----------
    n_files, n_sampled, n_failed : int
        Number of all files, of those in the sample, and of those that failed.
    n_bytes, n_bytes_out : float
        Bytes to read and to write.
    seconds : float
        Seconds of audio.
    speed : float
        Factor of real time, with all workers.
    """

    n_files: int
    n_sampled: int
    n_failed: int
    n_bytes: float
    n_bytes_out: float
    seconds: float
    speed: float

    def lines(self, n_workers: int) -> list[str]:
        """Return the estimate as text."""
        wall = self.seconds / self.speed if self.speed else 0.0
        return [
            f"files       {self.n_files}; {self.n_sampled} sampled, {self.n_failed} failed",
            f"audio       {self.seconds / 3600:.1f} h in {self.n_bytes / 1e9:.2f} GB",
            f"speed       {self.speed:.0f} x real time with {counted(n_workers, 'worker')}",
            f"time        {duration(wall)}, {wall * n_workers / 3600:.1f} core-hours",
            f"tables      {self.n_bytes_out / 1e6:.1f} MB",
        ]


def forecast(
    files: Sequence[Listed], engine: LocalEngine, stamp: dict[str, str], out: Path
) -> Forecast | None:
    """Process a sample of the files and estimate the totals; no results are kept.

    Files are selected by hash, so that the sample is always the same. Durations are
    extrapolated from bytes, separately for each suffix.

    Parameters
    ----------
    files : sequence of Listed
        Files to process.
    engine : LocalEngine
        Engine to use.
    stamp : dict
        See `PartWriter`.
    out : Path
        Output folder; a temporary folder is created beside it.

    Returns
    -------
    Forecast or None
        None if there is nothing to do.
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
    """Return the duration of all files, extrapolated from the sample by bytes."""
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
