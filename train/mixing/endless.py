"""Sounds that last longer than their recordings, without a loop, and backgrounds of them.

A loop repeats every few seconds, and a network learns or misses the repetition. Here a
recording is played on in *grains*: pieces of random length from random places of it, each
a little louder or softer, faster or slower, crossfaded at equal power::

    recording   [......................]
    grains      [=========]                 from anywhere in the recording
                      [=============]
                                [========]
    crossfades         ~~        ~~

This only suits steady sounds, a fan or a frying pan: see `is_steady`. A `Backdrop` plays
one after the other, crossfaded, with a level that wanders.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import soxr

from streamsed.events import Event
from train.mixing.palette import NOISE_BED
from train.mixing.signals import add_at, at_level, coloured_noise
from train.mixing.soundbank import Clip, Samples, Soundbank

CROSSFADE = 0.5
"""Seconds at most of the crossfade between two grains."""
GRAIN_SPEED = 0.03
"""Grains are up to this much faster or slower."""
GRAIN_LEVEL = 1.0
"""dB that grains are louder or softer."""
SHORTEST_STEADY = 2.5
"""Seconds that a steady recording lasts at least."""
STEADY_RANGE = 8.0
"""dB between the levels of its loud and its soft moments."""
STEADY_SHARE = 0.95
"""Share of its duration with sound."""
STRETCH = (30.0, 90.0)
"""Seconds until a background changes."""
CHANGE = (2.0, 5.0)
"""Seconds that the change takes."""
WANDERING = 2.5
"""dB, deviation of a background's level."""


def is_steady(clip: Clip, sample_rate: int) -> bool:
    """Return whether a recording is of one even sound, so that it may be played on.

    It lasts 2.5 s, sounds for 95 % of them, and 90 % of its levels over quarters of a
    second lie within 8 dB.
    """
    if clip.samples.size < SHORTEST_STEADY * sample_rate:
        return False
    if clip.active.size < STEADY_SHARE * clip.samples.size:
        return False
    sound = clip.active
    block = sample_rate // 4
    blocks = sound[: sound.size // block * block].reshape(-1, block)
    levels = 10.0 * np.log10((blocks.astype(np.float64) ** 2).mean(axis=1) + 1e-12)
    low, high = np.quantile(levels, [0.05, 0.95])
    return bool(high - low <= STEADY_RANGE)


def extend(
    recordings: Sequence[Samples],
    length: int,
    rng: np.random.Generator,
    *,
    sample_rate: int,
) -> Samples:
    """Play steady recordings on for `length` samples, without a loop.

    Parameters
    ----------
    recordings : sequence of float32 (n_samples,)
        Of one sound; each grain is of one of them.
    length : int
        Samples.
    rng : numpy Generator
        Source of chance.
    sample_rate : int
        Hz.

    Returns
    -------
    float32 (length,)
        Of RMS about 1.
    """
    result = np.zeros(length, np.float32)
    shortest = min(recording.size for recording in recordings)
    fade = min(round(CROSSFADE * sample_rate), shortest // 8)
    # Roots, so that the power of two unrelated sounds stays the same throughout.
    ramp = np.sqrt(np.linspace(0.0, 1.0, fade, endpoint=False, dtype=np.float32))
    start = 0
    while start < length:
        grain = _grain(recordings[int(rng.integers(len(recordings)))], rng, sample_rate)
        if start:
            grain[:fade] *= ramp
        grain[grain.size - fade :] *= ramp[::-1]
        add_at(result, grain, start)
        start += grain.size - fade
    return result


def _grain(recording: Samples, rng: np.random.Generator, sample_rate: int) -> Samples:
    """Cut a piece of at least half a recording, at about its own level and speed."""
    size = int(rng.uniform(0.5, 1.0) * recording.size)
    first = int(rng.integers(recording.size - size + 1))
    speed = 1.0 + rng.uniform(-GRAIN_SPEED, GRAIN_SPEED)
    level = 10.0 ** (rng.uniform(-GRAIN_LEVEL, GRAIN_LEVEL) / 20.0)
    piece = at_level(recording, level)[first : first + size]
    grain: Samples = soxr.resample(piece, sample_rate * speed, sample_rate, "LQ")
    return np.array(grain, np.float32)


def wandering(
    length: int, rng: np.random.Generator, *, sample_rate: int, deviation: float
) -> Samples:
    """Make a gain that wanders, as a level in a room does: a factor for each sample.

    Parameters
    ----------
    length : int
        Samples.
    rng : numpy Generator
        Source of chance.
    sample_rate : int
        Hz.
    deviation : float
        dB, of the levels that it passes every ten seconds or so.
    """
    n_knots = 2 + length // (5 * sample_rate)
    places = np.cumsum(rng.uniform(5.0, 15.0, n_knots)) * sample_rate
    levels = np.clip(rng.normal(0.0, deviation, n_knots), -2 * deviation, 2 * deviation)
    decibels = np.interp(np.arange(length), places, levels).astype(np.float32)
    return np.float32(10.0) ** (decibels / np.float32(20.0))


class Backdrop:
    """Generate long, changing backgrounds from the steady recordings of a bank.

    Parameters
    ----------
    bank : Soundbank
        Without steady backgrounds, everything is noise.
    """

    def __init__(self, bank: Soundbank) -> None:
        self.sample_rate = bank.sample_rate
        self.beds: dict[str, list[Samples]] = {}
        for kind, clips in sorted(bank.background.items()):
            for clip in clips:
                if is_steady(clip, bank.sample_rate):
                    self.beds.setdefault(kind, []).append(clip.active)

    def draw(
        self, rng: np.random.Generator, length: int
    ) -> tuple[Samples, list[Event]]:
        """Draw a background.

        Parameters
        ----------
        rng : numpy Generator
            Source of chance.
        length : int
            Samples.

        Returns
        -------
        samples : float32 (length,)
            Of RMS about 1. Every kind comes once before one comes again, and one in five
            stretches is noise.
        beds : list of Event
            The stretches, under the names of their kinds.
        """
        rate = self.sample_rate
        mixture = np.zeros(length, np.float32)
        beds: list[Event] = []
        start, fade_in = 0, 0
        kinds: list[str] = []
        while start < length:
            if not kinds:
                names = sorted(self.beds)
                kinds = [names[index] for index in rng.permutation(len(names))]
            noise = not kinds or rng.random() < NOISE_BED
            kind = "noise" if noise else kinds.pop()
            sources = [coloured_noise(1 << 17, rng)] if noise else self.beds[kind]
            size = round(rng.uniform(*STRETCH) * rate)
            fade_out = round(rng.uniform(*CHANGE) * rate)
            piece = extend(sources, size + fade_out, rng, sample_rate=rate)
            _fade(piece, fade_in, fade_out)
            add_at(mixture, piece, start)
            end = min(start + size, length)
            beds.append(
                Event.from_samples(kind, start, end, score=1.0, sample_rate=rate)
            )
            start, fade_in = start + size, fade_out
        mixture *= wandering(length, rng, sample_rate=rate, deviation=WANDERING)
        return mixture, beds


def _fade(samples: Samples, fade_in: int, fade_out: int) -> None:
    """Fade both ends in place, at equal power."""
    samples[:fade_in] *= np.sqrt(np.linspace(0.0, 1.0, fade_in, dtype=np.float32))
    tail = samples[samples.size - fade_out :]
    tail *= np.sqrt(np.linspace(1.0, 0.0, fade_out, dtype=np.float32))
