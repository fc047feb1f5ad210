"""Pack one archive for a machine without a network: `python -m scripts.pack --help`.

::

    streamsed/              the source tree of HEAD, and train/COMMIT, which names it
    streamsed/wheels/       what a machine with torch, numpy and matplotlib may lack
    streamsed/headers/      Python's headers, where --headers names them
    streamsed/bank/         splits `train` and `validation` as mono Vorbis, manifest.csv;
                            of further banks, in bank2/, bank3/ and so on
    streamsed/lists/        DESED's lists
"""

from __future__ import annotations

import argparse
import csv
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import soundfile

from train.mixing.soundbank import read_leave_out

ROOT = Path(__file__).parent.parent
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
"""From 0 to 1; about 60 kbit/s of mono at 44.1 kHz."""


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


def compress_bank(bank: Path, folder: Path, *, left_out: Collection[str] = ()) -> int:
    """Write the splits of a bank as mono Vorbis, with its manifest; return how many files.

    Parameters
    ----------
    bank : Path
        With `manifest.csv`.
    folder : Path
        Is made.
    left_out : collection of str
        Paths in the bank that stay here.

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


def add_source(archive: tarfile.TarFile) -> str:
    """Add the tree of HEAD; return its commit."""

    def git(*arguments: str) -> bytes:
        command = ["git", *arguments]
        return subprocess.run(command, check=True, capture_output=True, cwd=ROOT).stdout

    commit = git("rev-parse", "--short=12", "HEAD").decode().strip()
    with tarfile.open(
        fileobj=io.BytesIO(git("archive", "--prefix=streamsed/", "HEAD"))
    ) as tree:
        for member in tree:
            archive.addfile(member, tree.extractfile(member))
    note = tarfile.TarInfo("streamsed/train/COMMIT")
    note.size = len(commit)
    archive.addfile(note, io.BytesIO(commit.encode()))
    return commit


def pack(
    output: Path,
    *,
    banks: Sequence[Path],
    lists: Path,
    python: str,
    headers: Path | None = None,
    left_out: Collection[str] = (),
) -> str:
    """Write the archive; return the commit that is in it."""
    draft = output.with_suffix(".part")
    with tempfile.TemporaryDirectory() as place, tarfile.open(draft, "w:gz") as archive:
        folder = Path(place)
        commit = add_source(archive)
        for number, bank in enumerate(banks, 1):
            name = "bank" if number == 1 else f"bank{number}"
            compress_bank(bank, folder / name, left_out=left_out)
        download_wheels(folder / "wheels", python)
        for part in sorted(folder.iterdir()):
            archive.add(part, f"streamsed/{part.name}")
        for each in LISTS:
            archive.add(lists / each, f"streamsed/lists/{each}")
        if headers is not None:
            archive.add(headers, "streamsed/headers")
    draft.replace(output)
    return commit


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser("python -m scripts.pack")
    parser.add_argument(
        "--soundbank", type=Path, required=True, metavar="DIR", action="append"
    )
    parser.add_argument("--leave-out", type=Path, metavar="FILE.csv", help="as of fit")
    parser.add_argument("--lists", type=Path, required=True, metavar="DIR")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.tar.gz")
    parser.add_argument("--python", default="3.12", help="of the other machine")
    parser.add_argument("--headers", type=Path, help="folder of Python.h, to carry")
    options = parser.parse_args()
    try:
        commit = pack(
            options.output,
            banks=options.soundbank,
            lists=options.lists,
            python=options.python,
            headers=options.headers,
            left_out=read_leave_out(options.leave_out) if options.leave_out else (),
        )
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"pack: error: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB of {commit}")


if __name__ == "__main__":
    main()
