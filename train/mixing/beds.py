r"""Beds: what sounds behind the events of a scene, from its first sample to its last.

::

    noise, or a steady recording     ~~~~~~~~~~~~\/~~~~~~~~~~~~~~~~~~~~~~~
                                                crossfade

A bed has an RMS of 1: levels of events are over the bed. Beds are steady recordings only: a
short sound, looped, is no background.
"""

from __future__ import annotations

import itertools

import numpy as np

from train.config.scenes import SceneConfig
from train.mixing.mixer import Placed
from train.mixing.signals import add_at, at_level, coloured_noise, faded, stretch
from train.mixing.soundbank import Clip, Samples, Soundbank
from train.mixing.variants import Variants

STEADY = 2.0
"""Seconds that a recording must sound without a pause to be a bed."""
CROSSFADE = 1.5
"""Seconds in which one bed gives way to the next."""


class Beds:
    """Draw backgrounds from a bank.

    Parameters
    ----------
    bank : Soundbank
        Its background; the recordings that last are beds.
    config : SceneConfig
        How often a bed is noise, and how often it is silence.
    variants : Variants
        What draws a recording or a variant of it.
    """

    def __init__(
        self, bank: Soundbank, config: SceneConfig, variants: Variants
    ) -> None:
        self._config, self._variants = config, variants
        self._rate = bank.sample_rate
        self._steady = [
            (kind, clip)
            for kind in sorted(bank.background)
            for clip in bank.background[kind]
            if _longest(clip) >= STEADY * bank.sample_rate
        ]

    def lay(self, rng: np.random.Generator, mixture: Samples) -> list[Placed]:
        """Add backgrounds that give way to one another.

        Parameters
        ----------
        rng : numpy Generator
            Source of chance.
        mixture : float32 (n_samples,)
            Changed in place.

        Returns
        -------
        list of Placed
            Recordings laid, by kind; noise is none.
        """
        fade = round(CROSSFADE * self._rate)
        placed: list[Placed] = []
        n_beds = 1 + min(int(rng.poisson(0.6)), 3)
        cuts = np.sort(rng.integers(0, mixture.size, n_beds - 1))
        edges = [0, *(int(cut) for cut in cuts), mixture.size]
        for first, last in itertools.pairwise(edges):
            if n_beds > 1 and rng.random() < self._config.silent:
                continue
            start, end = max(first - fade, 0), min(last + fade, mixture.size)
            bed, kinds = self._draw(rng, end - start)
            placed += [(kind, (start, end)) for kind in kinds]
            level = 10.0 ** (rng.uniform(-6.0, 6.0) / 20.0) if n_beds > 1 else 1.0
            add_at(mixture, faded(bed, fade) * np.float32(level), start)
        return placed

    def _draw(self, rng: np.random.Generator, length: int) -> tuple[Samples, list[str]]:
        """Make a bed of RMS 1, noise, a steady recording, or two; return its kinds."""
        if not self._steady or rng.random() < self._config.noise:
            return coloured_noise(length, rng), []
        bed, kinds = np.zeros(length, np.float32), []
        for _ in range(1 + int(rng.random() < 0.2)):
            kind, clip = self._steady[int(rng.integers(len(self._steady)))]
            samples = self._variants.draw(rng, clip).active
            samples = stretch(samples, length, rng, sample_rate=self._rate)
            bed += at_level(samples, 1.0)
            kinds.append(kind)
        return at_level(bed, 1.0), kinds


def _longest(clip: Clip) -> int:
    """Return the samples of the longest part with sound without a pause."""
    return max(end - start for start, end in clip.regions)
