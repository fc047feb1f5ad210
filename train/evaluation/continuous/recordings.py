"""Continuous recordings, drawn and scored: the only step that runs the network.

The recordings are those of `train.mixing.continuous`, in four parts:

    events       events, other sounds between them, a background that changes
    backgrounds  the background alone: nothing in it is an event
    others       every other sound of the bank, one after another: no event either
    steady       one steady sound of a minute: one event each
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from streamsed.config import FrontendConfig
from streamsed.events import Event
from train.datasets.scaling import Scaling
from train.evaluation.continuous.recording_scores import (
    BatchScores,
    RecordingScores,
    score_recording,
)
from train.mixing.continuous import ContinuousMixer, Recording

STEADY_DURATION = 60.0
"""Seconds of a steady sound."""
N_STEADY = 6
"""Maximum number of steady sounds per label."""


@dataclass(frozen=True, slots=True)
class ScoredRecording:
    """A long recording without its samples: a network's scores, and the reference.

    Parameters
    ----------
    part : str
        "events", "backgrounds", "others" or "steady".
    scores : RecordingScores
        Of its segments.
    events, others, beds : list of Event
        See `train.mixing.continuous.Recording`.
    """

    part: str
    scores: RecordingScores
    events: list[Event]
    others: list[Event]
    beds: list[Event]


def draw_continuous(
    mixer: ContinuousMixer, *, n: int = 4, duration: float = 600.0, seed: int = 0
) -> Iterator[tuple[str, Recording]]:
    """Draw the recordings of all parts, one at a time, as each takes 100 MB.

    Parameters
    ----------
    mixer : ContinuousMixer
        Where they come from.
    n : int
        Recordings with events; half as many are backgrounds alone.
    duration : float
        Seconds of each of these.
    seed : int
        Equal seeds give equal recordings.

    Yields
    ------
    part : str
    recording : Recording
    """
    for index in range(n):
        rng = np.random.default_rng([seed, 0, index])
        yield "events", mixer.mix(rng, duration=duration)
    for index in range((n + 1) // 2):
        rng = np.random.default_rng([seed, 1, index])
        yield "backgrounds", mixer.quiet(rng, duration=duration)
    if mixer.bank.background:
        yield "others", mixer.other_sounds(np.random.default_rng([seed, 2]))
    rng = np.random.default_rng([seed, 3])
    for steady in mixer.steady_sounds(rng, duration=STEADY_DURATION, n=N_STEADY):
        yield "steady", steady


def count_continuous(mixer: ContinuousMixer, *, n: int) -> int:
    """Return how many recordings `draw_continuous` draws."""
    steady = sum(min(len(clips), N_STEADY) for clips in mixer.steady_clips.values())
    return n + (n + 1) // 2 + bool(mixer.bank.background) + steady


def score_continuous(
    recordings: Iterable[tuple[str, Recording]],
    score: BatchScores,
    labels: tuple[str, ...],
    config: FrontendConfig,
    *,
    scaling: Scaling | None = None,
) -> Iterator[ScoredRecording]:
    """Score recordings with a network, one after another; see `score_recording`."""
    for part, each in recordings:
        scores = score_recording(each.samples, score, labels, config, scaling=scaling)
        yield ScoredRecording(part, scores, each.events, each.others, each.beds)
