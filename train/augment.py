"""Variations that keep a label true: what a sound might have been, recorded elsewhere.

Sounds of one label often come from one source and share its bandwidth: a model that
learns "no energy above 8 kHz means cat" is worthless. So every label is heard through
low-passes, tilted equalisers and at other speeds. Two places:

* `vary` changes one recording (speed, low-pass, tilt). It costs milliseconds, so a mixer
  keeps a few variants of each clip instead of making one for each mixture.
* `recolour` changes the log-mel frames of a whole mixture, as another microphone or room
  would: in decibels a filter is a sum.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float32]


def vary(samples: Samples, rng: np.random.Generator, sample_rate: int) -> Samples:
    """Return a recording at another speed and through another filter.

    Parameters
    ----------
    samples : float32 (n_samples,)
        One recording.
    rng : numpy Generator
        Source of chance; the same state gives the same variant.
    sample_rate : int
        Hz.

    Returns
    -------
    float32 (n_varied,)
        Between 0.87 and 1.15 times as fast; in one case of three low-passed between 3
        and 14 kHz; tilted by up to 4 dB an octave, at most 12 dB.
    """
    speed = float(np.exp(rng.uniform(np.log(0.87), np.log(1.15))))
    varied = soxr.resample(samples, sample_rate * speed, sample_rate, quality="MQ")
    # A power of two avoids slow transforms; the zeros also keep the filter from wrapping.
    n_fft = 1 << (varied.size + 1024).bit_length()
    spectrum = np.fft.rfft(varied, n_fft)
    frequencies = np.fft.rfftfreq(n_fft, 1 / sample_rate).astype(np.float32)
    octaves = np.log2(np.maximum(frequencies, 20.0) / 1000.0)
    gain = np.clip(rng.uniform(-4.0, 4.0) * octaves, -12.0, 12.0)
    if rng.random() < 0.35:
        cutoff = float(np.exp(rng.uniform(np.log(3000.0), np.log(14000.0))))
        gain -= np.clip(
            60.0 * np.log2(np.maximum(frequencies, 1.0) / cutoff), 0.0, 90.0
        )
    spectrum *= 10.0 ** (gain / 20.0)
    return cast(
        Samples, np.fft.irfft(spectrum, n_fft)[: varied.size].astype(np.float32)
    )


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
