"""One recording in memory, and where in it there is sound."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
        Its recorder, and the recording that it is part of, if the manifest has them.
    digest : str
        SHA-256 of its file, in hexadecimal digits; empty if it is not from a file.
    """

    samples: Samples
    regions: tuple[Region, ...]
    source: str = ""
    recording: str = ""
    digest: str = ""

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
