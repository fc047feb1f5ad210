"""What soundscapes are made of: stems of labels, beds and distractors.

A palette draws from a bank at random and returns stems: sounds that are cut or looped,
at their level over a bed of RMS 1, and know where they are active. Who mixes them only
places and sums. Everything follows from the random generator handed
in and the `generation`: each generation has its own variants of every clip, of which the
newest are kept, so that making them costs little and there is always something new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from train.config.mixing import MixingConfig
from train.mixing.signals import at_level, chords, coloured_noise, faded, loop, rms
from train.mixing.soundbank import Clip, Region, Samples, Soundbank, active_regions
from train.mixing.variants import vary

CUT_FADE = 0.005
"""Seconds of the fades at the ends of a sound that was cut to a length."""
NOISE_BED = 0.2
"""Probability that a bed is noise instead of a recording."""
DISTRACTOR_LEVEL = (0.0, 20.0)
"""dB over the bed."""
LONG_LABEL = 3.0
"""Seconds; a label whose median clip is longer than this is a long sound."""


@dataclass(frozen=True, slots=True)
class Stem:
    """A sound that is ready to be placed over a bed of RMS 1.

    Parameters
    ----------
    samples : float32 (n_samples,)
        At their level.
    regions : tuple of Region
        Where they are active; none without a label.
    n_repeats : int
        How often the sound comes, after pauses.
    """

    samples: Samples
    regions: tuple[Region, ...] = ()
    n_repeats: int = 1


class Palette:
    """Draw sounds from a bank.

    Parameters
    ----------
    bank : Soundbank
        Bank of sounds.
    config : MixingConfig
        How many variants there are, and the levels.
    """

    def __init__(self, bank: Soundbank, config: MixingConfig) -> None:
        self.bank = bank
        self.config = config
        self.long_labels = {
            label
            for label, clips in bank.foreground.items()
            if np.median([clip.samples.size for clip in clips])
            > LONG_LABEL * bank.sample_rate
        }
        self._variants: dict[tuple[int, int], Clip] = {}
        self._generation = 0

    def clip(self, rng: np.random.Generator, label: str, generation: int = 0) -> Clip:
        """Draw a clip of a label, or one of the generation's variants of it."""
        return self._variant(rng, self.bank.foreground[label], generation)

    def stem(self, rng: np.random.Generator, generation: int = 0) -> tuple[str, Stem]:
        """Draw a sound of any label: a long one looped at times, a short one repeated."""
        rate = self.bank.sample_rate
        label = self.bank.labels[rng.integers(len(self.bank.labels))]
        clip = self.clip(rng, label, generation)
        n_repeats = 1
        if label not in self.long_labels:
            n_repeats = int(rng.integers(2, 5)) if rng.random() < 0.35 else 1
        elif rng.random() < 0.6:
            length = int(rng.uniform(2.0, 12.0) * rate)
            clip = Clip(self.loop(rng, clip.samples, length), ((0, length),))
        level = amplitude(rng, self.config.event_to_background)
        samples = clip.samples * np.float32(level / max(rms(clip.active), 1e-9))
        return label, Stem(samples, clip.regions, n_repeats)

    def stems(
        self,
        rng: np.random.Generator,
        label: str,
        lengths: Sequence[int],
        generation: int = 0,
    ) -> list[Stem]:
        """Draw sounds of one label, cut or looped to these lengths in samples.

        They are at about one level, and half of them of one recording, as one dog barks on.
        """
        levels = self.config.event_to_background
        level = rng.uniform(*levels)
        usual = self.clip(rng, label, generation)
        stems = []
        for length in lengths:
            again = rng.random() < 0.5
            clip = usual if again else self.clip(rng, label, generation)
            sound = self.cut(rng, clip, length)
            own = float(np.clip(level + rng.uniform(-3.0, 3.0), *levels))
            stems.append(Stem(_at_decibels(sound, own), ((0, length),)))
        return stems

    def background(self, rng: np.random.Generator, generation: int = 0) -> Samples:
        """Draw a background, every kind as likely, or a variant of one."""
        kinds = sorted(self.bank.background)
        clips = self.bank.background[kinds[rng.integers(len(kinds))]]
        return self._variant(rng, clips, generation).samples

    def _variant(
        self, rng: np.random.Generator, clips: Sequence[Clip], generation: int
    ) -> Clip:
        clip = clips[int(rng.integers(len(clips)))]
        variant = int(rng.integers(self.config.n_variants + 1))
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
        """Cut the sound in a clip to `length` samples, or loop it; fade the ends."""
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
    ) -> Stem | None:
        """Make a stretch of sound without a label, a background or chords, if it can."""
        rate = self.bank.sample_rate
        if rng.random() < self.config.tonal:
            length = min(int(rng.uniform(0.5, 12.0) * rate), longest)
            sound = at_level(chords(length, rng, sample_rate=rate), 1.0)
        elif self.bank.background:
            background = self.background(rng, generation)
            length = min(int(rng.uniform(0.3, 6.0) * rate), longest, background.size)
            first = int(rng.integers(background.size - length + 1))
            sound = faded(background[first : first + length], rate // 100)
            sound = at_level(sound, 1.0)
        else:
            return None
        return Stem(_at_decibels(sound, rng.uniform(*DISTRACTOR_LEVEL)))


def amplitude(rng: np.random.Generator, decibels: tuple[float, float]) -> float:
    """Draw from a range of levels in dB, as a factor."""
    return float(10.0 ** (rng.uniform(*decibels) / 20.0))


def _at_decibels(samples: Samples, decibels: float) -> Samples:
    """Scale to a level over a bed of RMS 1."""
    return at_level(samples, 10.0 ** (decibels / 20.0))
