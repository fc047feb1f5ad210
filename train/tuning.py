"""Tuning: how the scores of one network best become events, label by label.

A network's scores of a long, even sound waver around one half, and with one threshold
for everything the sound falls into pieces, each of them wrong. So each label gets the
onset threshold, offset threshold and shortest duration of best event F1 on recordings set
aside for it; report the result on others. Gaps keep the report's 0.2 s (section 3): a
longer one would delay the end of every event of a live stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from streamsed.config import FrontendConfig, PostConfig
from train.evaluate import Recordings, Scores, score_events

ONSETS = (0.4, 0.5, 0.6, 0.7)
"""Lower ones gain a little on mixtures, and raise alarms where nothing sounds."""
OFFSET_RATIOS = (1.0, 0.7, 0.4)
"""Offset threshold per onset threshold."""
DURATIONS = (0.2, 0.5, 1.0)
"""Seconds, of `min_duration`."""


class Choice(NamedTuple):
    """One point of the grid."""

    onset: float
    offset_ratio: float
    min_duration: float


def tune_post(
    scores: Sequence[Scores], recordings: Recordings, config: FrontendConfig
) -> PostConfig:
    """Find each label's best settings on a small grid.

    A label's `min_duration` is at most half of what nine in ten of its reference events
    last, so that no label loses its short sounds. Of equal choices the one nearest to the
    defaults is taken.

    Parameters
    ----------
    scores : sequence of float32 (H, K)
        Of the recordings, in their order.
    recordings : Recordings
        With the truth; tune and report on different ones.
    config : FrontendConfig
        The grid of the scores.
    """
    per_label: dict[Choice, dict[str, float]] = {}
    for choice in (Choice(*values) for values in product(*_grid())):
        post = PostConfig(
            onset_threshold=choice.onset,
            offset_threshold=choice.onset * choice.offset_ratio,
            min_duration=choice.min_duration,
        )
        per_label[choice] = score_events(scores, recordings, post, config).per_label
    longest = _longest_durations(recordings)
    best = {
        label: max(
            (c for c in per_label if c.min_duration <= longest[label]),
            key=lambda c, label=label: (per_label[c][label], _likeness(c)),  # type: ignore[misc]
        )
        for label in recordings.labels
    }
    return PostConfig(
        onset_threshold={label: c.onset for label, c in best.items()},
        offset_threshold={
            label: round(c.onset * c.offset_ratio, 3) for label, c in best.items()
        },
        min_duration={label: c.min_duration for label, c in best.items()},
    )


def _grid() -> tuple[tuple[float, ...], ...]:
    return ONSETS, OFFSET_RATIOS, DURATIONS


def _longest_durations(recordings: Recordings) -> dict[str, float]:
    """Limit each label's `min_duration` by how long its events are."""
    longest = dict.fromkeys(recordings.labels, DURATIONS[0])
    for label in recordings.labels:
        durations = [
            event.duration
            for events in recordings.reference
            for event in events
            if event.label == label
        ]
        if durations:
            half = float(np.quantile(durations, 0.1)) / 2
            longest[label] = max(DURATIONS[0], half)
    return longest


def _likeness(choice: Choice) -> tuple[float, float, float]:
    """Rank choices of equal F1: nearest to the defaults last."""
    return -abs(choice.onset - 0.5), choice.offset_ratio, -choice.min_duration
