"""A data set laid out as DESED 2019, made of other sounds.

DESED's recordings come from YouTube and vanish. Its lists remain: rebuilt from them with
the sounds of a bank, a set has the real task's statistics, its short dishes, its long
frying, its crowded speech, and everything that reads DESED reads it. What is measured on
it is no DESED figure.

::

    DIR/metadata/train/{synthetic,weak,unlabel_in_domain}.tsv   validation/validation.tsv
    DIR/audio/train/{synthetic,weak,unlabel_in_domain}/*.wav    validation/*.wav
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile

from streamsed.events import Event
from streamsed.progress import track
from train.annotations.desed_layout import SUFFIXES
from train.annotations.event_lists import (
    read_strong,
    write_names,
    write_strong,
    write_weak,
)
from train.config.mixing import EVALUATION_MIXING
from train.mixing.mixer import Layout, Mixer
from train.mixing.soundbank import Soundbank

SYNTHETIC, WEAK, UNLABELLED, VALIDATION = (
    "train/synthetic",
    "train/weak",
    "train/unlabel_in_domain",
    "validation",
)
"""Subsets, as the folders of their audio are called."""
LISTS = {SYNTHETIC: SYNTHETIC, WEAK: WEAK, UNLABELLED: UNLABELLED}
LISTS[VALIDATION] = "validation/validation"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many clips of each subset; the defaults are DESED 2019's, unlabelled reduced."""

    synthetic: int = 2045
    weak: int = 1578
    unlabelled: int = 3000
    validation: int = 1168


def imitate(
    folder: Path,
    training: Soundbank,
    validation: Soundbank,
    *,
    sizes: Sizes,
    lists: Path | None = None,
    seed: int = 0,
    n_processes: int = 1,
) -> Path:
    """Write a data set in DESED's layout.

    Parameters
    ----------
    folder : Path
        Created if it does not exist.
    training, validation : Soundbank
        Sounds of the three training subsets, and others of the validation subset.
    sizes : Sizes
        How many clips at most; a rebuilt list may be shorter.
    lists : Path, optional
        Folder with DESED's `train/synthetic.tsv` and `validation/validation.tsv` (or the
        same as .csv), whose clips are rebuilt. Weak and unlabelled clips, which real
        recordings are in DESED, are like those of the validation list, of which only the
        statistics reach them. Without lists, soundscapes are drawn freely.
    seed : int
        Equal seeds write equal sets.
    n_processes : int
        How many mix; the set does not depend on it.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ValueError
        A list is not there, or damaged.
    """
    strong = _layouts(lists, "train/synthetic")
    real = _layouts(lists, "validation/validation")
    subsets = [
        (SYNTHETIC, training, strong, sizes.synthetic),
        (WEAK, training, real, sizes.weak),
        (UNLABELLED, training, real, sizes.unlabelled),
        (VALIDATION, validation, real, sizes.validation),
    ]
    for index, (subset, bank, layouts, n) in enumerate(subsets):
        in_order = subset in (SYNTHETIC, VALIDATION)
        audio = folder / "audio" / subset
        audio.mkdir(parents=True, exist_ok=True)
        clips = _Clips(bank, layouts, (seed, index), audio, in_order=in_order)
        if in_order and layouts:
            n = min(n, len(layouts))
        with _working(clips, n_processes, n) as drawn:
            mixed = track(drawn, f"mixing {subset}", total=n, unit="clips")
            events = {_name(i): each for i, each in enumerate(mixed)}
        if subset == WEAK:  # a weak clip has a label
            events = {name: each for name, each in events.items() if each}
        _write_list(folder, subset, events)
    return folder


def _layouts(lists: Path | None, name: str) -> list[Layout]:
    """Read the clips of a list, under either of its suffixes."""
    if lists is None:
        return []
    paths = [lists / f"{name}{suffix}" for suffix in SUFFIXES]
    path = next((each for each in paths if each.is_file()), None)
    if path is None:
        raise ValueError(
            f"--lists {lists}: no {name}{' or '.join(SUFFIXES)} in it; name DESED's folder "
            "`metadata`, or one with these lists"
        )
    return list(read_strong(path).values())


class _Clips:
    """Clips of one subset: one like each clip of a list, like any of them, or free.

    Clip `i` is always the same, whichever process draws it.
    """

    def __init__(
        self,
        bank: Soundbank,
        layouts: Sequence[Layout],
        seed: Sequence[int],
        audio: Path,
        *,
        in_order: bool,
    ) -> None:
        self.mixer = Mixer(
            bank, replace(EVALUATION_MIXING, layout=1.0), [] if in_order else layouts
        )
        self.rebuilt = layouts if in_order else []
        self.seed, self.audio = seed, audio

    def write(self, index: int) -> list[Event]:
        """Write a clip unless it is a weak one without a label; return its events."""
        rng = np.random.default_rng([*self.seed, index])
        if self.rebuilt:
            soundscape = self.mixer.rebuild(self.rebuilt[index], rng)
        else:
            soundscape = self.mixer.mix(rng)
        if soundscape.events or not self.audio.match(WEAK):
            path = self.audio / _name(index)
            soundfile.write(path, soundscape.samples, 44100, "PCM_16")
        return soundscape.events


_clips: _Clips
"""What a process works at; set where it starts."""


def _begin(clips: _Clips) -> None:
    global _clips
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who began this process ends it
    _clips = clips


def _write_one(index: int) -> list[Event]:
    return _clips.write(index)


@contextmanager
def _working(
    clips: _Clips, n_processes: int, n: int
) -> Iterator[Iterator[list[Event]]]:
    """Write `n` clips, here or in forked processes, which share the bank's memory."""
    if n_processes == 1:
        yield map(clips.write, range(n))
        return
    context = get_context("fork")
    with ProcessPoolExecutor(n_processes, context, _begin, (clips,)) as pool:
        yield pool.map(_write_one, range(n), chunksize=8)


def _name(index: int) -> str:
    return f"{index:05d}.wav"


def _write_list(folder: Path, subset: str, events: dict[str, list[Event]]) -> None:
    tsv = folder / "metadata" / f"{LISTS[subset]}.tsv"
    tsv.parent.mkdir(parents=True, exist_ok=True)
    if subset == WEAK:
        tags = {
            name: sorted({event.label for event in each})
            for name, each in events.items()
        }
        write_weak(tsv, tags)
    elif subset == UNLABELLED:
        write_names(tsv, events)
    else:
        write_strong(tsv, events)
