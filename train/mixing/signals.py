"""Arithmetic on samples that mixing needs: levels, loops, noise, fades.

Samples are float32, mono. Functions that change an array in place return nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import numpy as np

from train.mixing.soundbank import Region, Samples

FADE = 0.1
"""Seconds of the crossfade where a looped recording meets itself."""


def rms(samples: Samples) -> float:
    """Root of the mean square; 0 for no samples."""
    return float(np.sqrt(np.dot(samples, samples) / max(samples.size, 1)))


def at_level(samples: Samples, level: float) -> Samples:
    """Scale to an RMS of `level`; digital silence stays what it is."""
    return samples * np.float32(level / max(rms(samples), 1e-9))


def add_at(mixture: Samples, samples: Samples, start: int) -> None:
    """Add samples to a mixture in place from `start`, which may be negative.

    Examples
    --------
    >>> mixture = np.zeros(3, np.float32)
    >>> add_at(mixture, np.array([1, 2], np.float32), -1)
    >>> mixture.tolist()
    [2.0, 0.0, 0.0]
    """
    first, last = max(start, 0), min(start + samples.size, mixture.size)
    if first < last:
        mixture[first:last] += samples[first - start : last - start]


def loop(
    samples: Samples, length: int, rng: np.random.Generator, *, sample_rate: int
) -> Samples:
    """Repeat a recording to `length` samples with crossfades, from a random place.

    ::

        samples     [head|      body      |tail]
        one period  [tail fades out, head fades in|      body      ]   repeated
    """
    fade = min(samples.size // 4, round(FADE * sample_rate))
    period = samples.size - fade
    body = samples[:period].copy()
    ramp = np.linspace(0.0, 1.0, fade, endpoint=False, dtype=np.float32)
    # Roots, so that the power of two unrelated sounds stays the same throughout.
    body[:fade] = body[:fade] * np.sqrt(ramp) + samples[period:] * np.sqrt(1 - ramp)
    first = int(rng.integers(period))
    return cast(Samples, np.resize(np.roll(body, -first), length))


def stretch(
    samples: Samples, length: int, rng: np.random.Generator, *, sample_rate: int
) -> Samples:
    """Bring a recording to `length` samples: a random part of it, or `loop` it."""
    if samples.size > length:
        first = int(rng.integers(samples.size - length + 1))
        return samples[first : first + length]
    return loop(samples, length, rng, sample_rate=sample_rate)


def coloured_noise(length: int, rng: np.random.Generator) -> Samples:
    """Make noise of RMS 1 whose spectrum rises by up to 3 or falls by up to 9 dB an octave.

    One in four is white.
    """
    n_fft = 1 << 17
    spectrum = rng.standard_normal((n_fft // 2 + 1, 2)).view(np.complex128)[:, 0]
    spectrum /= np.maximum(np.arange(spectrum.size), 64.0) ** (
        rng.uniform(-0.5, 1.5) * (rng.random() < 0.75)
    )
    period = np.fft.irfft(spectrum).astype(np.float32)  # circular, so it has no seam
    return at_level(np.resize(period, length), 1.0)


def chords(length: int, rng: np.random.Generator, *, sample_rate: int) -> Samples:
    """Generate sustained notes, alone or as changing chords, as in music and appliances.

    A note is read from a table of one period, with harmonics that fall by 0 to 12 dB an
    octave; one in four has none. One in four is held to the end.
    """
    n_table = 4096
    phase = np.arange(n_table) / n_table
    n_harmonics = 1 if rng.random() < 0.25 else int(rng.integers(2, 12))
    slope = rng.uniform(0.0, 2.0)
    table = np.zeros(n_table)
    for harmonic in range(1, n_harmonics + 1):
        table += np.sin(2 * np.pi * harmonic * phase) / harmonic**slope
    period = table.astype(np.float32)
    result = np.zeros(length, np.float32)
    start = 0
    while start < length:
        n_note = min(int(rng.uniform(0.3, 5.0) * sample_rate), length - start)
        if rng.random() < 0.25:
            n_note = length - start
        root = np.exp(rng.uniform(np.log(60.0), np.log(6000.0)))
        notes = [0, *rng.choice([3, 4, 5, 7, 9, 12], int(rng.integers(0, 4)))]
        for semitones in notes:
            frequency = root * 2.0 ** (semitones / 12)
            position = np.arange(n_note) * (frequency / sample_rate * n_table)
            result[start : start + n_note] += period[
                position.astype(np.int64) % n_table
            ]
        start += n_note
    return faded(result, sample_rate // 50)


def clip_peaks(samples: Samples, rng: np.random.Generator) -> None:
    """Clip in place at a fifth to nine tenths of the peak, as an overdriven input does."""
    limit = float(np.abs(samples).max(initial=0.0)) * rng.uniform(0.2, 0.9)
    np.clip(samples, -limit, limit, out=samples)


def faded(samples: Samples, length: int) -> Samples:
    """Fade in and out over `length` samples each; return a copy."""
    result = samples.copy()
    ramp = np.linspace(0.0, 1.0, min(length, samples.size), dtype=np.float32)
    result[: ramp.size] *= ramp
    result[result.size - ramp.size :] *= ramp[::-1]
    return result


def to_sixteen_bits(samples: Samples) -> None:
    """Round in place to what a 16-bit file holds."""
    samples *= np.float32(32767.0)
    np.rint(samples, out=samples)
    samples /= np.float32(32767.0)


def merge_regions(
    regions: Iterable[Region], min_gap: int, min_length: int
) -> list[Region]:
    """Lengthen regions to `min_length`, then join those less than `min_gap` apart.

    Examples
    --------
    >>> merge_regions([(0, 10), (14, 15)], min_gap=5, min_length=4)
    [(0, 18)]
    """
    merged: list[Region] = []
    for start, end in sorted(regions):
        long_enough = max(end, start + min_length)
        if merged and start - merged[-1][1] < min_gap:
            merged[-1] = (merged[-1][0], max(merged[-1][1], long_enough))
        else:
            merged.append((start, long_enough))
    return merged


def keep_inside(region: Region, n_samples: int, shortest: int) -> Region:
    """Let a region end with the mixture, and begin earlier if it is then too short.

    Examples
    --------
    >>> keep_inside((95, 105), n_samples=100, shortest=10)
    (90, 100)
    >>> keep_inside((50, 55), n_samples=100, shortest=10)  # as short as it was
    (50, 55)
    """
    start, end = region
    last = min(end, n_samples)
    return max(min(start, last - min(shortest, end - start)), 0), last
