"""Pack archives for a machine without a network: `python -m scripts.pack --help`.

One archive, or several where one would be larger than a call may carry; all are unpacked in
one place, the first has what is needed to build::

    streamsed/              the source tree of HEAD, and train/COMMIT, which names it
    streamsed/wheels/       what a machine with torch, numpy and matplotlib may lack
    streamsed/headers/      Python's headers, where --headers names them, and in prebuilt/
                            an extension made with them, should their compiler fail
    streamsed/lists/        DESED's lists
    streamsed/bank/         splits `train` and `validation` as mono Vorbis, manifest.csv;
                            of further banks, in bank2/, bank3/ and so on
    streamsed/runs/         16-bit weights that the fits of a job begin with
"""

from __future__ import annotations

import argparse
import csv
import io
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import soundfile

from scripts.archives import Archives
from scripts.beginnings import beginnings, read_runs, slim_runs
from scripts.build import build_extension, header_folders
from train.cli.options import read_left_out

ROOT = Path(__file__).parent.parent
JOB = ROOT / "scripts" / "accelerator.toml"
PACKAGES = (
    *("soundfile", "soxr", "sounddevice", "typer", "rich"),
    *("pybind11", "pytest", "hypothesis"),
)
"""With what they need, but for numpy, which torch's machines have."""
SPLITS = ("train", "validation")
LISTS = ("train/synthetic.tsv", "validation/validation.tsv")
BLOCK = 65536
"""Samples; libsndfile's Vorbis overflows its stack on long writes."""
COMPRESSION = 0.6
"""From 0 to 1; about 75 kbit/s of mono at 44.1 kHz."""
MEGABYTES = 50.0
"""Of an archive at most; a call of the machine carries 64 MiB, this tree among it."""


def download_wheels(folder: Path, python: str) -> None:
    """Download wheels for a version of Python on x86-64 Linux."""
    platforms = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
    command: list[str | Path] = [sys.executable, "-m", "pip", "download", "--quiet"]
    command += ["--dest", folder]
    command += ["--only-binary=:all:", "--disable-pip-version-check"]
    command += ["--constraint", ROOT / "constraints.txt", "--python-version", python]
    command += [f"--platform={each}_x86_64" for each in platforms]
    subprocess.run([*command, *PACKAGES], check=True)
    for wheel in folder.glob("numpy-*.whl"):
        wheel.unlink()


def compress_bank(
    bank: Path, folder: Path, *, left_out: Collection[str] = (), every: int = 1
) -> int:
    """Write the splits of a bank as mono Vorbis, with its manifest; return how many files.

    Parameters
    ----------
    bank : Path
        With `manifest.csv`.
    folder : Path
        Is made.
    left_out : collection of str
        Paths in the bank that stay here.
    every : int
        Of each folder's recordings of a split, take the first of so many, for a rehearsal.

    Raises
    ------
    ValueError
        The bank has no manifest.
    """
    manifest = bank / "manifest.csv"
    if not manifest.is_file():
        raise ValueError(f"soundbank={bank} must hold manifest.csv (path, split)")
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] in SPLITS]
    rows = [row for row in rows if row["path"] not in left_out]
    groups: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in rows:
        groups.setdefault((str(Path(row["path"]).parent), row["split"]), []).append(row)
    rows = [row for group in groups.values() for row in group[::every]]
    folder.mkdir(parents=True)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0].keys() if rows else ("path", "split"))
        table.writeheader()
        for row in rows:
            path = f"{row['path']}.ogg"
            compress(bank / row["path"], folder / path)
            table.writerow({**row, "path": path})
    return len(rows)


def compress(source: Path, target: Path) -> None:
    """Write a recording as mono Vorbis, of the same length and sampling frequency."""
    audio, rate = soundfile.read(source, dtype="float32", always_2d=True)
    mono = audio.mean(axis=1)
    target.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(
        target, "w", rate, 1, "VORBIS", format="OGG", compression_level=COMPRESSION
    ) as file:
        for first in range(0, len(mono), BLOCK):
            file.write(mono[first : first + BLOCK])


def add_source(archives: Archives) -> str:
    """Add the tree of HEAD; return its commit."""

    def git(*arguments: str) -> bytes:
        command = ["git", *arguments]
        return subprocess.run(command, check=True, capture_output=True, cwd=ROOT).stdout

    commit = git("rev-parse", "--short=12", "HEAD").decode().strip()
    with tarfile.open(
        fileobj=io.BytesIO(git("archive", "--prefix=streamsed/", "HEAD"))
    ) as tree:
        for member in tree:
            content = tree.extractfile(member) if member.isreg() else None
            archives.add(member, content or io.BytesIO())
    note = tarfile.TarInfo("streamsed/train/COMMIT")
    note.size = len(commit)
    archives.add(note, io.BytesIO(commit.encode()))
    return commit


def make_extension(headers: Path, folder: Path, python: str) -> None:
    """Compile the extension for the other machine's Python, should it fail to there."""
    folder.mkdir()
    name = f"_core.cpython-{python.replace('.', '')}-x86_64-linux-gnu.so"
    _, pybind11 = header_folders()
    build_extension(folder / name, [headers, pybind11])


def pack(
    output: Path,
    *,
    banks: Sequence[Path],
    lists: Path,
    python: str,
    settings: Mapping[str, Any],
    runs: Mapping[str, Path],
    limit: float = MEGABYTES * 1e6,
    headers: Path | None = None,
    left_out: Mapping[Path, Collection[str]] | None = None,
    every: int = 1,
) -> tuple[list[Path], str]:
    """Write the archives; return them, and the commit that is in them."""
    if len(banks) != len(settings["banks"]):
        raise ValueError(
            f"--soundbank: {len(banks)} are given, and the job trains on "
            f"{', '.join(settings['banks'])}"
        )
    with tempfile.TemporaryDirectory() as place, Archives(output, limit) as archives:
        folder = Path(place)
        slim_runs(settings, runs, folder / "runs")
        commit = add_source(archives)
        download_wheels(folder / "wheels", python)
        archives.add_tree(folder / "wheels", "streamsed/wheels")
        if headers is not None:
            archives.add_tree(headers, "streamsed/headers")
            make_extension(headers, folder / "prebuilt", python)
            archives.add_tree(folder / "prebuilt", "streamsed/prebuilt")
        for each in LISTS:
            archives.add_tree(lists / each, f"streamsed/lists/{each}")
        for name, bank in zip(settings["banks"], banks, strict=True):
            fewer = (left_out or {}).get(bank, ())
            compress_bank(bank, folder / name, left_out=fewer, every=every)
            archives.add_tree(folder / name, f"streamsed/{name}")
        # Last: these files are large, and would leave an archive that is half empty.
        archives.add_tree(folder / "runs", "streamsed/runs")
    return archives.paths, commit


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser("python -m scripts.pack")
    parser.add_argument(
        *("--soundbank",), type=Path, required=True, metavar="DIR", action="append"
    )
    parser.add_argument("--leave-out", type=Path, metavar="FILE.csv", help="as of fit")
    parser.add_argument("--lists", type=Path, required=True, metavar="DIR")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.tar.gz")
    parser.add_argument(
        *("--job",), type=Path, default=JOB, metavar="FILE.toml", help="of scripts.job"
    )
    parser.add_argument(
        *("--run",),
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="for fit.NAME to begin with; random weights without it",
    )
    parser.add_argument(
        *("--limit",), type=float, default=MEGABYTES, metavar="MB", help="of an archive"
    )
    parser.add_argument(
        *("--every",), type=int, default=1, metavar="N", help="one recording of N"
    )
    parser.add_argument("--python", default="3.12", help="of the other machine")
    parser.add_argument("--headers", type=Path, help="folder of Python.h, to carry")
    options = parser.parse_args(arguments)
    try:
        settings = tomllib.loads(options.job.read_text(encoding="utf-8"))
        runs = read_runs(options.run)
        paths, commit = pack(
            options.output,
            banks=options.soundbank,
            lists=options.lists,
            python=options.python,
            settings=settings,
            runs=runs,
            limit=options.limit * 1e6,
            headers=options.headers,
            every=max(options.every, 1),
            left_out=read_left_out(options.leave_out, options.soundbank),
        )
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"pack: error: {error}", file=sys.stderr)
        sys.exit(2)
    for path in paths:
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB of {commit}")
    for name in beginnings(settings):
        if name not in runs:
            print(f"no --run {name}=DIR: fit.{name} begins with random weights")
    if len(paths) > 1:
        print(f"{len(paths)} archives: unpack all of them in one folder, in any order")


if __name__ == "__main__":
    main()
