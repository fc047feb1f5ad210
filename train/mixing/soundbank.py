"""Soundbank: isolated sounds by label, and backgrounds, held in memory for mixing.

::

    DIR/foreground/<Label>/*     one sound per file; the folders are the labels
    DIR/background/**            beds and distractors, grouped by folder
    DIR/manifest.csv             optional; its columns `path` and `split` choose files,
                                 `source_repo` and `source_recording_id` say who
                                 recorded them, and which are parts of one recording

A file of the bank may hold one sound several times, a dog that barks thrice, so its
*active regions* are found from its energy and each becomes an event of its own.
"""

from __future__ import annotations

import functools
import itertools
import zlib
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamsed.audio.decode import file_chunks
from train.annotations.tsv import read_rows

SUFFIXES = (".flac", ".wav", ".ogg", ".mp3", ".aif", ".aiff")

Samples = NDArray[np.float32]
Region = tuple[int, int]
"""Start and end of a stretch of audio, in samples."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording.

    Parameters
    ----------
    samples : float32 (n_samples,)
        Mono.
    regions : tuple of (int, int)
        Samples in which there is sound.
    source, recording : str
        Who recorded it, and of which recording it is a part, where a manifest says so.
    """

    samples: Samples
    regions: tuple[Region, ...]
    source: str = ""
    recording: str = ""

    @property
    def active(self) -> Samples:
        """The samples of all regions, joined."""
        if len(self.regions) == 1:
            start, end = self.regions[0]
            return self.samples[start:end]
        return np.concatenate([self.samples[start:end] for start, end in self.regions])

    @property
    def onsets(self) -> tuple[int, ...]:
        """Where in `active` each region begins."""
        lengths = [end - start for start, end in self.regions]
        return tuple(itertools.accumulate(lengths[:-1], initial=0))


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

    def halves(self) -> tuple[Soundbank, Soundbank]:
        """Part the recordings in two such that parts of one recording stay together."""

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
            Laid out as the module says.
        split : str or None
            Keep only the files that `manifest.csv` gives this split; None keeps all.
        sample_rate : int
            Hz.
        leave_out : collection of str
            Paths within the bank that are not read; see `read_leave_out`.

        Raises
        ------
        ValueError
            The folder has no bank in it, no manifest although a split is asked for, or
            nothing in that split; or a file is damaged (see `streamsed.audio.decode`).
        """
        if not (folder / "foreground").is_dir():
            raise ValueError(
                f"soundbank={folder} must be a folder that holds foreground/<Label>/"
            )
        chosen = None if split is None else _split_paths(folder, split)
        if leave_out:
            chosen = (_all_paths(folder) if chosen is None else chosen) - set(leave_out)
        sources = _sources(folder)
        foreground = _read_tree(folder, "foreground", chosen, sources, sample_rate)
        background = _read_tree(folder, "background", chosen, sources, sample_rate)
        if not foreground:
            part = "" if split is None else f" in split={split}"
            raise ValueError(
                f"soundbank={folder} must contain sounds that are not silent{part}: "
                f"foreground/<Label>/* ({', '.join(SUFFIXES)})"
            )
        return cls(foreground, background, sample_rate)


def active_regions(samples: Samples, sample_rate: int) -> tuple[Region, ...]:
    """Find the parts of a recording with sound, by its energy.

    A stretch is active where its level, over 20 ms, is within 30 dB of the recording's
    loudest; gaps shorter than 0.3 s (syllables, strokes) are bridged.

    Parameters
    ----------
    samples : float32 (n_samples,)
        One recording; its ends are taken as they are if nothing is quieter.
    sample_rate : int
        Hz.

    Returns
    -------
    tuple of (start, end)
        Samples; empty for digital silence.
    """
    hop = sample_rate // 100
    n_hops = -(-samples.size // hop)
    padded = np.zeros(n_hops * hop, np.float32)
    padded[: samples.size] = samples
    power = (padded.reshape(n_hops, hop) ** 2).mean(axis=1)
    power = np.maximum(power, np.append(power[1:], 0.0))
    active = np.flatnonzero(power > max(power.max(initial=0.0) * 1e-3, 1e-12))
    if active.size == 0:
        return ()
    breaks = np.flatnonzero(np.diff(active) > 30)
    firsts = np.append(active[0], active[breaks + 1])
    lasts = np.append(active[breaks], active[-1])
    return tuple(
        (int(first) * hop, min(int(last + 1) * hop, samples.size))
        for first, last in zip(firsts, lasts, strict=True)
    )


def _joined(
    one: dict[str, tuple[Clip, ...]], other: dict[str, tuple[Clip, ...]]
) -> dict[str, tuple[Clip, ...]]:
    return {k: one.get(k, ()) + other.get(k, ()) for k in sorted({*one, *other})}


def _all_paths(folder: Path) -> set[str]:
    """List every file of a bank, as a manifest names them."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def read_leave_out(path: Path) -> set[str]:
    """Read which recordings of banks are not to be used.

    Parameters
    ----------
    path : Path
        CSV with the columns `path` and `decision`; "drop", "noncommercial" and "contains:
        LABEL" leave a recording out, whatever else stands there keeps it.

    Raises
    ------
    OSError
        It cannot be read.
    ValueError
        It is missing or has no such columns.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    return {
        row["path"]
        for row in read_rows(path, ("path", "decision"))
        if row["decision"].partition(":")[0] in ("drop", "noncommercial", "contains")
    }


def _split_paths(folder: Path, split: str) -> set[str]:
    """Read the paths of one split from the manifest."""
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        raise ValueError(f"split={split} must be None without {manifest}")
    rows = list(read_rows(manifest, ("path", "split")))
    splits = sorted({row["split"] for row in rows})
    if split not in splits:
        raise ValueError(f"split={split} must be one of {', '.join(splits)}")
    return {row["path"] for row in rows if row["split"] == split}


def _sources(folder: Path) -> dict[str, tuple[str, str]]:
    """Read who recorded what, and the recording's name, from a manifest, if it says so."""
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        return {}
    return {
        row["path"]: (row["source_repo"], row["source_recording_id"] or row["path"])
        for row in read_rows(manifest, ("path",))
    }


def _read_tree(
    folder: Path,
    part: str,
    chosen: set[str] | None,
    sources: dict[str, tuple[str, str]],
    sample_rate: int,
) -> dict[str, tuple[Clip, ...]]:
    """Read all chosen files below `folder/part`, grouped by the name of their folder."""
    paths = [
        path
        for path in sorted((folder / part).rglob("*"))
        if path.suffix.lower() in SUFFIXES
        and (chosen is None or path.relative_to(folder).as_posix() in chosen)
    ]
    for name in sorted({path.parent.name for path in paths}):
        if not name.isprintable():
            raise ValueError(
                f"{part}/{name!r} must be the name of a folder that can be printed: it "
                "becomes a label"
            )
    groups: dict[str, list[Clip]] = {}
    with ThreadPoolExecutor() as pool:  # decoders work without the interpreter's lock
        recordings = pool.map(lambda path: _read_samples(path, sample_rate), paths)
        for path, samples in zip(paths, recordings, strict=True):
            regions = active_regions(samples, sample_rate)
            if regions:
                name = path.relative_to(folder).as_posix()
                clip = Clip(samples, regions, *sources.get(name, ("", name)))
                groups.setdefault(path.parent.name, []).append(clip)
    return {name: tuple(clips) for name, clips in groups.items()}


def _read_samples(path: Path, sample_rate: int) -> Samples:
    """Read one file as mono float32 at `sample_rate`."""
    return np.concatenate(list(file_chunks(path, sample_rate=sample_rate)))


def load_banks(
    folders: Sequence[Path],
    *,
    split: str | None = None,
    sample_rate: int = 44100,
    leave_out: Collection[str] = (),
) -> Soundbank:
    """Read banks and join them; see `Soundbank.load` for the arguments and errors."""
    banks = [
        Soundbank.load(each, split=split, sample_rate=sample_rate, leave_out=leave_out)
        for each in folders
    ]
    return functools.reduce(Soundbank.joined, banks)
