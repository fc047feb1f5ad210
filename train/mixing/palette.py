"""What soundscapes are made of: clips and their variants, beds, distractors.

A palette draws from a bank by chance. Everything follows from the random generator handed
in and the `generation`: each generation has its own variants of every clip, of which the
newest are kept, so that making them costs little and there is always something new.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from train.config.mixing import MixingConfig
from train.mixing.signals import at_level, chords, coloured_noise, faded, loop
from train.mixing.soundbank import Clip, Samples, Soundbank, active_regions
from train.mixing.variants import vary

CUT_FADE = 0.005
"""Seconds of the fades at the ends of a sound that was cut to a length."""
NOISE_BED = 0.2
"""Probability that a bed is noise instead of a recording."""


class Palette:
    """Draw sounds from a bank.

    Parameters
    ----------
    bank : Soundbank
        Where they come from.
    rules : MixingConfig
        How many variants there are.
    """

    def __init__(self, bank: Soundbank, rules: MixingConfig) -> None:
        self.bank = bank
        self.rules = rules
        self._variants: dict[tuple[int, int], Clip] = {}
        self._generation = 0

    def clip(self, rng: np.random.Generator, label: str, generation: int = 0) -> Clip:
        """Draw a clip of a label, or one of the generation's variants of it."""
        return self._variant(rng, self.bank.foreground[label], generation)

    def background(self, rng: np.random.Generator, generation: int = 0) -> Samples:
        """Draw a background, every kind as likely, or a variant of one."""
        kinds = sorted(self.bank.background)
        clips = self.bank.background[kinds[rng.integers(len(kinds))]]
        return self._variant(rng, clips, generation).samples

    def _variant(
        self, rng: np.random.Generator, clips: Sequence[Clip], generation: int
    ) -> Clip:
        clip = clips[int(rng.integers(len(clips)))]
        variant = int(rng.integers(self.rules.n_variants + 1))
        if variant == 0:
            return clip
        if generation != self._generation:
            self._generation = generation
            self._variants.clear()
        key = (id(clip), variant)
        if key not in self._variants:
            # Seeded by content: the same variant whatever was drawn before it.
            content = int(np.abs(clip.samples).sum() * 1e3)
            seed = [generation, variant, clip.samples.size, content]
            samples = vary(
                clip.samples, np.random.default_rng(seed), self.bank.sample_rate
            )
            regions = active_regions(samples, self.bank.sample_rate)
            self._variants[key] = Clip(samples, regions or clip.regions)
        return self._variants[key]

    def cut(self, rng: np.random.Generator, clip: Clip, length: int) -> Samples:
        """Cut what sounds in a clip to `length` samples, or loop it; fade the ends."""
        sound = clip.active
        rate = self.bank.sample_rate
        if sound.size >= length:
            starts = [first for first in clip.onsets if first + length <= sound.size]
            if not starts or rng.random() < 0.5:
                starts = [int(rng.integers(sound.size - length + 1))]
            first = starts[rng.integers(len(starts))]
            piece = sound[first : first + length]
        else:
            piece = loop(sound, length, rng, sample_rate=rate)
        return faded(piece, round(CUT_FADE * rate))

    def loop(self, rng: np.random.Generator, samples: Samples, length: int) -> Samples:
        """Repeat a recording to `length` samples, from a random place."""
        return loop(samples, length, rng, sample_rate=self.bank.sample_rate)

    def bed(
        self, rng: np.random.Generator, length: int, generation: int = 0
    ) -> Samples:
        """Make a bed of RMS 1: a background, two at once, or noise."""
        if not self.bank.background or rng.random() < NOISE_BED:
            return coloured_noise(length, rng)
        bed = np.zeros(length, np.float32)
        for _ in range(1 + int(rng.random() < 0.2)):
            bed += at_level(
                self.loop(rng, self.background(rng, generation), length), 1.0
            )
        return at_level(bed, 1.0)

    def distractor(
        self, rng: np.random.Generator, longest: int, generation: int = 0
    ) -> Samples | None:
        """Make a stretch of sound without a label, of RMS 1: a background, or chords."""
        rate = self.bank.sample_rate
        if rng.random() < self.rules.tonal:
            length = min(int(rng.uniform(0.5, 12.0) * rate), longest)
            return at_level(chords(length, rng, sample_rate=rate), 1.0)
        if not self.bank.background:
            return None
        background = self.background(rng, generation)
        length = min(int(rng.uniform(0.3, 6.0) * rate), longest, background.size)
        first = int(rng.integers(background.size - length + 1))
        return at_level(faded(background[first : first + length], rate // 100), 1.0)
