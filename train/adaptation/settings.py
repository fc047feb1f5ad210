"""The settings of an adapted model: those of the old labels stay, new ones get plain ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from streamsed.config import PostConfig
from streamsed.inference.model_file import ModelInfo
from streamsed.inference.thresholds.operating_points import THRESHOLDS, OperatingPoint
from streamsed.inference.thresholds.recall_curves import RecallCurves
from train.mixing.soundbank import Soundbank

ONSETS = {"low": 0.67, "normal": 0.5, "high": 0.33}
"""Onset thresholds of new labels by sensitivity: twice, once and half the odds of 0.5."""
REHEARSED_ONSETS = {"low": 0.33, "normal": 0.2, "high": 0.11}
"""The same of 0.2, where a bank was rehearsed: new labels are rarer in the mixtures, and
their scores lower (`docs/adapt.md` has figures at both)."""
LOWER_RATIO = 0.5
"""Rise and offset threshold of a new label, as a share of its onset threshold."""
LONG = 3.0
"""Seconds; a label whose median recording is longer is of sounds that last."""
PASSING = {"min_gap": 0.2, "min_duration": 0.2, "smoothing": 0.0, "onset_search": 0.0}
LASTING = {"min_gap": 2.5, "min_duration": 0.2, "smoothing": 1.6, "onset_search": 1.2}
"""Settings of sounds that come and go, and of those that last: the shipped model's."""


def adapted_points(
    info: ModelInfo, new: Sequence[str], taught: Soundbank, *, rehearsed: bool = False
) -> list[OperatingPoint]:
    """Return the model's operating points with the new labels in them.

    What the points cost in false alarms was measured with the old network, so it is left
    out.

    Parameters
    ----------
    info : ModelInfo
        The model that was adapted.
    new : sequence of str
        Labels that it did not have.
    taught : Soundbank
        Recordings of them.
    rehearsed : bool
        Whether half of the scenes were of a bank, which makes for lower thresholds.
    """
    onsets = REHEARSED_ONSETS if rehearsed else ONSETS
    own = OperatingPoint("normal", info.stream.settled, info.post, {})
    return [
        replace(
            point,
            post=_with_labels(
                point.post, info.labels, new, taught, onsets[point.sensitivity]
            ),
            false_alarms={},
        )
        for point in info.operating_points or (own,)
    ]


def adapted_curves(info: ModelInfo, taught: Collection[str]) -> list[RecallCurves]:
    """Return the model's recall curves of labels that were not taught: they still hold."""
    kept = []
    for each in info.recall_curves:
        labels = [label for label in each.recall if label not in taught]
        recall = {label: each.recall[label] for label in labels}
        n_events = {label: each.n_events[label] for label in labels}
        kept.append(replace(each, recall=recall, n_events=n_events))
    return kept


def _with_labels(
    post: PostConfig,
    labels: Sequence[str],
    new: Sequence[str],
    taught: Soundbank,
    onset: float,
) -> PostConfig:
    settings: dict[str, dict[str, float]] = {}
    for name in (*THRESHOLDS, *PASSING):
        values = post.per_label(name, labels)
        settings[name] = dict(zip(labels, values, strict=True))
    for label in new:
        shape = _shape(label, taught)
        settings["onset_threshold"][label] = onset
        for name in THRESHOLDS[1:]:
            settings[name][label] = round(LOWER_RATIO * onset, 3)
        for name, value in shape.items():
            settings[name][label] = value
    return PostConfig(**settings)


def _shape(label: str, taught: Soundbank) -> Mapping[str, float]:
    """Return gaps, durations and smoothing that suit a label's recordings."""
    sizes = [clip.active.size for clip in taught.foreground[label]]
    return LASTING if np.median(sizes) > LONG * taught.sample_rate else PASSING
