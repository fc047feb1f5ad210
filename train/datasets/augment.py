"""Variations of a whole mixture that keep its labels true.

`recolour` changes log-mel frames as another microphone or room would: in decibels a
filter is a sum. `train.mixing.variants` changes single recordings.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def recolour(frames: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Filter a whole mixture in place, as another microphone or room would.

    Parameters
    ----------
    frames : float32 (n_frames, n_mels)
        Log-mel frames in dB, changed in place.
    rng : numpy Generator
        Source of chance.
    """
    n_mels = frames.shape[1]
    bands = np.linspace(0.0, 1.0, n_mels, dtype=np.float32)
    knots = rng.uniform(-5.0, 5.0, 6)
    gain = np.interp(bands, np.linspace(0.0, 1.0, 6), knots)
    if rng.random() < 0.25:
        cutoff = rng.uniform(0.45, 1.0)
        gain -= np.clip((bands - cutoff) * 400.0, 0.0, 60.0)
    frames += gain.astype(np.float32)


def drop_bands(segment: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Silence up to an eighth of the mel bands of a normalised segment, in place."""
    n_mels = segment.shape[1]
    width = int(rng.integers(0, n_mels // 8 + 1))
    first = int(rng.integers(0, n_mels - width + 1))
    segment[:, first : first + width] = 0.0
