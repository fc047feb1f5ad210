"""The files of a bank: which of them are read, who recorded them, and their sound."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from streamsed.audio.decode import file_chunks
from train.annotations.tsv import read_rows
from train.mixing.soundbank.clip import Clip, Samples, active_regions

FOREGROUND, BACKGROUND = "foreground", "background"
"""The folders of a bank."""
SUFFIXES = (".flac", ".wav", ".ogg", ".mp3", ".aif", ".aiff")


class SplitError(ValueError):
    """A bank has no manifest, no such split in it, or no sound in that split."""


def known_split(folder: Path, split: str) -> str | None:
    """Return a split of a bank that has a manifest, or None for one without.

    So `train` and `validation` are kept apart wherever it is known what is in them; of a
    bank without a manifest, all files are read.
    """
    return split if (folder / "manifest.csv").is_file() else None


def known_splits(folders: Iterable[Path], split: str) -> dict[Path, str | None]:
    """Return that split of each bank, or None for one without a manifest."""
    return {each: known_split(each, split) for each in folders}


def name_part(split: str | None) -> str:
    """Name the recordings of a split, or of None."""
    return "all files" if split is None else f"split {split}"


def describe_split(folder: object, split: str | None) -> str:
    """Say which recordings of a bank something is measured on, in a sentence.

    Examples
    --------
    >>> describe_split("sounds", "validation")
    'Recordings of sounds: split validation.'
    """
    doubt = "; if the model was trained on some of them, the figures are too good"
    return (
        f"Recordings of {folder}: {name_part(split)}{doubt if split is None else ''}."
    )


def chosen_paths(
    folder: Path, split: str | None, leave_out: Collection[str]
) -> set[str] | None:
    """List the files of a bank that are read; None stands for all of them.

    Raises
    ------
    SplitError
        There is no manifest although a split is asked for, or no such split in it.
    """
    chosen = None if split is None else _split_paths(folder, split)
    if leave_out:
        chosen = (_all_paths(folder) if chosen is None else chosen) - set(leave_out)
    return chosen


def _split_paths(folder: Path, split: str) -> set[str]:
    """Read the paths of one split from the manifest."""
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        raise SplitError(f"--split {split} needs {manifest}, and there is no such file")
    rows = list(read_rows(manifest, ("path", "split")))
    splits = sorted({row["split"] for row in rows})
    if split not in splits:
        raise SplitError(
            f"{manifest}: no split {split!r}; its splits are {', '.join(splits)}"
        )
    return {row["path"] for row in rows if row["split"] == split}


def _all_paths(folder: Path) -> set[str]:
    """List every file of a bank, as a manifest names them."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def read_sources(folder: Path) -> dict[str, tuple[str, str]]:
    """Read the recorder and the recording of each file from a manifest, if it has them."""
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        return {}
    return {
        row["path"]: (row["source_repo"], row["source_recording_id"] or row["path"])
        for row in read_rows(manifest, ("path",))
    }


def read_tree(
    folder: Path,
    part: str,
    chosen: set[str] | None,
    sources: dict[str, tuple[str, str]],
    sample_rate: int,
) -> dict[str, tuple[Clip, ...]]:
    """Read all chosen files below `folder/part`, grouped by the name of their folder.

    Raises
    ------
    ValueError
        A folder's name is not printable, or a sound of the foreground does not lie in the
        folder of a label itself, so that another name would become its label.
    """
    paths = [
        path
        for path in sorted((folder / part).rglob("*"))
        if path.suffix.lower() in SUFFIXES
        and (chosen is None or path.relative_to(folder).as_posix() in chosen)
    ]
    for path in paths if part == FOREGROUND else ():
        if path.parent.parent != folder / part:
            raise ValueError(
                f"{path}: must lie in {part}/<Label>/ itself, as the name of the folder is "
                "the label; move it"
            )
    for name in sorted({path.parent.name for path in paths}):
        if not name.isprintable():
            raise ValueError(
                f"{part}/{name!r}: the name of the folder is a label, and must be "
                "printable; rename it"
            )
    groups: dict[str, list[Clip]] = {}
    with ThreadPoolExecutor() as pool:  # decoders work without the interpreter's lock
        recordings = pool.map(lambda path: _read_samples(path, sample_rate), paths)
        digests = pool.map(_digest, paths)
        for path, samples, digest in zip(paths, recordings, digests, strict=True):
            regions = active_regions(samples, sample_rate)
            if regions:
                name = path.relative_to(folder).as_posix()
                source = sources.get(name, ("", name))
                clip = Clip(samples, regions, *source, digest)
                groups.setdefault(path.parent.name, []).append(clip)
    return {name: tuple(clips) for name, clips in groups.items()}


def _read_samples(path: Path, sample_rate: int) -> Samples:
    """Read one file as mono float32 at `sample_rate`."""
    return np.concatenate(list(file_chunks(path, sample_rate=sample_rate)))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
