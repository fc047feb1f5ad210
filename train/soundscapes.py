"""Soundscapes: ten-second mixtures whose events are known exactly.

A soundscape is a bed (background recordings, looped, or digital silence), events laid
over it and sometimes unlabelled distractors. The rules are those of DESED's synthetic
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

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from streamsed.events import Event
from train.augment import vary
from train.soundbank import Clip, Region, Samples, Soundbank, active_regions

MIN_GAP = 0.15
"""Seconds; events of one label closer than this are one event (DESED)."""
MIN_EVENT = 0.25
"""Seconds; no event is shorter (DESED)."""
LONG_LABEL = 3.0
"""Seconds; a label whose median clip is longer than this is a long sound."""


@dataclass(frozen=True, slots=True)
class Soundscape:
    """One mixture: `samples`, float32 mono, and its `events`, sorted, with score 1."""

    samples: Samples
    events: list[Event]


@dataclass(frozen=True, slots=True, kw_only=True)
class MixRules:
    """How soundscapes are drawn; the defaults make varied training material.

    Parameters
    ----------
    duration : float
        Seconds.
    n_variants : int
        Variants kept of each clip (see `train.augment`); 0 uses the clips as they are.
    event_to_background : (float, float)
        dB, the range of an event's level over the bed.
    max_events : int
        Sounds placed at most; a repeated sound counts once.
    isolated : float
        Probability of sounds over digital silence, ended by it: what a short recording
        looks like once it is padded.
    empty : float
        Probability of a bed without events.
    short : float
        Probability that bed and events stop early and silence pads the rest.
    distractor : float
        Probability of an unlabelled sound at the level of an event.
    gain : (float, float)
        dB, range of the level of the loudest sample.
    """

    duration: float = 10.0
    n_variants: int = 6
    event_to_background: tuple[float, float] = (6.0, 30.0)
    max_events: int = 4
    isolated: float = 0.15
    empty: float = 0.04
    short: float = 0.1
    distractor: float = 0.3
    gain: tuple[float, float] = (-40.0, 0.0)


PLAIN = MixRules(n_variants=0, isolated=0.0, short=0.0, distractor=0.1)
"""Plain mixtures of unaltered clips, to measure with."""


class Mixer:
    """Draw soundscapes from a bank.

    Parameters
    ----------
    bank : Soundbank
        What to mix; the labels of its foreground are the labels of the events.
    rules : MixRules
        How.

    Examples
    --------
    >>> mixer = Mixer(Soundbank.load(Path("bank")))  # doctest: +SKIP
    >>> mixer.mix(np.random.default_rng(0)).samples.shape  # doctest: +SKIP
    (441000,)
    """

    def __init__(self, bank: Soundbank, rules: MixRules | None = None) -> None:
        self.bank = bank
        self.rules = rules or MixRules()
        self.n_samples = round(self.rules.duration * bank.sample_rate)
        self.long_labels = {
            label
            for label, clips in bank.foreground.items()
            if np.median([clip.samples.size for clip in clips])
            > LONG_LABEL * bank.sample_rate
        }
        self._variants: dict[tuple[int, int], Clip] = {}

    def mix(self, rng: np.random.Generator) -> Soundscape:
        """Draw one soundscape of `rules.duration` seconds."""
        rules = self.rules
        chance = rng.random()
        isolated = chance < rules.isolated
        empty = not isolated and chance < rules.isolated + rules.empty
        n_active = self.n_samples
        if not isolated and rng.random() < rules.short:
            n_active = int(rng.uniform(0.2, 1.0) * self.n_samples)
        mixture = self._bed(rng, n_active, silent=isolated)
        low, high = rules.event_to_background
        events: list[tuple[str, Region]] = []
        n_events = 0 if empty else min(1 + rng.poisson(0.9), rules.max_events)
        for _ in range(n_events):
            level = 10.0 ** (rng.uniform(low, high) / 20.0)
            events += self._place(rng, mixture, level, n_active, isolated=isolated)
        if self.bank.background and rng.random() < rules.distractor and not isolated:
            _add_distractor(rng, mixture[:n_active], self._background_clip(rng))
        mixture[n_active:] = 0.0
        return Soundscape(
            _scale(rng, mixture, rules.gain), self.merge(events, n_active)
        )

    def _clip(self, rng: np.random.Generator, label: str) -> Clip:
        """Draw a clip of a label, or one of its variants."""
        clips = self.bank.foreground[label]
        clip = clips[rng.integers(len(clips))]
        variant = int(rng.integers(self.rules.n_variants + 1))
        if variant == 0:
            return clip
        key = (id(clip), variant)
        if key not in self._variants:
            # Seeded by content: the same variant whatever was drawn before it.
            seed = [variant, clip.samples.size, int(np.abs(clip.samples).sum() * 1e3)]
            samples = vary(
                clip.samples, np.random.default_rng(seed), self.bank.sample_rate
            )
            regions = active_regions(samples, self.bank.sample_rate)
            self._variants[key] = Clip(samples, regions or clip.regions)
        return self._variants[key]

    def _background_clip(self, rng: np.random.Generator) -> Samples:
        """Draw a background recording, every kind as likely."""
        kinds = sorted(self.bank.background)
        clips = self.bank.background[kinds[rng.integers(len(kinds))]]
        return clips[rng.integers(len(clips))].samples

    def _bed(self, rng: np.random.Generator, n_active: int, *, silent: bool) -> Samples:
        """Make a bed of RMS 1, or digital silence."""
        bed = np.zeros(self.n_samples, np.float32)
        if silent:
            return bed
        if not self.bank.background or rng.random() < 0.15:
            bed[:n_active] = _noise(rng, n_active)
            return bed
        for _ in range(1 + int(rng.random() < 0.2)):
            layer = loop(self._background_clip(rng), n_active, rng)
            bed[:n_active] += layer / max(rms(layer), 1e-9)
        return bed / max(rms(bed[:n_active]), 1e-9)

    def _place(
        self,
        rng: np.random.Generator,
        mixture: Samples,
        level: float,
        n_active: int,
        *,
        isolated: bool,
    ) -> list[tuple[str, Region]]:
        """Add one sound, perhaps repeated, to the mixture; return where it is active."""
        rate = self.bank.sample_rate
        label = self.bank.labels[rng.integers(len(self.bank.labels))]
        clip = self._clip(rng, label)
        is_long = label in self.long_labels
        n_repeats = 1
        if is_long and rng.random() < 0.6:
            length = int(rng.uniform(2.0, 12.0) * rate)
            clip = Clip(loop(clip.samples, length, rng), ((0, length),))
        elif not is_long and rng.random() < 0.35:
            n_repeats = int(rng.integers(2, 5))
        active = np.concatenate([clip.samples[a:b] for a, b in clip.regions])
        scaled = clip.samples * np.float32(level / max(rms(active), 1e-9))
        start = _first_start(rng, scaled.size, n_active, rate, isolated=isolated)
        placed: list[tuple[str, Region]] = []
        for _ in range(n_repeats):
            add_at(mixture[:n_active], scaled, start)
            placed += [(label, (start + a, start + b)) for a, b in clip.regions]
            start += scaled.size + int(rng.exponential(0.8) * rate)
        return placed

    def merge(self, placed: list[tuple[str, Region]], n_active: int) -> list[Event]:
        """Apply DESED's two rules and build events, in order."""
        rate = self.bank.sample_rate
        shortest = round(MIN_EVENT * rate)
        events: list[Event] = []
        for label in sorted({label for label, _ in placed}):
            inside = [
                (max(start, 0), min(end, n_active))
                for name, (start, end) in placed
                if name == label
            ]
            visible = [(a, b) for a, b in inside if b - a >= rate // 20]
            for start, end in merge_regions(visible, round(MIN_GAP * rate), shortest):
                end = min(end, n_active)
                start = max(0, min(start, end - shortest))
                events.append(
                    Event.from_samples(label, start, end, score=1.0, sample_rate=rate)
                )
        return sorted(events)


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
        end = max(end, start + min_length)
        if merged and start - merged[-1][1] < min_gap:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def rms(samples: Samples) -> float:
    """Root of the mean square; 0 for no samples."""
    return float(np.sqrt(np.dot(samples, samples) / max(samples.size, 1)))


def add_at(mixture: Samples, samples: Samples, start: int) -> None:
    """Add samples to a mixture in place from `start`, which may be negative."""
    first, last = max(start, 0), min(start + samples.size, mixture.size)
    if first < last:
        mixture[first:last] += samples[first - start : last - start]


def loop(samples: Samples, length: int, rng: np.random.Generator) -> Samples:
    """Repeat a recording to `length` samples with crossfades, from a random place."""
    fade = min(samples.size // 4, 4410)
    period = samples.size - fade
    body = samples[:period].copy()
    ramp = np.linspace(0.0, 1.0, fade, endpoint=False, dtype=np.float32)
    body[:fade] = body[:fade] * np.sqrt(ramp) + samples[period:] * np.sqrt(1 - ramp)
    first = int(rng.integers(period))
    return np.resize(np.roll(body, -first), length)


def _noise(rng: np.random.Generator, length: int) -> Samples:
    """Make coloured noise of RMS 1: its spectrum falls by 0 to 9 dB an octave."""
    n_fft = 1 << 17
    spectrum = rng.standard_normal((n_fft // 2 + 1, 2)) @ np.array([1.0, 1.0j])
    slope = rng.uniform(0.0, 1.5)
    spectrum /= np.maximum(np.arange(spectrum.size), 64.0) ** slope
    noise = np.fft.irfft(spectrum).astype(
        np.float32
    )  # circular, so it loops seamlessly
    noise = np.resize(noise, length)
    return noise / np.float32(max(rms(noise), 1e-9))


def _first_start(
    rng: np.random.Generator, length: int, n_active: int, rate: int, *, isolated: bool
) -> int:
    """Choose where a sound starts: mostly inside, at times cut by an end."""
    if isolated:
        return int(
            rng.choice([0.0, rng.uniform(0.0, 1.0), rng.uniform(0.0, 6.0)]) * rate
        )
    if rng.random() < 0.15 or length >= n_active:
        return int(rng.integers(-(length // 2), max(n_active - length // 2, 1)))
    return int(rng.integers(0, n_active - length))


def _add_distractor(rng: np.random.Generator, mixture: Samples, clip: Samples) -> None:
    """Add a stretch of a background recording, at the level of an event, unlabelled."""
    length = min(int(rng.uniform(0.3, 4.0) * 44100), clip.size, mixture.size)
    first = int(rng.integers(clip.size - length + 1))
    piece = clip[first : first + length].copy()
    fade = np.linspace(0.0, 1.0, min(441, length), dtype=np.float32)
    piece[: fade.size] *= fade
    piece[length - fade.size :] *= fade[::-1]
    piece *= np.float32(10.0 ** (rng.uniform(0.0, 20.0) / 20.0) / max(rms(piece), 1e-9))
    add_at(mixture, piece, int(rng.integers(mixture.size - length + 1)))


def _scale(
    rng: np.random.Generator, mixture: Samples, gain: tuple[float, float]
) -> Samples:
    """Bring the peak to a random level; half of the mixtures are rounded to 16 bits."""
    peak = max(float(mixture.max()), -float(mixture.min()), 1e-9)
    mixture *= np.float32(10.0 ** (rng.uniform(*gain) / 20.0) / peak)
    if rng.random() < 0.5:
        np.rint(mixture * 32767.0, out=mixture)
        mixture /= np.float32(32767.0)
    return mixture


def isolated_soundscapes(bank: Soundbank) -> Iterator[Soundscape]:
    """Yield every foreground clip once, alone and padded to 10 s with digital silence."""
    mixer = Mixer(bank, PLAIN)
    for label in bank.labels:
        for clip in bank.foreground[label]:
            samples = np.zeros(mixer.n_samples, np.float32)
            add_at(samples, clip.samples, 0)
            placed = [(label, region) for region in clip.regions]
            yield Soundscape(samples, mixer.merge(placed, mixer.n_samples))


def write_soundscapes(
    folder: Path, mixer: Mixer, *, n_soundscapes: int, seed: int
) -> Path:
    """Write soundscapes as 16-bit FLAC with a strong list beside them.

    Parameters
    ----------
    folder : Path
        Created if it is not there; `audio/*.flac` and `strong.tsv` go into it.
    mixer : Mixer
        Where they come from.
    n_soundscapes, seed : int
        How many, and which.

    Returns
    -------
    Path
        The list, tab-separated `filename onset offset event_label`; a soundscape without
        events is a row with only its name.
    """
    audio = folder / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    lines = ["filename\tonset\toffset\tevent_label"]
    for index in range(n_soundscapes):
        soundscape = mixer.mix(np.random.default_rng([seed, index]))
        name = f"soundscape_{index:05d}.flac"
        soundfile.write(audio / name, soundscape.samples, mixer.bank.sample_rate)
        lines += [
            f"{name}\t{event.onset:.3f}\t{event.offset:.3f}\t{event.label}"
            for event in soundscape.events
        ] or [f"{name}\t\t\t"]
    tsv = folder / "strong.tsv"
    tsv.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tsv


def score_targets(
    events: list[Event], labels: tuple[str, ...], n_score_frames: int, duration: float
) -> NDArray[np.float32]:
    """Turn events into the strong target: 1 where a label sounds (section 2.2).

    Parameters
    ----------
    events : list of Event
        The truth.
    labels : tuple of str
        Columns of the target.
    n_score_frames : int
        H, rows of the target.
    duration : float
        Seconds of one score frame.

    Returns
    -------
    float32 (n_score_frames, n_labels)
        Zeros and ones. Onsets and offsets are rounded to the nearest frame boundary, so
        that neither leans early nor late; an event has at least one frame.
    """
    target = np.zeros((n_score_frames, len(labels)), np.float32)
    for event in events:
        first = min(round(event.onset / duration), n_score_frames - 1)
        last = max(round(event.offset / duration), first + 1)
        target[first:last, labels.index(event.label)] = 1.0
    return target
