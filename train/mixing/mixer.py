"""Soundscapes: ten-second mixtures whose events are known exactly.

A soundscape is a bed (background recordings, looped, or digital silence), events laid
over it and sometimes unlabelled distractors. The procedure is that of DESED's synthetic
set: one or more events, each 6 to 30 dB above the bed; events of one label less than
150 ms apart are one event; none is shorter than 250 ms. Long sounds (a vacuum cleaner)
usually fill seconds, looped with crossfades; short ones (a bark) come once or repeat.

::

    bed         ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~      0 dB
    event             |=====|         |==|  |==|                   6 .. 30 dB
    event       =========================|                         6 .. 30 dB
    distractor                  ######                             0 .. 20 dB, no label

Everything follows from the random generator handed in: equal seeds, equal soundscapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from streamsed.events import Event
from train.config.mixing import EVALUATION_MIXING, MixingConfig
from train.mixing.palette import Palette, amplitude
from train.mixing.signals import (
    add_at,
    clip_peaks,
    keep_inside,
    merge_regions,
    to_sixteen_bits,
)
from train.mixing.soundbank import Region, Samples, Soundbank

Placed = tuple[str, Region]
"""A label and the samples in which it is audible."""
Layout = Sequence[Event]
"""The events of one clip of a list, by label: the layout of a soundscape."""

MIN_GAP = 0.15
"""Seconds; events of one label closer than this are one event (DESED)."""
MIN_EVENT = 0.25
"""Seconds; no event is shorter (DESED)."""
MIN_AUDIBLE = 0.05
"""Seconds; less of a sound than this, at an end of the mixture, is no event."""
MAX_DISTRACTORS = 3


@dataclass(frozen=True, slots=True)
class Soundscape:
    """One mixture: `samples`, float32 mono, and its `events`, sorted, with score 1."""

    samples: Samples
    events: list[Event]


class Mixer:
    """Draw soundscapes from a bank.

    Parameters
    ----------
    bank : Soundbank
        Sounds to mix; the labels of its foreground are the labels of the events.
    config : MixingConfig
        Settings of mixing.
    layouts : sequence of Layout
        Clips of a list; some soundscapes are built like one of them.

    Examples
    --------
    >>> mixer = Mixer(Soundbank.load(Path("bank")))  # doctest: +SKIP
    >>> mixer.mix(np.random.default_rng(0)).samples.shape  # doctest: +SKIP
    (441000,)
    """

    def __init__(
        self,
        bank: Soundbank,
        config: MixingConfig | None = None,
        layouts: Sequence[Layout] = (),
    ) -> None:
        self.bank = bank
        self.config = config or MixingConfig()
        self.layouts = layouts
        self.palette = Palette(bank, self.config)
        self.n_samples = round(self.config.duration * bank.sample_rate)

    def mix(self, rng: np.random.Generator, generation: int = 0) -> Soundscape:
        """Draw one soundscape of `config.duration` seconds.

        Parameters
        ----------
        rng : numpy Generator
            Random number generator.
        generation : int
            Of the clips' variants, see `train.mixing.palette`.
        """
        if self.layouts and rng.random() < self.config.layout:
            layout = self.layouts[int(rng.integers(len(self.layouts)))]
            return self.rebuild(layout, rng, generation)
        config = self.config
        chance = rng.random()
        isolated = chance < config.isolated
        empty = not isolated and chance < config.isolated + config.empty
        mixture = np.zeros(self.n_samples, np.float32)
        audible = mixture
        if not isolated and rng.random() < config.short:
            audible = mixture[: int(rng.uniform(0.2, 1.0) * self.n_samples)]
        if not isolated and not (empty and rng.random() < 0.05):  # or digital silence
            audible += self.palette.bed(rng, audible.size, generation)
        placed: list[Placed] = []
        n_sounds = 0 if empty else min(1 + rng.poisson(0.9), config.max_events)
        for _ in range(n_sounds):
            placed += self._add_sound(rng, audible, generation, isolated=isolated)
        if not isolated:
            self._add_distractors(rng, audible, generation)
        self._finish(rng, mixture)
        return Soundscape(mixture, self.to_events(placed, audible.size))

    def rebuild(
        self, layout: Layout, rng: np.random.Generator, generation: int = 0
    ) -> Soundscape:
        """Build a soundscape with the events of a clip of a list, of other sounds.

        Every event gets a sound of its label, cut or looped to its length. Half of the
        events of one label in one clip are of one recording, as one dog barks on.

        Parameters
        ----------
        layout : Layout
            Events; those beyond `config.duration` are left out.
        rng, generation
            As for `mix`.

        Raises
        ------
        ValueError
            The bank has no sounds of a label.
        """
        rate, end = self.bank.sample_rate, self.n_samples
        labels = sorted({event.label for event in layout})
        self.bank.require_labels(labels)
        mixture = self.palette.bed(rng, end, generation)
        placed: list[Placed] = []
        for label in labels:
            regions = [
                (round(event.onset * rate), min(round(event.offset * rate), end))
                for event in layout
                if event.label == label
            ]
            regions = [(first, last) for first, last in regions if first < last]
            lengths = [last - first for first, last in regions]
            stems = self.palette.stems(rng, label, lengths, generation)
            for (first, last), stem in zip(regions, stems, strict=True):
                add_at(mixture, stem.samples, first)
                placed.append((label, (first, last)))
        self._add_distractors(rng, mixture, generation)
        self._finish(rng, mixture)
        events = [
            Event.from_samples(label, first, last, score=1.0, sample_rate=rate)
            for label in sorted({label for label, _ in placed})
            for first, last in merge_regions(
                [region for name, region in placed if name == label], 0, 1
            )
        ]
        return Soundscape(mixture, sorted(events))

    def to_events(self, placed: list[Placed], n_samples: int) -> list[Event]:
        """Apply DESED's two rules to the placed sounds of a soundscape, and sort."""
        rate = self.bank.sample_rate
        shortest = round(MIN_EVENT * rate)
        events: list[Event] = []
        for label in sorted({label for label, _ in placed}):
            regions: list[Region] = []
            for start, end in (region for name, region in placed if name == label):
                first, last = max(start, 0), min(end, n_samples)
                if last - first >= min(MIN_AUDIBLE * rate, end - start):
                    regions.append((first, last))
            for region in merge_regions(regions, round(MIN_GAP * rate), shortest):
                first, last = keep_inside(region, n_samples, shortest)
                events.append(
                    Event.from_samples(label, first, last, score=1.0, sample_rate=rate)
                )
        return sorted(events)

    def _add_sound(
        self,
        rng: np.random.Generator,
        audible: Samples,
        generation: int,
        *,
        isolated: bool,
    ) -> list[Placed]:
        """Add one sound as often as it comes; return where it is active."""
        rate = self.bank.sample_rate
        label, stem = self.palette.stem(rng, generation)
        if isolated:
            latest = rng.choice([0.0, 1.0, 6.0])
            start = int(rng.uniform(0.0, latest) * rate)
        else:
            start = _draw_start(rng, stem.samples.size, audible.size)
        placed: list[Placed] = []
        for _ in range(stem.n_repeats):
            add_at(audible, stem.samples, start)
            placed += [(label, (start + a, start + b)) for a, b in stem.regions]
            start += stem.samples.size + int(rng.exponential(0.8) * rate)
        return placed

    def _add_distractors(
        self, rng: np.random.Generator, audible: Samples, generation: int
    ) -> None:
        """Add stretches of unlabelled sound at the level of an event, or none."""
        for _ in range(MAX_DISTRACTORS):
            if rng.random() >= self.config.distractor:
                return
            stem = self.palette.distractor(rng, audible.size, generation)
            if stem is None:
                return
            latest = audible.size - stem.samples.size
            add_at(audible, stem.samples, int(rng.integers(latest + 1)))

    def _finish(self, rng: np.random.Generator, mixture: Samples) -> None:
        """Set the level of a mixture, at times clip its peaks, often round to 16 bits."""
        peak = max(float(mixture.max()), -float(mixture.min()), 1e-9)
        mixture *= np.float32(amplitude(rng, self.config.gain) / peak)
        if rng.random() < self.config.clipped:
            clip_peaks(mixture, rng)
        if rng.random() < 0.5:
            to_sixteen_bits(mixture)


def _draw_start(rng: np.random.Generator, length: int, n_samples: int) -> int:
    """Choose where a sound starts: mostly it lies inside, at times an end cuts it."""
    if length >= n_samples or rng.random() < 0.15:
        return int(rng.integers(-(length // 2), max(n_samples - length // 2, 1)))
    return int(rng.integers(0, n_samples - length))


def isolated_soundscapes(bank: Soundbank) -> Iterator[Soundscape]:
    """Yield every foreground clip once, alone and padded to 10 s with digital silence.

    Of a longer clip the beginning is taken, or the 10 s from its first sound if that comes
    later.
    """
    mixer = Mixer(bank, EVALUATION_MIXING)
    for label in bank.labels:
        for clip in bank.foreground[label]:
            for start in (0, -clip.regions[0][0]):
                placed = [(label, (start + a, start + b)) for a, b in clip.regions]
                events = mixer.to_events(placed, mixer.n_samples)
                if events:
                    break
            samples = np.zeros(mixer.n_samples, np.float32)
            add_at(samples, clip.samples, start)
            yield Soundscape(samples, events)
