"""The paths of the lists and clips of DESED 2019, in all layouts that are in use.

    DIR/metadata/train/weak.tsv                filename event_labels
    DIR/metadata/train/unlabel_in_domain.tsv   filename
    DIR/metadata/train/synthetic.tsv           filename onset offset event_label
    DIR/metadata/validation/validation.tsv     filename onset offset event_label
    DIR/metadata/eval/public.tsv               filename onset offset event_label
    DIR/audio/train/weak/*.wav  ...            beside, under the names of the lists

Until January 2020 the lists were called `.csv` (with tabs inside all the same), the
challenge's repository holds all of this in `dataset/`, the `desed` package puts the
validation clips into `audio/validation/validation`, and synthetic sets carry their year.
In every year their clips are called `10.wav` and the like, so the clips of one year's list
are never looked for in the folder of another year.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

LAYOUT = {
    "weak": ("metadata/train/weak.tsv", ("audio/train/weak",)),
    "unlabel_in_domain": (
        "metadata/train/unlabel_in_domain.tsv",
        ("audio/train/unlabel_in_domain",),
    ),
    "synthetic": ("metadata/train/synthetic.tsv", ("audio/train/synthetic",)),
    "validation": (
        "metadata/validation/validation.tsv",
        ("audio/validation", "audio/validation/validation"),
    ),
    "public": ("metadata/eval/public.tsv", ("audio/eval/public",)),
}
"""The list of each subset, and the possible folders of its clips."""

SYNTHETIC = (
    ("synthetic", "synthetic_2018"),
    ("synthetic20", "synthetic20/soundscapes"),
    ("synthetic21_train/soundscapes",),
)
"""Names of the synthetic list and of the folder of its clips; several of the same set."""

SUFFIXES = (".tsv", ".csv")
"""Of lists; the second was in use before January 2020."""


@dataclass(frozen=True, slots=True)
class Place:
    """The possible paths of a subset.

    Parameters
    ----------
    lists : tuple of Path
        Possible paths of its list, the most likely first.
    audio : tuple of Path
        Possible folders of its clips.
    """

    lists: tuple[Path, ...]
    audio: tuple[Path, ...]

    @property
    def list_file(self) -> Path | None:
        """The first of the lists that exists; None if none does."""
        return next((path for path in self.lists if path.is_file()), None)


def find_root(folder: Path) -> Path:
    """Find the folder that holds `metadata` and `audio`: this one, or one next to it.

    Returns
    -------
    Path
        `folder`, its `dataset`, or its parent if it is itself `metadata` or `audio`;
        `folder` if none of them holds a list.
    """
    candidates = [folder, folder / "dataset"]
    whole = folder.absolute()  # `.` has no name
    if whole.name in ("metadata", "audio"):
        candidates.append(whole.parent)
    return next(filter(_has_list, candidates), folder)


def root_below(folder: Path) -> Path | None:
    """Find what `find_root` finds in one of the folders inside; None if in none."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    roots = (find_root(each) for each in inside if each.is_dir())
    return next(filter(_has_list, roots), None)


def _has_list(root: Path) -> bool:
    return any(place_of(root, name).list_file for name in LAYOUT)


def place_of(root: Path, name: str) -> Place:
    """Return the possible paths of a subset of `LAYOUT` below a root.

    Where one of the lists exists, the folders are those of the set that it lists, that of
    its own name first.
    """
    tsv, folders = LAYOUT[name]
    if name != "synthetic":
        return Place(_lists(root, tsv), tuple(root / each for each in folders))
    sets = {each: names for names in SYNTHETIC for each in names}
    lists = {each: _lists(root, f"metadata/train/{each}.tsv") for each in sets}
    found = next(
        (each for each, paths in lists.items() if any(map(Path.is_file, paths))), None
    )
    names = sets if found is None else dict.fromkeys((found, *sets[found]))
    return Place(
        tuple(path for paths in lists.values() for path in paths),
        tuple(root / "audio/train" / each for each in names),
    )


def _lists(root: Path, tsv: str) -> tuple[Path, ...]:
    """Return the possible paths of one list."""
    stem = tsv.removesuffix(".tsv")
    return tuple(root / f"{stem}{suffix}" for suffix in SUFFIXES)


def nearest(path: Path) -> Path:
    """Find the existing path that is most similar to a missing one.

    Returns
    -------
    Path
        In the deepest folder above it that exists, the entry whose name is most like the
        one that is missing there; that folder, if no name is like it.
    """
    above = path.absolute()
    missing = above.name
    while not above.exists():
        missing, above = above.name, above.parent
    if not above.is_dir():
        return above
    names = [entry.name for entry in above.iterdir()]
    alike = get_close_matches(missing, names, n=1, cutoff=0.5)
    return above / alike[0] if alike else above


def describe_search(paths: Sequence[Path], root: Path) -> str:
    """Return which paths were searched, and the most similar existing one, as a clause."""
    looked = ", ".join(_relative(paths, root))
    return (
        f"looked in {root} for {looked}; the nearest that exists is {nearest(paths[0])}"
    )


def describe_strangers(paths: Sequence[Path], root: Path, name: str) -> str | None:
    """Return which of the folders hold files, none of them listed, as a clause.

    Parameters
    ----------
    paths : sequence of Path
        Folders that were searched for the clips of a list.
    root : Path
        What their names are relative to.
    name : str
        A clip of the list.
    """
    full = [
        path
        for path in paths
        if path.is_dir() and any(map(Path.is_file, path.iterdir()))
    ]
    if not full:
        return None
    return (
        f"no file in {root} under {', '.join(_relative(full, root))} has a name of the "
        f"list, such as {name}"
    )


def _relative(paths: Iterable[Path], root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in paths]
