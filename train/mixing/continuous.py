"""Continuous recordings: minutes of one home, whose events are known exactly.

Ten-second soundscapes differ from live use, where a room is recorded for
hours, one sound follows another, and most sounds are none of the labels. These are the
recordings that a detector is measured on as it runs::

    background  ~~~~ rain ~~~~~~><~~~~~~ fan ~~~~~~~~~~~><~~~ traffic ~~~     0 dB
    events           |==|             |=======|     |=|            |===|     6 .. 30 dB
    others                   ####                         ###                6 .. 30 dB

The background changes every half to one and a half minutes and its level wanders; it is
made of steady recordings, played on without loops (see `train.mixing.endless`). Events follow
one another with pauses of 0 to 15 s, and in half of the pauses sounds another thing of
the house, as loud as an event. Everything follows from the random generator handed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from streamsed.events import Event
from train.config.mixing import EVALUATION_MIXING
from train.mixing.endless import Backdrop, extend, is_steady
from train.mixing.mixer import MIN_EVENT, MIN_GAP
from train.mixing.palette import CUT_FADE, Palette
from train.mixing.signals import (
    add_at,
    at_level,
    coloured_noise,
    faded,
    keep_inside,
    merge_regions,
    rms,
    to_sixteen_bits,
)
from train.mixing.soundbank import Clip, Samples, Soundbank

PAUSE = (0.0, 15.0)
"""Seconds between events."""
OTHER = 0.5
"""Probability of another sound in a pause."""
LONGEST_OTHER = 6.0
"""Seconds of it."""
FAINTEST = 1e-4
"""RMS of the softest background that levels are set against."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A long recording and its events.

    Parameters
    ----------
    samples : float32 (n_samples,)
        Mono.
    events : list of Event
        The truth, sorted.
    others : list of Event
        Other sounds, named by their kinds.
    beds : list of Event
        The background, under the names of its kinds, from change to change.
    """

    samples: Samples
    events: list[Event] = field(default_factory=list)
    others: list[Event] = field(default_factory=list)
    beds: list[Event] = field(default_factory=list)


class ContinuousMixer:
    """Draw long recordings from a bank.

    Parameters
    ----------
    bank : Soundbank
        What to mix. Its steady background recordings make the background; all of them
        are the sounds between events.
    sounds : sequence of Event
        Events of lists: each event here has the label and the length of one of them. If
        there are none, an event is a clip of the bank, every label as likely.
    even_labels : bool
        Draw every label as often, and the length from the list's events of that label.

    Raises
    ------
    ValueError
        The bank has no sounds of a label of the lists.
    """

    def __init__(
        self,
        bank: Soundbank,
        sounds: Sequence[Event] = (),
        *,
        even_labels: bool = False,
    ) -> None:
        bank.require_labels({event.label for event in sounds})
        self.bank = bank
        self.sounds = [each for each in sounds if each.duration >= 0.05]
        self.even_labels = even_labels
        self._palette = Palette(bank, EVALUATION_MIXING)
        self._backdrop = Backdrop(bank)

    def mix(self, rng: np.random.Generator, *, duration: float) -> Recording:
        """Draw a recording of so many seconds with events and other sounds."""
        mixture, beds = self._backdrop.draw(rng, self._samples(duration))
        events: list[Event] = []
        others: list[Event] = []
        start, shortest = self._draw(rng), self._samples(MIN_EVENT)
        while True:
            label, sound, regions = self._event(rng)
            if start + sound.size > mixture.size:
                break
            self._add(rng, mixture, sound, start)
            for a, b in regions:
                placed = keep_inside((start + a, start + b), mixture.size, shortest)
                events.append(self._span(label, *placed))
            start += sound.size
            pause = self._draw(rng)
            if rng.random() < OTHER:
                pause_end = min(start + pause, mixture.size)
                others += self._add_other(rng, mixture, start, pause_end)
            start += pause
        return self._finish(rng, Recording(mixture, sorted(events), others, beds))

    def quiet(self, rng: np.random.Generator, *, duration: float) -> Recording:
        """Draw a recording of so many seconds of background and nothing else."""
        mixture, beds = self._backdrop.draw(rng, self._samples(duration))
        return self._finish(rng, Recording(mixture, beds=beds))

    def other_sounds(self, rng: np.random.Generator) -> Recording:
        """Play every background recording once, 2 to 4 s apart, over faint noise.

        Its clips are in the order of their kinds' names, shuffled by `rng`.
        """
        clips = [
            (kind, clip)
            for kind, clips in sorted(self.bank.background.items())
            for clip in clips
        ]
        pieces = [self._draw(rng, (2.0, 4.0))]
        starts = []
        for index in rng.permutation(len(clips)):
            starts.append((sum(pieces), *clips[index]))
            pieces += [clips[index][1].samples.size, self._draw(rng, (2.0, 4.0))]
        mixture = self._play_on((coloured_noise(1 << 17, rng),), sum(pieces), rng)
        for start, _, clip in starts:
            self._add(rng, mixture, clip.samples, start)
        spans = [
            self._span(kind, start, start + clip.samples.size)
            for start, kind, clip in starts
        ]
        return self._finish(rng, Recording(mixture, others=spans))

    @cached_property
    def steady_clips(self) -> dict[str, list[Clip]]:
        """Steady recordings of the labels of whose recordings a third are steady."""
        steady = {
            label: [clip for clip in clips if is_steady(clip, self.bank.sample_rate)]
            for label, clips in self.bank.foreground.items()
        }
        return {
            label: steady[label]
            for label in self.bank.labels
            if 3 * len(steady[label]) >= len(self.bank.foreground[label])
        }

    def steady_sounds(
        self, rng: np.random.Generator, *, duration: float, n: int
    ) -> Iterator[Recording]:
        """Draw steady sounds of so many seconds, over a background that begins before.

        Parameters
        ----------
        rng : numpy Generator
            Source of chance.
        duration : float
            Seconds of the sound; the background goes on for 5 s at both ends.
        n : int
            At most this many of each label of `steady_clips`, of as many recordings.

        Yields
        ------
        Recording
            With one event.
        """
        rate = self.bank.sample_rate
        for label, steady in self.steady_clips.items():
            for index in sorted(rng.permutation(len(steady))[:n]):
                length, first = self._samples(duration), self._samples(5.0)
                mixture, beds = self._backdrop.draw(rng, length + 2 * first)
                sound = self._play_on((steady[index].active,), length, rng)
                self._add(rng, mixture, faded(sound, rate // 10), first)
                event = self._span(label, first, first + length)
                yield self._finish(rng, Recording(mixture, [event], beds=beds))

    def _event(
        self, rng: np.random.Generator
    ) -> tuple[str, Samples, list[tuple[int, int]]]:
        """Draw the label, the samples and the regions of one event or one clip."""
        rate = self.bank.sample_rate
        if not self.sounds:
            label = self.bank.labels[rng.integers(len(self.bank.labels))]
            clip = self._palette.clip(rng, label)
            gap, shortest = self._samples(MIN_GAP), self._samples(MIN_EVENT)
            regions = merge_regions(clip.regions, gap, shortest)
            return label, clip.samples, regions
        like = self._draw_sound(rng)
        length = max(round(like.duration * rate), 1)
        return like.label, self._of_length(rng, like.label, length), [(0, length)]

    def _draw_sound(self, rng: np.random.Generator) -> Event:
        sounds = self.sounds
        if self.even_labels:
            labels = sorted({event.label for event in sounds})
            label = labels[rng.integers(len(labels))]
            sounds = [event for event in sounds if event.label == label]
        return sounds[int(rng.integers(len(sounds)))]

    def _of_length(self, rng: np.random.Generator, label: str, length: int) -> Samples:
        """Cut a clip to a length, or play it on: a fan as it is, a dog that barks on."""
        rate = self.bank.sample_rate
        clip = self._palette.clip(rng, label)
        if clip.active.size >= length:
            return self._palette.cut(rng, clip, length)
        if is_steady(clip, rate):
            sound = self._play_on((clip.active,), length, rng)
            return faded(sound, round(CUT_FADE * rate))
        sound = np.zeros(length, np.float32)
        start = 0
        while start < length:
            piece = faded(at_level(clip.active, 1.0), round(CUT_FADE * rate))
            add_at(sound, piece, start)
            start += piece.size + int(rng.uniform(0.2, 1.0) * MIN_GAP * rate)
            if rng.random() < 0.5:
                clip = self._palette.clip(rng, label)
        return faded(sound, round(CUT_FADE * rate))

    def _add(
        self, rng: np.random.Generator, mixture: Samples, sound: Samples, start: int
    ) -> None:
        """Add a sound at the level of an event to the mixture."""
        there = max(rms(mixture[start : start + sound.size]), FAINTEST)
        active = sound[np.abs(sound) > 1e-3 * np.abs(sound).max()]  # less its silences
        decibels = rng.uniform(*EVALUATION_MIXING.event_to_background)
        factor = there * 10.0 ** (decibels / 20.0) / max(rms(active), 1e-9)
        add_at(mixture, sound * np.float32(factor), start)

    def _add_other(
        self, rng: np.random.Generator, mixture: Samples, start: int, end: int
    ) -> list[Event]:
        """Add another sound between two events, if there are any and it fits."""
        rate = self.bank.sample_rate
        kinds = sorted(self.bank.background)
        if not kinds or end - start < 0.5 * rate:
            return []
        kind = kinds[int(rng.integers(len(kinds)))]
        clips = self.bank.background[kind]
        clip = clips[int(rng.integers(len(clips)))]
        size = min(clip.samples.size, int(LONGEST_OTHER * rate), end - start)
        first = int(rng.integers(start, end - size + 1))
        self._add(rng, mixture, faded(clip.samples[:size], rate // 100), first)
        return [self._span(kind, first, first + size)]

    def _finish(self, rng: np.random.Generator, recording: Recording) -> Recording:
        """Set the level of a recording's loudest sample and round to 16 bits."""
        mixture = recording.samples
        peak = max(float(mixture.max()), -float(mixture.min()), 1e-9)
        decibels = rng.uniform(*EVALUATION_MIXING.gain)
        mixture *= np.float32(10.0 ** (decibels / 20.0) / peak)
        to_sixteen_bits(mixture)
        return recording

    def _play_on(
        self, sources: Sequence[Samples], length: int, rng: np.random.Generator
    ) -> Samples:
        return extend(sources, length, rng, sample_rate=self.bank.sample_rate)

    def _draw(
        self, rng: np.random.Generator, seconds: tuple[float, float] = PAUSE
    ) -> int:
        """Draw a length between two in seconds; return samples."""
        return self._samples(rng.uniform(*seconds))

    def _samples(self, seconds: float) -> int:
        return round(seconds * self.bank.sample_rate)

    def _span(self, name: str, first: int, last: int) -> Event:
        rate = self.bank.sample_rate
        return Event.from_samples(name, first, last, score=1.0, sample_rate=rate)
