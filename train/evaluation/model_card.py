"""The numbers of a model card: results of a model file on unseen recordings.

Everything is measured with the runtime's `Model` and `EventTracker` and the thresholds in
the file, on soundscapes of one split of a bank, with fixed seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from streamsed.config import FrontendConfig, PostConfig
from streamsed.events import Event
from streamsed.inference.model import Model
from streamsed.live.sinks.speech_guard import SPEECH, speech_limit
from train.config.mixing import EVALUATION_MIXING
from train.datasets.evaluation_set import (
    EvaluationSet,
    draw_evaluation_set,
    gather,
    rebuild_evaluation_set,
)
from train.evaluation.calibration import calibration_error, reliability
from train.evaluation.draws import N_QUIET, N_SOME, Seed
from train.evaluation.privacy import withheld_clips
from train.evaluation.scoring import Scores, score_psds, scores_to_events
from train.metrics.criteria import event_counts, intersection_counts, segment_counts
from train.mixing.mixer import Layout, Mixer, Soundscape, isolated_soundscapes
from train.mixing.signals import chords
from train.mixing.soundbank import Soundbank

RATIOS = ((6.0, 10.0), (10.0, 20.0), (20.0, 30.0))
"""dB, events over the bed."""
GAINS = (0.0, -20.0, -40.0)
"""dBFS, peaks."""
TONES = (60, 120, 250, 440, 1000, 2000, 3000, 4000, 8000, 12000)
"""Hz."""
WITHOUT = PostConfig(min_gap=0.0, min_duration=0.0)
"""A threshold of 0.5 and nothing else."""


class Found(NamedTuple):
    """Scores and events of recordings."""

    scores: list[Scores]
    events: list[list[Event]]


class Card:
    """Measure a model.

    Parameters
    ----------
    model : Model
        The file, loaded.
    bank : Soundbank
        Recordings that it was not trained on, of all its labels and no other, in any order:
        an adapted model has its new labels behind the old ones.
    layouts : sequence of Layout
        Clips of the list that is rebuilt.

    Raises
    ------
    ValueError
        The bank has other labels than the model.
    """

    def __init__(
        self, model: Model, bank: Soundbank, layouts: Sequence[Layout]
    ) -> None:
        self.labels = model.info.labels
        bank.refuse_other_labels(self.labels)
        missing = [label for label in self.labels if label not in bank.foreground]
        if missing:
            raise ValueError(
                f"--soundbank: no recordings of {', '.join(missing)}, which the model "
                "detects; name a bank of these too"
            )
        self.model, self.bank, self.layouts = model, bank, layouts
        self.frontend: FrontendConfig = model.info.frontend

    def measure(self) -> dict[str, Any]:
        """Measure everything; a dict that JSON can hold."""
        rebuilt = rebuild_evaluation_set(
            Mixer(self.bank, EVALUATION_MIXING),
            self.layouts,
            self.frontend,
            seed=Seed.CARD,
            labels=self.labels,
        )
        scores = self._score(rebuilt)
        alone = self._alone()
        return {
            "n_clips": len(rebuilt.reference),
            "rows": {
                "as shipped": self._f1s(rebuilt, scores, self.model.info.post),
                "plain thresholds of 0.5": self._f1s(rebuilt, scores, PostConfig()),
                "the same without connect & cut": self._f1s(rebuilt, scores, WITHOUT),
            },
            "psds": score_psds(scores, rebuilt, self.frontend),
            "n_recordings": {k: len(v) for k, v in self.bank.foreground.items()},
            "by_ratio": {
                f"{low:.0f} to {high:.0f} dB": self._f1_at(
                    Seed.CARD_BY_RATIO, event_to_background=(low, high)
                )
                for low, high in RATIOS
            },
            "by_gain": {
                f"{gain:.0f} dBFS": self._f1_at(Seed.CARD_GAIN, gain=(gain, gain))
                for gain in GAINS
            },
            "alone": self._recognised(alone),
            "confusions": self._confusions(alone),
            "false_alarms": self._false_alarms(),
            "artificial": self._artificial(),
            "speech": self._withheld(rebuilt, scores),
            **self._calibration(rebuilt, scores),
            "parameters": self.model.info.parameters,
            "gmac": self.model.info.gmac,
        }

    def _withheld(
        self, recordings: EvaluationSet, scores: Sequence[Scores]
    ) -> dict[str, int]:
        """Count clips with speech that would be saved; nothing without that label."""
        info = self.model.info
        if SPEECH not in info.labels:
            return {}
        return withheld_clips(
            scores,
            self._events(scores, info.post),
            recordings.reference,
            labels=info.labels,
            limit=speech_limit(info),
            config=self.frontend,
        )

    def _score(self, recordings: EvaluationSet) -> list[Scores]:
        return [self.model.score(segment).scores for segment in recordings.segments]

    def _events(self, scores: Iterable[Scores], post: PostConfig) -> list[list[Event]]:
        labels = self.model.info.labels
        return [scores_to_events(each, labels, post, self.frontend) for each in scores]

    def _find(self, recordings: EvaluationSet) -> Found:
        scores = self._score(recordings)
        return Found(scores, self._events(scores, self.model.info.post))

    def _f1s(
        self, recordings: EvaluationSet, scores: Sequence[Scores], post: PostConfig
    ) -> dict[str, Any]:
        """Compute every F1 with the intervals of the event-based ones."""
        reference, labels = recordings.reference, recordings.labels
        events = self._events(scores, post)
        counts = event_counts(reference, events, labels)
        spans = counts.bootstrap()
        return {
            **counts.f1().to_dict(),
            "macro_interval": spans.macro,
            "micro_interval": spans.micro,
            **segment_counts(reference, events, labels).f1().to_dict("segment_f1"),
            **intersection_counts(reference, events, labels)
            .f1()
            .to_dict("intersection_f1"),
        }

    def _f1_at(self, seed: int, **settings: tuple[float, float]) -> tuple[float, float]:
        """Compute macro and micro event F1 with other settings of mixing."""
        mixer = Mixer(self.bank, replace(EVALUATION_MIXING, **settings))  # type: ignore[arg-type]
        layouts = self.layouts[:N_SOME]
        recordings = rebuild_evaluation_set(
            mixer, layouts, self.frontend, seed=seed, labels=self.labels
        )
        events = self._find(recordings).events
        f1 = event_counts(recordings.reference, events, recordings.labels).f1()
        return round(f1.macro, 4), round(f1.micro, 4)

    def _alone(self) -> list[tuple[str, Found]]:
        """Detect in every recording of the bank by itself, peaks at -30 to 0 dBFS."""
        rng = np.random.default_rng(Seed.CARD_ALONE)
        results = []
        for soundscape in isolated_soundscapes(self.bank):
            peak = max(float(np.abs(soundscape.samples).max()), 1e-9)
            gain = 10.0 ** (rng.uniform(-30.0, 0.0) / 20.0) / peak
            louder = Soundscape(
                soundscape.samples * np.float32(gain), soundscape.events
            )
            found = self._find(gather([louder], self.labels, self.frontend))
            results.append((soundscape.events[0].label, found))
        return results

    def _recognised(self, alone: list[tuple[str, Found]]) -> dict[str, list[int]]:
        """Count recordings that get their label, among others or not: right, all."""
        counts = {label: [0, 0] for label in self.labels}
        for truth, found in alone:
            counts[truth][1] += 1
            counts[truth][0] += any(e.label == truth for e in found.events[0])
        return counts

    def _confusions(self, alone: list[tuple[str, Found]]) -> dict[str, dict[str, int]]:
        """Count the label of highest score for recordings by themselves."""
        counts = {label: dict.fromkeys(self.labels, 0) for label in self.labels}
        for truth, found in alone:
            guess = int(found.scores[0].max(axis=0).argmax())
            counts[truth][self.labels[guess]] += 1
        return counts

    def _false_alarms(self) -> dict[str, Any]:
        """Count events in an hour of backgrounds alone."""
        mixer = Mixer(self.bank, replace(EVALUATION_MIXING, empty=1.0))
        quiet = draw_evaluation_set(
            mixer,
            self.frontend,
            n_soundscapes=N_QUIET,
            seed=Seed.CARD_QUIET,
            labels=self.labels,
        )
        events = [event for each in self._find(quiet).events for event in each]
        by_label = {
            label: sum(event.label == label for event in events)
            for label in self.labels
        }
        hours = N_QUIET * EVALUATION_MIXING.duration / 3600
        return {"per_hour": len(events) / hours, "by_label": by_label}

    def _artificial(self) -> dict[str, int]:
        """Count false events in sounds without labels."""
        return {
            name: sum(
                len(events)
                for events in self._find(
                    gather(soundscapes, self.labels, self.frontend)
                ).events
            )
            for name, soundscapes in artificial_sounds(
                self.frontend.sample_rate
            ).items()
        }

    def _calibration(
        self, rebuilt: EvaluationSet, scores: Sequence[Scores]
    ) -> Mapping[str, Any]:
        rows = reliability(np.stack(scores), rebuilt.targets(self.frontend))
        return {"reliability": rows, "calibration_error": calibration_error(rows)}


def artificial_sounds(sample_rate: int = 44100) -> dict[str, list[Soundscape]]:
    """Make silence, noise, tones and chords, 10 s each, in which nothing happens."""
    rng, n = np.random.default_rng(0), round(EVALUATION_MIXING.duration * sample_rate)

    def tone(frequency: float) -> Soundscape:
        wave = 0.5 * np.sin(2 * np.pi * frequency * np.arange(n) / sample_rate)
        return Soundscape(wave.astype(np.float32), [])

    def noise(decibels: float) -> Soundscape:
        samples = 10 ** (decibels / 20) * rng.standard_normal(n)
        return Soundscape(samples.clip(-1, 1).astype(np.float32), [])

    def music() -> Iterator[Soundscape]:
        for _ in range(12):
            samples = chords(n, rng, sample_rate=sample_rate)
            yield Soundscape(samples / np.float32(2 * np.abs(samples).max()), [])

    highest = sample_rate / 2
    return {
        "digital silence": [Soundscape(np.zeros(n, np.float32), [])],
        "white noise, 6 levels": [noise(level) for level in range(-70, -9, 12)],
        "pure tones, 60 Hz to 12 kHz": [tone(f) for f in TONES if f < highest],
        "chords, 12 pieces": list(music()),
    }
