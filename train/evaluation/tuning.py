"""Tuning: how the scores of one network best become events, label by label.

A network's scores of a long, even sound waver around one half, and with one threshold
for everything the sound falls into pieces, each of them wrong. So each label gets the
onset threshold, offset threshold and shortest duration of best event F1 on recordings set
aside for it; report the result on others. Gaps keep the report's 0.2 s (section 3) unless
set otherwise: a longer one delays the end of every event of a live stream.

A live detector mostly receives sound without events. Recordings without events bound how often
it may be wrong there: F1 pays for false alarms, the same price for every label, and the
price rises until there are few enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np

from streamsed.config import FrontendConfig, PostConfig
from streamsed.inference.thresholds.operating_points import OperatingPoint
from streamsed.progress import track
from train.datasets.evaluation_set import EvaluationSet
from train.evaluation.scoring import Scores, score_events, scores_to_events

ONSETS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.96)
OFFSET_RATIOS = (1.0, 0.7, 0.4, 0.2)
"""Offset threshold per onset threshold."""
DURATIONS = (0.2, 0.5, 1.0)
"""Seconds, of `min_duration`."""
PRICES = (0.0, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.006, 0.008, 0.011, 0.016)
"""F1 that one false alarm an hour costs."""
FALSE_ALARMS = {"low": 2.0, "normal": 6.0, "high": 20.0}
"""False alarms an hour, of all labels together, by sensitivity."""


class Choice(NamedTuple):
    """One point of the grid."""

    onset: float
    offset_ratio: float
    min_duration: float


class Result(NamedTuple):
    """What a label does at one point: event F1, and false alarms an hour."""

    f1: float
    false_alarms: float


def tune_post(
    scores: Sequence[Scores],
    recordings: EvaluationSet,
    config: FrontendConfig,
    *,
    quiet: Sequence[Scores] = (),
    max_false_alarms: float = 6.0,
    base: PostConfig | None = None,
) -> PostConfig:
    """Find each label's best settings on a small grid.

    A label's `min_duration` is at most half of what nine in ten of its reference events
    last, so that no label loses its short sounds. Of equal choices the one nearest to the
    defaults is taken.

    Parameters
    ----------
    scores : sequence of float32 (H, K)
        Of the recordings, in their order.
    recordings : EvaluationSet
        With the truth; tune and report on different ones.
    config : FrontendConfig
        The grid of the scores.
    quiet : sequence of float32 (H, K)
        Scores of recordings without events.
    max_false_alarms : float
        How many events an hour all labels together may have in them. If no choice keeps
        to that, the dearest price in `PRICES` decides.
    base : PostConfig, optional
        Whose smoothing and gaps are taken, such as those of labels that last.
    """
    base = base or PostConfig()
    tried = _try_all(scores, recordings, config, quiet, base)
    return _post(_best(tried, recordings, max_false_alarms), base)


def tune_points(
    scores: Sequence[Scores],
    recordings: EvaluationSet,
    config: FrontendConfig,
    *,
    quiet: Sequence[Scores],
    settle: float,
    limits: Mapping[str, float] = FALSE_ALARMS,
    base: PostConfig | None = None,
) -> list[OperatingPoint]:
    """Find each label's best settings for several sensitivities at once.

    Parameters
    ----------
    scores, recordings, config, quiet, base
        As for `tune_post`.
    settle : float
        Seconds after which these scores were final.
    limits : mapping
        False alarms an hour that each sensitivity may have.

    Returns
    -------
    list of OperatingPoint
        One for each of `limits`, with the false alarms that each label has in `quiet`.
    """
    base = base or PostConfig()
    tried = _try_all(scores, recordings, config, quiet, base)
    points = []
    for sensitivity, limit in limits.items():
        best = _best(tried, recordings, limit)
        alarms = {
            label: round(tried[c][label].false_alarms, 3) for label, c in best.items()
        }
        points.append(OperatingPoint(sensitivity, settle, _post(best, base), alarms))
    return points


def _try_all(
    scores: Sequence[Scores],
    recordings: EvaluationSet,
    config: FrontendConfig,
    quiet: Sequence[Scores],
    base: PostConfig,
) -> dict[Choice, dict[str, Result]]:
    grid = [Choice(*values) for values in product(*_grid())]
    return {
        choice: _try(choice, scores, recordings, config, quiet, base)
        for choice in track(grid, "tuning", total=len(grid), unit="settings")
    }


def _best(
    tried: Mapping[Choice, Mapping[str, Result]],
    recordings: EvaluationSet,
    max_false_alarms: float,
) -> dict[str, Choice]:
    """Choose a point of the grid for each label at the lowest price that suffices."""
    longest = _longest_durations(recordings)
    best: dict[str, Choice] = {}
    for price in PRICES:
        best = {
            label: max(
                (c for c in tried if c.min_duration <= longest[label]),
                key=lambda c, label=label: (  # type: ignore[misc]
                    tried[c][label].f1 - price * tried[c][label].false_alarms,
                    _likeness(c),
                ),
            )
            for label in recordings.labels
        }
        total = sum(tried[c][label].false_alarms for label, c in best.items())
        if total <= max_false_alarms:
            break
    return best


def _post(best: Mapping[str, Choice], base: PostConfig) -> PostConfig:
    return replace(
        base,
        onset_threshold={label: c.onset for label, c in best.items()},
        offset_threshold={
            label: round(c.onset * c.offset_ratio, 3) for label, c in best.items()
        },
        min_duration={label: c.min_duration for label, c in best.items()},
    )


def _grid() -> tuple[tuple[float, ...], ...]:
    return ONSETS, OFFSET_RATIOS, DURATIONS


def _try(
    choice: Choice,
    scores: Sequence[Scores],
    recordings: EvaluationSet,
    config: FrontendConfig,
    quiet: Sequence[Scores],
    base: PostConfig,
) -> dict[str, Result]:
    """Measure one point of the grid on all labels."""
    labels = recordings.labels
    post = replace(
        base,
        onset_threshold=choice.onset,
        offset_threshold=choice.onset * choice.offset_ratio,
        min_duration=choice.min_duration,
    )
    f1 = score_events(scores, recordings, post, config).per_label
    alarms = dict.fromkeys(labels, 0)
    for each in quiet:
        for event in scores_to_events(each, labels, post, config):
            alarms[event.label] += 1
    frames = sum(len(each) for each in quiet)
    hours = max(frames, 1) * config.score_frame_duration / 3600
    return {label: Result(f1[label], alarms[label] / hours) for label in labels}


def _longest_durations(recordings: EvaluationSet) -> dict[str, float]:
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
    """Rank choices of equal worth: nearest to the defaults last."""
    return -abs(choice.onset - 0.5), choice.offset_ratio, -choice.min_duration
