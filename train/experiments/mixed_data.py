"""The data set that `table1` mixes where there is no DESED, and what it was mixed of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from streamsed.atomic_write import write
from train.mixing.desed_like import Sizes, imitate
from train.mixing.soundbank import Soundbank

ORIGIN = "origin.json"
"""What a data set was mixed of."""


def mix_data(
    run: Path, soundbank: Path, *, lists: Path | None, sizes: Sizes, seed: int
) -> Path:
    """Mix a data set in the folder of a run, unless it is there.

    Parameters
    ----------
    run : Path
        Folder of the run.
    soundbank : Path
        Bank with the splits `train` and `validation`.
    lists, sizes, seed
        See `train.mixing.desed_like.imitate`.

    Returns
    -------
    Path
        The data set.

    Raises
    ------
    ValueError
        The one that is there was mixed of something else.
    """
    data = run / "data"
    origin = {
        "--soundbank": _fingerprint(soundbank.rglob("*"), soundbank),
        "--lists": lists and _fingerprint(lists.glob("*/*.[ct]sv"), lists),
        "--seed": seed,
        "--demo": asdict(sizes),
    }
    path = data / ORIGIN
    mixed = (data / "metadata" / "validation" / "validation.tsv").is_file()
    if mixed and path.is_file():
        before = _read_origin(path)
        other = [name for name, value in origin.items() if before.get(name) != value]
        if other:
            raise ValueError(
                f"--run {run}: its data were mixed with another {' and '.join(other)}; "
                "choose another --run, or remove this one"
            )
    if not mixed:
        training, validation = (
            Soundbank.load(soundbank, split=split) for split in ("train", "validation")
        )
        imitate(data, training, validation, sizes=sizes, lists=lists, seed=seed)
    write(path, [json.dumps(origin, indent=1) + "\n"])
    return data


def _read_origin(path: Path) -> dict[str, Any]:
    with suppress(ValueError):
        origin = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(origin, dict):
            return origin
    raise ValueError(
        f"{path}: damaged, so that it does not say what these data were mixed of; "
        "choose another --run, or remove this one"
    )


def _fingerprint(paths: Iterable[Path], folder: Path) -> str:
    """Hash the names and sizes of files."""
    rows = sorted(
        f"{path.relative_to(folder)}\t{path.stat().st_size}\n"
        for path in paths
        if path.is_file()
    )
    text = "".join(rows).encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:16]
