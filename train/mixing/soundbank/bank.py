"""A bank of recordings by label, read from disk, joined and halved."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamsed.terminal import counted
from train.mixing.soundbank.clip import Clip
from train.mixing.soundbank.files import (
    BACKGROUND,
    FOREGROUND,
    SUFFIXES,
    SplitError,
    chosen_paths,
    read_sources,
    read_tree,
)


@dataclass(frozen=True, slots=True)
class Soundbank:
    """Every sound that mixing may draw from.

    Parameters
    ----------
    foreground : dict
        Clips by label; at least one each.
    background : dict
        Clips by kind, the name of their folder.
    sample_rate : int
        Hz, of all clips.
    """

    foreground: dict[str, tuple[Clip, ...]]
    background: dict[str, tuple[Clip, ...]]
    sample_rate: int

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels in alphabetical order."""
        return tuple(sorted(self.foreground))

    @property
    def n_clips(self) -> int:
        """Clips in the foreground."""
        return sum(len(clips) for clips in self.foreground.values())

    def joined(self, other: Soundbank) -> Soundbank:
        """Return this bank and another as one, label by label and kind by kind.

        Raises
        ------
        ValueError
            Their sample rates differ.
        """
        if other.sample_rate != self.sample_rate:
            raise ValueError(
                f"sample_rate={other.sample_rate} must be that of the other bank, "
                f"{self.sample_rate}"
            )
        return Soundbank(
            _joined(self.foreground, other.foreground),
            _joined(self.background, other.background),
            self.sample_rate,
        )

    def refuse_other_labels(self, labels: Sequence[str]) -> None:
        """Raise a ValueError if this bank has a label that a network does not score.

        Parameters
        ----------
        labels : sequence of str
            What it scores.
        """
        others = sorted(set(self.labels) - set(labels))
        if others:
            raise ValueError(
                f"--soundbank: its label {others[0]!r} is not one that the network scores: "
                f"{', '.join(labels)}"
            )

    def require_labels(self, labels: Collection[str]) -> None:
        """Raise a ValueError if this bank has no sounds of a label of lists."""
        unknown = sorted(set(labels) - set(self.foreground))
        if unknown:
            raise ValueError(
                f"--blueprint: the bank has no sounds of the label {unknown[0]!r}; its labels "
                f"are {', '.join(self.labels)}"
            )

    def halves(self) -> tuple[Soundbank, Soundbank]:
        """Part the recordings in two such that parts of one recording stay together.

        Which half a recording falls into follows from its name alone.

        Raises
        ------
        ValueError
            All recordings of the labels fall into one half.
        """

        def half(
            groups: dict[str, tuple[Clip, ...]], side: int
        ) -> dict[str, tuple[Clip, ...]]:
            chosen = {
                name: tuple(
                    clip
                    for clip in clips
                    if zlib.crc32(f"{clip.source}{clip.recording}".encode()) % 2 == side
                )
                for name, clips in groups.items()
            }
            return {name: clips for name, clips in chosen.items() if clips}

        first, second = (
            Soundbank(
                half(self.foreground, side),
                half(self.background, side),
                self.sample_rate,
            )
            for side in (0, 1)
        )
        if not (first.foreground and second.foreground):
            raise ValueError(
                f"--soundbank: its {counted(self.n_clips, 'sound')} with a label cannot be "
                "parted in two halves (parts of one recording stay together); add recordings"
            )
        return first, second

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        split: str | None = None,
        sample_rate: int = 44100,
        leave_out: Collection[str] = (),
    ) -> Soundbank:
        """Read a bank from disk, resampled to `sample_rate` and mixed down to mono.

        Parameters
        ----------
        folder : Path
            Laid out as `train.mixing.soundbank` says.
        split : str or None
            Keep only the files that `manifest.csv` gives this split; None keeps all.
        sample_rate : int
            Hz.
        leave_out : collection of str
            Paths within the bank that are not read; see `read_leave_out`.

        Raises
        ------
        SplitError
            There is no manifest although a split is asked for, or nothing in that split.
        ValueError
            The folder has no bank in it; or a file is damaged (see
            `streamsed.audio.decode`).
        """
        if not (folder / FOREGROUND).is_dir():
            raise ValueError(
                f"{folder}: not a bank of sounds; a bank has folders foreground/<Label>/"
            )
        chosen = chosen_paths(folder, split, leave_out)
        sources = read_sources(folder)
        foreground = read_tree(folder, FOREGROUND, chosen, sources, sample_rate)
        background = read_tree(folder, BACKGROUND, chosen, sources, sample_rate)
        if not foreground:
            part = "" if split is None else f"split {split} of "
            kind = ValueError if split is None else SplitError
            raise kind(
                f"{folder}: no sounds, or only silent ones, in "
                f"{part}foreground/<Label>/ "
                f"({', '.join(SUFFIXES)})"
            )
        return cls(foreground, background, sample_rate)


def load_banks(
    splits: Mapping[Path, str | None],
    *,
    sample_rate: int = 44100,
    leave_out: Mapping[Path, Collection[str]] | None = None,
) -> Soundbank:
    """Read banks and join them; see `Soundbank.load` for the errors.

    Parameters
    ----------
    splits : mapping of Path to str or None
        Split of each bank, at least one; None for all files. See `known_splits`.
    sample_rate : int
        Hz.
    leave_out : mapping of Path to collection of str, optional
        By bank, the paths within it that are not read; see `read_leave_out`.
    """
    banks = [
        Soundbank.load(
            folder,
            split=split,
            sample_rate=sample_rate,
            leave_out=(leave_out or {}).get(folder, ()),
        )
        for folder, split in splits.items()
    ]
    return functools.reduce(Soundbank.joined, banks)


def _joined(
    one: dict[str, tuple[Clip, ...]], other: dict[str, tuple[Clip, ...]]
) -> dict[str, tuple[Clip, ...]]:
    return {k: one.get(k, ()) + other.get(k, ()) for k in sorted({*one, *other})}
