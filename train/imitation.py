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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from train.annotations import read_strong, write_names, write_strong, write_weak
from train.rules import PLAIN
from train.soundbank import Soundbank
from train.soundscapes import Layout, Mixer, Soundscape

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
) -> Path:
    """Write a data set in DESED's layout.

    Parameters
    ----------
    folder : Path
        Created if it is not there.
    training, validation : Soundbank
        Sounds of the three training subsets, and others of the validation subset.
    sizes : Sizes
        How many clips at most; a rebuilt list may be shorter.
    lists : Path, optional
        Folder with DESED's `train/synthetic.tsv` and `validation/validation.tsv`, whose
        clips are built anew. Weak and unlabelled clips, which real recordings are in
        DESED, are like those of the validation list, of which only the statistics reach
        them. Without lists, soundscapes are drawn freely.
    seed : int
        Equal seeds write equal sets.

    Returns
    -------
    Path
        The folder.
    """
    strong = _layouts(lists, "train/synthetic.tsv")
    real = _layouts(lists, "validation/validation.tsv")
    subsets = [
        (SYNTHETIC, training, strong, sizes.synthetic),
        (WEAK, training, real, sizes.weak),
        (UNLABELLED, training, real, sizes.unlabelled),
        (VALIDATION, validation, real, sizes.validation),
    ]
    for index, (subset, bank, layouts, n) in enumerate(subsets):
        in_order = subset in (SYNTHETIC, VALIDATION)
        drawn = _draw(bank, layouts, n, seed=[seed, index], in_order=in_order)
        _write_subset(folder, subset, drawn)
    return folder


def _layouts(lists: Path | None, name: str) -> list[Layout]:
    return [] if lists is None else list(read_strong(lists / name).values())


def _draw(
    bank: Soundbank,
    layouts: Sequence[Layout],
    n: int,
    *,
    seed: Sequence[int],
    in_order: bool,
) -> Iterator[Soundscape]:
    """Draw soundscapes: one like each clip of a list, like any of them, or freely."""
    mixer = Mixer(bank, replace(PLAIN, layout=1.0), [] if in_order else layouts)
    for index in range(min(n, len(layouts)) if in_order and layouts else n):
        rng = np.random.default_rng([*seed, index])
        if in_order and layouts:
            yield mixer.rebuild(layouts[index], rng)
        else:
            yield mixer.mix(rng)


def _write_subset(folder: Path, subset: str, soundscapes: Iterator[Soundscape]) -> None:
    audio = folder / "audio" / subset
    audio.mkdir(parents=True, exist_ok=True)
    events = {}
    for index, soundscape in enumerate(soundscapes):
        name = f"{index:05d}.wav"
        soundfile.write(audio / name, soundscape.samples, 44100, "PCM_16")
        events[name] = soundscape.events
    tsv = folder / "metadata" / f"{LISTS[subset]}.tsv"
    tsv.parent.mkdir(parents=True, exist_ok=True)
    if subset == WEAK:
        tags = {
            name: sorted({event.label for event in each})
            for name, each in events.items()
            if each
        }
        write_weak(tsv, tags)
    elif subset == UNLABELLED:
        write_names(tsv, events)
    else:
        write_strong(tsv, events)
