"""A synthetic sound bank, to try out training without recordings.

Five distinguishable kinds of sounds, three short and two long, each of
them varied: enough to see that everything works, no use for anything else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from train.mixing.signals import at_level, coloured_noise, faded
from train.mixing.soundbank import Samples

RATE = 44100
SPLITS = ("train", "train", "train", "validation", "heldout")
"""Of successive recordings, over and over: 60, 20 and 20 %."""


def beeping(rng: np.random.Generator) -> Samples:
    """Make two to six equal beeps."""
    length = int(rng.uniform(0.08, 0.2) * RATE)
    tone = np.sin(2 * np.pi * rng.uniform(700, 3000) * np.arange(length) / RATE)
    beep = np.concatenate([np.sign(tone) if rng.random() < 0.5 else tone, 0 * tone])
    return np.tile(beep, int(rng.integers(2, 7))).astype(np.float32)


def chirping(rng: np.random.Generator) -> Samples:
    """Make one to five upward sweeps."""
    length = int(rng.uniform(0.1, 0.25) * RATE)
    frequency = np.linspace(rng.uniform(1500, 3000), rng.uniform(4000, 9000), length)
    sweep = np.sin(2 * np.pi * np.cumsum(frequency) / RATE) * np.hanning(length)
    return np.tile(sweep, int(rng.integers(1, 6))).astype(np.float32)


def knocking(rng: np.random.Generator) -> Samples:
    """Make two to five bursts of noise that die away."""
    length = int(rng.uniform(0.12, 0.3) * RATE)
    burst = rng.standard_normal(length) * np.exp(-np.arange(length) / (0.02 * RATE))
    return np.tile(burst, int(rng.integers(2, 6))).astype(np.float32)


def humming(rng: np.random.Generator) -> Samples:
    """Make seconds of a low note with many harmonics."""
    time = np.arange(int(rng.uniform(3.0, 6.0) * RATE)) / RATE
    pitch = rng.uniform(60, 200)
    notes = [np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 20)]
    hum: Samples = np.sum(notes, axis=0).astype(np.float32)
    return hum


def hissing(rng: np.random.Generator) -> Samples:
    """Make seconds of high noise."""
    noise = rng.standard_normal(int(rng.uniform(3.0, 6.0) * RATE))
    for _ in range(int(rng.integers(1, 4))):
        noise = np.diff(noise, prepend=0.0)
    return noise.astype(np.float32)


KINDS: dict[str, Callable[[np.random.Generator], Samples]] = {
    "Beeping": beeping,
    "Chirping": chirping,
    "Hissing": hissing,
    "Humming": humming,
    "Knocking": knocking,
}


def write_bank(folder: Path, *, n_recordings: int = 30, seed: int = 0) -> Path:
    """Write a sound bank as `train.mixing.soundbank` reads it, with a manifest.

    Parameters
    ----------
    folder : Path
        Created if it does not exist.
    n_recordings : int
        Of each kind; a third as many backgrounds.
    seed : int
        Equal seeds write equal banks.
    """
    rng = np.random.default_rng(seed)
    rows = ["path,split"]

    def add(path: str, samples: Samples, index: int) -> None:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, at_level(samples, 0.03), RATE)  # far from clipping
        rows.append(f"{path},{SPLITS[index % len(SPLITS)]}")

    for label, make in KINDS.items():
        for index in range(n_recordings):
            sound = faded(make(rng), RATE // 200)
            add(f"foreground/{label}/{index:02d}.flac", sound, index)
    for index in range(max(n_recordings // 3, len(SPLITS))):
        noise = coloured_noise(8 * RATE, rng)
        add(f"background/noise/{index:02d}.flac", noise, index)
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder
