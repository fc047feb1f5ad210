"""Weights in parts: 16-bit checkpoints in one archive, cut into files with checksums.

`python -m scripts.parts join FOLDER OUT` checks the parts and unpacks the runs; what it
gives is what `python -m train export` and `card` take.

::

    parts.json      SHA-256 of every part and of the whole
    parts.000 ...   one tar: RUN/best-*.pt, the weights of each run kept on validation, or
                    RUN/last.pt of a run that was not validated
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from train.fit.checkpoint import BEST, LAST, read_checkpoint, save_atomically

PART = 15_000_000
"""Bytes of a part; the machine's limit is 16 MB for a file."""
INDEX = "parts.json"


def halve(state: Mapping[str, Any]) -> dict[str, Any]:
    """Round the large tensors of a checkpoint's weights to float16.

    Vectors, such as the statistics of batch norms, stay as they are: they are few, and a
    variance can be outside the range of float16.

    Raises
    ------
    ValueError
        A weight is outside the range of float16.
    """
    weights = {}
    for name, value in state["evaluated"].items():
        small = value.dim() < 2 or not value.is_floating_point()
        weights[name] = value if small else value.half()
        if not small and not bool(weights[name].isfinite().all()):
            raise ValueError(f"{name} must be within float16's range, up to 65504")
    names = ("config", "labels", "scaling", "step", "elapsed", "loss", "f1_per_label")
    return {"evaluated": weights} | {
        each: state[each] for each in names if each in state
    }


def split(runs: Mapping[str, Path], folder: Path, *, size: int = PART) -> list[Path]:
    """Write the best checkpoints of runs as 16-bit weights, cut into parts.

    Parameters
    ----------
    runs : mapping of str to Path
        Runs by the names that they get.
    folder : Path
        Where the parts go.
    size : int
        Bytes of a part at most.

    Raises
    ------
    ValueError
        A run has no checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        whole = Path(name) / "whole.tar"
        with tarfile.open(whole, "w") as archive:
            for run, place in runs.items():
                checkpoints = sorted(place.glob(BEST)) or [place / LAST]
                for path in checkpoints:
                    slim = Path(name) / path.name
                    save_atomically(halve(read_checkpoint(path)), slim)
                    archive.add(slim, f"{run}/{path.name}")
                    slim.unlink()
        for old in folder.glob("parts.*"):
            old.unlink()
        sums: dict[str, str] = {}
        paths: list[Path] = []
        total = hashlib.sha256()
        with whole.open("rb") as file:
            while block := file.read(size):
                paths.append(folder / f"parts.{len(paths):03d}")
                paths[-1].write_bytes(block)
                sums[paths[-1].name] = hashlib.sha256(block).hexdigest()
                total.update(block)
    index = {"parts": sums, "whole": total.hexdigest()}
    (folder / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    return paths


def join(folder: Path, output: Path) -> list[Path]:
    """Check the parts in a folder and unpack the runs that they hold.

    Raises
    ------
    ValueError
        A part is missing or damaged; nothing is unpacked then.
    """
    index_path = folder / INDEX
    if not index_path.is_file():
        raise ValueError(f"parts={folder} must hold {INDEX}")
    index = json.loads(index_path.read_text(encoding="utf-8"))
    total = hashlib.sha256()
    with tempfile.TemporaryFile() as whole:
        for name, expected in index["parts"].items():
            path = folder / name
            block = path.read_bytes() if path.is_file() else b""
            if hashlib.sha256(block).hexdigest() != expected:
                raise ValueError(f"part={path} must be there and whole; copy it again")
            total.update(block)
            whole.write(block)
        if total.hexdigest() != index["whole"]:
            raise ValueError(f"parts={folder} must be those of one {INDEX}")
        whole.seek(0)
        with tarfile.open(fileobj=whole) as archive:
            names = archive.getnames()
            archive.extractall(output, filter="data")
    return [output / name for name in names]


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser("python -m scripts.parts")
    actions = parser.add_subparsers(dest="action", required=True)
    splitting = actions.add_parser("split", help="runs to parts")
    splitting.add_argument("folder", type=Path, metavar="FOLDER")
    splitting.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    joining = actions.add_parser("join", help="parts to runs")
    joining.add_argument("folder", type=Path, metavar="FOLDER")
    joining.add_argument("output", type=Path, metavar="OUT")
    options = parser.parse_args(arguments)
    try:
        if options.action == "split":
            found = split({run.name: run for run in options.runs}, options.folder)
        else:
            found = join(options.folder, options.output)
    except (OSError, ValueError) as error:
        print(f"parts: error: {error}", file=sys.stderr)
        sys.exit(2)
    print("\n".join(map(str, found)))


if __name__ == "__main__":
    main()
