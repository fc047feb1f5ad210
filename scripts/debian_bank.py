"""Build a soundbank out of recordings in Debian's packages.

::

    python -m scripts.debian_bank --output DIR

Two lists say what it holds: `docs/debian-packages.csv` the archives, with their SHA-256
and licences, `docs/debian-bank.csv` which stretches of which of their files become which
recording. The archives are fetched from a Debian mirror, checked and read by `scripts.debian_packages`.
"""

from __future__ import annotations

import argparse
import collections
import csv
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from scripts.debian_packages import extract, fetch, unpack
from streamsed.audio.decode import file_chunks
from train.annotations.tsv import TableRow, read_rows

ROOT = Path(__file__).parent.parent
MIRROR = "https://deb.debian.org/debian"
RATE = 44100
"""Hz."""
MAX_LENGTH = 30 * RATE
"""Samples of a recording."""
PEAK = 10 ** (-3 / 20)
SILENCE = 10 ** (-50 / 20)
"""Of the peak; what is softer is cut off at both ends."""
FADES = (RATE * 4 // 1000, RATE * 20 // 1000)
"""Samples, in and out."""
PAUSE = RATE // 5
"""Samples between the parts of a recording that is joined."""
PATH = re.compile(r"(foreground|background)/(\w+)/[\w-][\w.-]*\.flac", re.ASCII)
PACKAGE_COLUMNS = ("package", "version", "archive", "sha256", "licence")
CLIP_COLUMNS = ("path", "package", "members", "start_s", "duration_s")
MANIFEST_COLUMNS = (
    *("path", "class", "source_repo", "source_path", "source_recording_id"),
    *("license", "duration_s", "split"),
)

Samples = NDArray[np.float32]
Rows = dict[str, TableRow]


def stretch(path: Path, start: float = 0.0, duration: float | None = None) -> Samples:
    """Decode a stretch of a file: mono, 44.1 kHz.

    Parameters
    ----------
    path : Path
        An audio file.
    start, duration : float
        Seconds; without a duration, 30 s.

    Returns
    -------
    float32 (n_samples,)
        Empty if the file ends before.
    """
    first = round(start * RATE)
    length = MAX_LENGTH if duration is None else round(duration * RATE)
    last = first + min(length, MAX_LENGTH)
    chunks, n_read = [], 0
    for chunk in file_chunks(path, sample_rate=RATE):
        chunks.append(chunk[max(first - n_read, 0) :])
        n_read += len(chunk)
        if n_read >= last:
            break
    return np.concatenate(chunks)[: last - first]


def trimmed(samples: Samples) -> Samples:
    """Cut silence off both ends, fade them, and set the peak to -3 dB of full scale.

    Raises
    ------
    ValueError
        There is nothing but silence.
    """
    magnitude = np.abs(samples - samples.mean()) if samples.size else samples
    peak = magnitude.max(initial=0.0)
    if peak < SILENCE * 0.1:
        raise ValueError("silent")
    loud = np.flatnonzero(magnitude > peak * SILENCE)
    kept = samples[loud[0] : loud[-1] + 1] - samples.mean()
    fade_in, fade_out = (min(each, kept.size) for each in FADES)
    kept[:fade_in] *= np.linspace(0, 1, fade_in, dtype=np.float32)
    kept[kept.size - fade_out :] *= np.linspace(1, 0, fade_out, dtype=np.float32)
    return np.asarray(kept * (PEAK / np.abs(kept).max()), np.float32)


def recording(paths: Sequence[Path], start: float, duration: float | None) -> Samples:
    """Make a recording of a stretch of one file, or of several files, joined."""
    if len(paths) == 1:
        return trimmed(stretch(paths[0], start, duration))
    parts = [trimmed(stretch(path)) for path in paths]
    silence = np.zeros(PAUSE, np.float32)
    joined = [piece for part in parts for piece in (silence, part)][1:]
    return np.concatenate(joined)[:MAX_LENGTH]


def read_lists(packages: Path, clips: Path) -> tuple[Rows, Rows]:
    """Read both lists, by package and by path.

    Raises
    ------
    ValueError
        A path is not one of a soundbank, or names no package of the list.
    """
    by_package = {row["package"]: row for row in read_rows(packages, PACKAGE_COLUMNS)}
    by_path = {row["path"]: row for row in read_rows(clips, CLIP_COLUMNS)}
    for path, row in by_path.items():
        if not PATH.fullmatch(path):
            raise ValueError(
                f"{clips}: path={path} must be like background/rain/a.flac"
            )
        if row["package"] not in by_package:
            raise ValueError(f"{clips}: package={row['package']} is not in {packages}")
    return by_package, by_path


def add_package(
    package: TableRow, rows: Sequence[TableRow], archive: Path, output: Path
) -> list[dict[str, str]]:
    """Write the recordings of one package; return their rows of the manifest."""
    entries = []
    names = {name for row in rows for name in row["members"].split("|")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = extract(archive, {each.partition("!")[0] for each in names}, folder)
        for row in rows:
            parts = [_file(files, each, folder) for each in row["members"].split("|")]
            duration = float(row["duration_s"]) if row["duration_s"] else None
            start = float(row["start_s"] or 0)
            try:
                samples = recording(parts, start, duration)
            except ValueError as error:
                raise ValueError(f"{archive}: {row['members']}: {error}") from error
            target = output / row["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(target, samples, RATE, subtype="PCM_16")
            entries.append(_entry(package, row, samples.size / RATE))
    return entries


def _file(files: dict[str, Path], member: str, folder: Path) -> Path:
    """Return where a member lies: a file, or CONTAINER!NAME within one."""
    outer, _, inner = member.partition("!")
    if not inner:
        return files[outer]
    target = folder / f"inner{Path(inner).suffix.lower()}"
    try:
        unpack(files[outer], inner, target)
    except ValueError as error:
        raise ValueError(f"{member}: {error}") from error
    return target


def _entry(package: TableRow, row: TableRow, duration: float) -> dict[str, str]:
    stem = Path(row["members"].split("|")[0].rpartition("!")[2]).stem
    stem = re.sub(r"(?<=.)[-_. ]?\d+$", "", stem) if not stem.isdigit() else stem
    return {
        "path": row["path"],
        "class": Path(row["path"]).parts[1],
        "source_repo": f"Debian {package['package']}",
        "source_path": row["members"].replace("|", " + "),
        "source_recording_id": f"debian_{package['package']}_{stem}",
        "license": package["licence"],
        "duration_s": f"{duration:.3f}",
        "split": "train",
    }


def write_bank(
    packages: Rows,
    clips: Rows,
    output: Path,
    *,
    mirror: str,
    cache: Path,
) -> int:
    """Fetch the packages and write the bank; return how many recordings it has."""
    by_package = collections.defaultdict(list)
    for row in clips.values():
        by_package[row["package"]].append(row)
    cache.mkdir(parents=True, exist_ok=True)
    entries: list[dict[str, str]] = []
    for name, rows in sorted(by_package.items()):
        package = packages[name]
        archive = cache / f"{package['sha256']}.deb"
        fetch(f"{mirror.rstrip('/')}/{package['archive']}", archive, package["sha256"])
        entries += add_package(package, rows, archive, output)
    with (output / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, MANIFEST_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(entries, key=lambda entry: entry["path"]))
    sources = _sources(
        [(packages[name], by_package[name]) for name in sorted(by_package)]
    )
    (output / "SOURCES.md").write_text(sources, encoding="utf-8")
    return len(entries)


def _sources(packages: Sequence[tuple[TableRow, Sequence[TableRow]]]) -> str:
    """Say where everything is from, and how much of it, as a page."""
    lines = [
        "# Where the recordings come from",
        "",
        "Packages of Debian, built into this bank by `python -m scripts.debian_bank`: mono,",
        "44.1 kHz, 16 bit, peak -3 dB of full scale, trimmed at -50 dB, all in split `train`.",
        "The licence is what debian/copyright of the package says, of its sounds where it",
        "sets them apart. Labels follow the files' names; nobody listened to them.",
        "",
        "| package | version | licence | recordings |",
        "|---|---|---|---|",
    ]
    for package, rows in packages:
        kinds = collections.Counter(Path(row["path"]).parts[1] for row in rows)
        taken = ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items()))
        name, version, licence = (package[c] for c in ("package", "version", "licence"))
        lines.append(f"| {name} | {version} | {licence} | {taken} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the bank."""
    parser = argparse.ArgumentParser(
        "python -m scripts.debian_bank", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--output", type=Path, required=True, help="new folder")
    parser.add_argument("--mirror", default=MIRROR, help=MIRROR)
    parser.add_argument("--cache", type=Path, help="keeps the packages; OUTPUT.cache")
    lists = {"--packages": "debian-packages.csv", "--clips": "debian-bank.csv"}
    for option, name in lists.items():
        parser.add_argument(option, type=Path, default=ROOT / "docs" / name, help=name)
    given = parser.parse_args(arguments)
    cache = given.cache or given.output.with_suffix(".cache")
    try:
        if given.output.exists():
            raise ValueError(f"--output {given.output}: exists; name a new folder")
        given.output.mkdir(parents=True)
        packages, clips = read_lists(given.packages, given.clips)
        n_clips = write_bank(
            packages, clips, given.output, mirror=given.mirror, cache=cache
        )
    except (OSError, ValueError) as error:
        sys.stderr.write(f"debian_bank: error: {error}\n")
        return 2
    sys.stdout.write(f"{given.output}: {n_clips} recordings\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
