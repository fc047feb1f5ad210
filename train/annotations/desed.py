"""DESED 2019 on disk: its lists and the clips that are available.

Their paths are defined in `train.annotations.desed_layout`. Most clips come from YouTube,
where some disappear every year, so missing clips are counted and the others are used.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamsed.events import Event
from train.annotations.desed_layout import (
    LAYOUT,
    Place,
    describe_search,
    describe_strangers,
    find_root,
    nearest,
    place_of,
    root_below,
)
from train.annotations.desed_version import name_list
from train.annotations.event_lists import read_names, read_strong, read_weak

Truth = list[Event] | tuple[str, ...] | None
"""Annotation of one clip: its events (strong), its labels (weak) or None."""

HOW_TO_GET = """\
There is no DESED 2019 in {folder}: it should contain {lists}
(or the same as .csv, or all of it in {folder}/dataset).
The nearest that exists is {nearest}.

To get it (about 25 GB on disk, four hours or more; Python up to 3.13):

  apt install ffmpeg sox libsox-dev
  python -m venv desed && desed/bin/pip install desed
  desed/bin/python -c 'import desed; desed.download_real("{folder}")'

This fetches the lists, the weak, unlabelled and validation clips (from YouTube, by yt-dlp;
what fails is in missing_files/: run it again) and the public evaluation set (from Zenodo).
The synthetic clips (1.8 GB) are at https://doi.org/10.5281/zenodo.2583796: unpack them so
that {folder}/metadata/train/synthetic.tsv and {folder}/audio/train/synthetic/*.wav are
there. Then `python -m train data check {folder}` says what is there and what is missing.

Without DESED, `python -m train --demo` shows everything on generated soundscapes.
"""
"""Instructions without data; `folder`, `lists` and `nearest` are to be filled in."""


class NoDesedError(FileNotFoundError):
    """There is no list of DESED; the message says how to get it, in several lines."""

    def __init__(self, folder: Path) -> None:
        lists = [path for path, _ in LAYOUT.values()]
        super().__init__(
            HOW_TO_GET.format(
                folder=folder,
                lists=", ".join(lists),
                nearest=root_below(folder) or nearest(folder / lists[0]),
            )
        )


@dataclass(frozen=True, slots=True)
class Subset:
    """The clips of one list.

    Parameters
    ----------
    name : str
        One of `LAYOUT`.
    truth : dict of str to Truth
        All listed clips with their annotations, in the order of the list.
    paths : dict of str to Path
        The clips that exist.
    version : str or None
        Name of the list if it is one of `KNOWN_LISTS`.
    searched : tuple of Path
        Folders that were searched for the clips.
    """

    name: str
    truth: Mapping[str, Truth]
    paths: Mapping[str, Path]
    version: str | None = None
    searched: tuple[Path, ...] = ()

    @property
    def missing(self) -> list[str]:
        """Listed clips that do not exist."""
        return [name for name in self.truth if name not in self.paths]

    @property
    def fingerprint(self) -> str:
        """A hash of the list, the existing clips and their sizes, to identify the data."""
        rows = (
            f"{name}\t{truth}\t{self._size(name)}\n"
            for name, truth in self.truth.items()
        )
        text = "".join(rows).encode("utf-8", "surrogateescape")
        return hashlib.sha256(text).hexdigest()[:16]

    def _size(self, name: str) -> int | None:
        return self.paths[name].stat().st_size if name in self.paths else None

    def count_labels(self, names: Sequence[str] | None = None) -> Counter[str]:
        """Count the events (or weak labels) of each label, in some clips or in all."""
        counts: Counter[str] = Counter()
        for name in self.truth if names is None else names:
            for each in self.truth[name] or ():
                counts[each.label if isinstance(each, Event) else each] += 1
        return counts


@dataclass(frozen=True, slots=True)
class Desed:
    """DESED 2019, or the part of it that is available.

    Parameters
    ----------
    folder : Path
        The folder that contains `metadata` and `audio`.
    subsets : dict of str to Subset
        Subsets with a list, in the order of `LAYOUT`.
    """

    folder: Path
    subsets: Mapping[str, Subset]

    @classmethod
    def load(cls, folder: Path) -> Desed:
        """Read the lists and find the clips, without decoding them.

        Parameters
        ----------
        folder : Path
            The folder that contains `metadata` and `audio`, or whose `dataset` does.

        Raises
        ------
        NoDesedError
            There is no list at all.
        ValueError
            It is a file, or a list is damaged; see `train.annotations.event_lists`.
        """
        if folder.is_file():
            raise ValueError(
                f"{folder}: a file; name the folder that holds `metadata` and `audio`"
            )
        root = find_root(folder)
        places = {name: place_of(root, name) for name in LAYOUT}
        subsets = {
            name: _load_subset(name, place.list_file, place)
            for name, place in places.items()
            if place.list_file is not None
        }
        if not subsets:
            raise NoDesedError(folder)
        return cls(root, subsets)

    def explain_absence(self, name: str) -> str | None:
        """Return why there are no clips of a subset, as a clause; None if there are."""
        if name not in self.subsets:
            lists = place_of(self.folder, name).lists
            return f"no list: {describe_search(lists, self.folder)}"
        subset = self.subsets[name]
        if subset.paths:
            return None
        if not subset.truth:
            return f"no clips: {place_of(self.folder, name).list_file} names none"
        first = next(iter(subset.truth))
        return "no clips: " + (
            describe_strangers(subset.searched, self.folder, first)
            or describe_search(subset.searched, self.folder)
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label that a list names, in alphabetical order."""
        counts = (subset.count_labels() for subset in self.subsets.values())
        return tuple(sorted({label for each in counts for label in each}))


def _load_subset(name: str, path: Path, place: Place) -> Subset:
    """Read one list and find its clips."""
    truth: dict[str, Truth]
    if name == "weak":
        truth = dict(read_weak(path))
    elif name == "unlabel_in_domain":
        truth = dict.fromkeys(read_names(path))
    else:
        truth = dict(read_strong(path))
    there: dict[str, Path] = {}
    for audio in place.audio:
        if audio.is_dir():  # list the folder once, not once for each of 14 412 clips
            there = {each.name: each for each in audio.iterdir()} | there
    paths = {clip: there[clip] for clip in truth if clip in there}
    # A link may lead to a disk that is not there.
    paths = {clip: path for clip, path in paths.items() if path.is_file()}
    return Subset(name, truth, paths, name_list(truth), place.audio)
