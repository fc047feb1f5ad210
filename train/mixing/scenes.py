r"""Scenes: most of a minute of one room, from which training cuts its segments.

A detector that listens does not meet ten-second clips. Its segment begins and ends anywhere,
within an event as well as between two; the background changes; loud and quiet sounds follow
each other; a vacuum cleaner fills the segment and beyond. So a scene is laid out along time::

    beds         ~~~~~~~~~~~~~~~~~~~~~\\/~~~~~~~~~~~~~~~~~~~~~~~~~~~\\/~~~~~~~~~~~~~~
    events          |==|   |========|        |=|        |================|    |==|
    other sounds              ####      ##                     ######
    segments     [----------------]   [----------------]   [----------------]   ...

`train.mixing.beds` lays the beds. Every other sound of the bank appears as loud as the events
do, because a detector must distinguish a laugh from a bark, not only a bark from a fan; what
it is, is known too, and can be learnt (`Scene.others`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsed.events import Event
from train.config.scenes import SceneConfig
from train.mixing.beds import Beds
from train.mixing.mixer import Layout, Mixer, Placed
from train.mixing.signals import (
    add_at,
    at_level,
    chords,
    clip_peaks,
    faded,
    stretch,
    to_sixteen_bits,
)
from train.mixing.soundbank import Clip, Samples, Soundbank
from train.mixing.variants import Variants

LIST_CLIP = 10.0
"""Seconds of a clip of a list."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene.

    Parameters
    ----------
    samples : float32 (n_samples,)
        Mono.
    events : list of Event
        The labels, sorted.
    others : list of Event
        Other kinds of sounds, including backgrounds, named by their folders; sorted.
    """

    samples: Samples
    events: list[Event]
    others: list[Event]


class SceneMixer:
    """Draw scenes from a bank.

    Parameters
    ----------
    bank : Soundbank
        What to mix; the labels of its foreground are the labels of the events.
    config : SceneConfig
        How.
    layouts : sequence of Layout
        Clips of lists; some scenes are rows of them.

    Raises
    ------
    ValueError
        The bank has no sounds of a label of the lists.
    """

    def __init__(
        self, bank: Soundbank, config: SceneConfig, layouts: Sequence[Layout] = ()
    ) -> None:
        bank.require_labels({event.label for each in layouts for event in each})
        self.bank, self.config, self.layouts = bank, config, layouts
        self.kinds = tuple(sorted(bank.background))
        self._plain = Mixer(bank)
        self._variants = Variants(config, bank.sample_rate)
        self._chances = {
            label: source_chances(clips) for label, clips in bank.foreground.items()
        }
        self._n_samples = round(config.duration * bank.sample_rate)
        self._beds = Beds(bank, config, self._variants)

    def mix(self, rng: np.random.Generator) -> Scene:
        """Draw one scene of `config.duration` seconds."""
        draft = _Draft(np.zeros(self._n_samples, np.float32))
        config = self.config
        modes: list[tuple[float, Callable[[np.random.Generator, _Draft], None]]] = [
            (config.empty, self._fill_without_events),
            (config.listed * bool(self.layouts), self._fill_from_lists),
            (config.steady, self._fill_with_a_lasting_sound),
            (1.0, self._fill),
        ]
        if rng.random() >= config.silent:
            draft.others += self._beds.lay(rng, draft.samples)
        chance = rng.random()
        for probability, fill in modes:
            chance -= probability
            if chance < 0:
                fill(rng, draft)
                break
        self._finish(rng, draft.samples)
        return Scene(
            draft.samples,
            self._plain.to_events(draft.events, self._n_samples),
            self._plain.to_events(draft.others, self._n_samples),
        )

    def _fill(self, rng: np.random.Generator, draft: _Draft) -> None:
        """Place sounds one after another, with pauses, sometimes overlapping."""
        rate, config = self.bank.sample_rate, self.config
        position = int(rng.uniform(0.0, config.pause[1]) * rate)
        while position < self._n_samples:
            if rng.random() < config.distractor:
                end = self._add_other(rng, draft, position)
            else:
                end = self._add_event(rng, draft, position)
            if rng.random() < config.overlap:
                position += int(rng.uniform(0.1, 1.0) * (end - position))
            else:
                position = end + int(rng.uniform(*config.pause) * rate)

    def _fill_without_events(self, rng: np.random.Generator, draft: _Draft) -> None:
        """Lay other sounds only, or none."""
        rate = self.bank.sample_rate
        position = 0
        if rng.random() < 0.2:
            return
        while position < self._n_samples:
            end = self._add_other(rng, draft, position)
            position = end + int(rng.uniform(*self.config.pause) * rate)

    def _fill_from_lists(self, rng: np.random.Generator, draft: _Draft) -> None:
        """Lay the events of clips of a list one after another, and some other sounds."""
        rate = self.bank.sample_rate
        for first in range(0, self._n_samples, round(LIST_CLIP * rate)):
            layout = self.layouts[int(rng.integers(len(self.layouts)))]
            usual: dict[str, tuple[Clip, float]] = {}
            for event in layout:
                if event.label not in usual or rng.random() < 0.5:
                    usual[event.label] = (
                        self._clip(rng, event.label),
                        self._level(rng),
                    )
                clip, level = usual[event.label]
                length = round(event.duration * rate)
                if length <= 0:
                    continue
                piece = self._plain.palette.cut(rng, clip, length)
                start = first + round(event.onset * rate)
                add_at(draft.samples, at_level(piece, level), start)
                draft.events.append((event.label, (start, start + length)))
            if rng.random() < self.config.distractor:
                self._add_other(rng, draft, first + int(rng.integers(10 * rate)))

    def _fill_with_a_lasting_sound(
        self, rng: np.random.Generator, draft: _Draft
    ) -> None:
        """Let one label sound for most of the scene, and others over it."""
        labels = sorted(self._plain.palette.long_labels) or self.bank.labels
        label = labels[int(rng.integers(len(labels)))]
        length = int(rng.uniform(0.4, 1.2) * self._n_samples)
        start = int(rng.integers(-length // 3, self._n_samples // 2))
        self._add_long(rng, draft, label, start, length)
        if rng.random() < 0.5:
            self._fill(rng, draft)

    def _add_event(self, rng: np.random.Generator, draft: _Draft, start: int) -> int:
        """Add one sound of a label, long or perhaps repeated; return where it ends."""
        rate = self.bank.sample_rate
        label = self.bank.labels[int(rng.integers(len(self.bank.labels)))]
        if label in self._plain.palette.long_labels and rng.random() < 0.6:
            length = int(rng.uniform(1.5, 12.0) * rate)
            return self._add_long(rng, draft, label, start, length)
        clip, level = self._clip(rng, label), self._level(rng)
        short = label not in self._plain.palette.long_labels and rng.random() < 0.3
        for _ in range(int(rng.integers(2, 5)) if short else 1):
            add_at(draft.samples, _scaled(clip, level), start)
            draft.events += [(label, (start + a, start + b)) for a, b in clip.regions]
            end = start + clip.samples.size
            start = end + int(rng.exponential(0.8) * rate)
        return end

    def _add_long(
        self,
        rng: np.random.Generator,
        draft: _Draft,
        label: str,
        start: int,
        length: int,
    ) -> int:
        active = self._clip(rng, label).active
        rate = self.bank.sample_rate
        sound = faded(stretch(active, length, rng, sample_rate=rate), rate // 50)
        if rng.random() < 0.3:  # it swells or fades, as an appliance carried about
            first, last = np.log(10.0) / 20.0 * rng.uniform(-9.0, 0.0, 2)
            sound *= np.exp(np.linspace(first, last, length, dtype=np.float32))
        add_at(draft.samples, at_level(sound, self._level(rng)), start)
        draft.events.append((label, (start, start + length)))
        return start + length

    def _add_other(self, rng: np.random.Generator, draft: _Draft, start: int) -> int:
        """Add a sound that is none of the labels; return where it ends."""
        rate = self.bank.sample_rate
        level = self._level(rng)
        if not self.kinds or rng.random() < self.config.tonal:
            length = int(rng.uniform(0.3, 8.0) * rate)
            sound = at_level(chords(length, rng, sample_rate=rate), level)
            add_at(draft.samples, sound, start)
            return start + length
        kind = self.kinds[int(rng.integers(len(self.kinds)))]
        clips = self.bank.background[kind]
        clip = self._variants.draw(rng, clips[int(rng.integers(len(clips)))])
        add_at(draft.samples, _scaled(clip, level), start)
        draft.others += [(kind, (start + a, start + b)) for a, b in clip.regions]
        return start + clip.samples.size

    def _clip(self, rng: np.random.Generator, label: str) -> Clip:
        clips = self.bank.foreground[label]
        index = int(rng.choice(len(clips), p=self._chances[label]))
        return self._variants.draw(rng, clips[index])

    def _level(self, rng: np.random.Generator) -> float:
        """Draw a level over the bed, as an amplitude."""
        return float(10.0 ** (rng.uniform(*self.config.level) / 20.0))

    def _finish(self, rng: np.random.Generator, mixture: Samples) -> None:
        """Set the level of a scene, at times clip its peaks, often round to 16 bits."""
        peak = max(float(mixture.max()), -float(mixture.min()), 1e-9)
        mixture *= np.float32(10.0 ** (rng.uniform(*self.config.gain) / 20.0) / peak)
        if rng.random() < self.config.clipped:
            clip_peaks(mixture, rng)
        if rng.random() < 0.5:
            to_sixteen_bits(mixture)


@dataclass(slots=True)
class _Draft:
    """A scene that is being made."""

    samples: Samples
    events: list[Placed]
    others: list[Placed]

    def __init__(self, samples: Samples) -> None:
        self.samples, self.events, self.others = samples, [], []


def source_chances(clips: Sequence[Clip]) -> NDArray[np.float64]:
    """Return how likely each clip is drawn: a source counts by the root of its clips.

    Large sources would otherwise be most of what a label sounds like, and each has its own
    rooms, devices and codecs.

    Examples
    --------
    >>> clips = [Clip(np.ones(1, np.float32), ((0, 1),), source) for source in "aaaab"]
    >>> source_chances(clips).round(3).tolist()
    [0.167, 0.167, 0.167, 0.167, 0.333]
    """
    sizes = Counter(clip.source for clip in clips)
    weights = np.array([sizes[clip.source] ** -0.5 for clip in clips], np.float64)
    chances: NDArray[np.float64] = weights / weights.sum()
    return chances


def _scaled(clip: Clip, level: float) -> Samples:
    """Scale a clip such that its sound has an RMS of `level`."""
    return clip.samples * np.float32(
        level / max(float(np.sqrt(np.mean(clip.active**2))), 1e-9)
    )
