"""Recordings by themselves: which label a network gives each by its highest score."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from streamsed.config import FrontendConfig
from streamsed.pipeline.frontend import scale_segment
from train.datasets.clip_features import log_mel
from train.datasets.scaling import Scaling
from train.evaluation.continuous.recording_scores import BATCH, BatchScores
from train.mixing.mixer import isolated_soundscapes
from train.mixing.soundbank import Soundbank


def recognise_alone(
    bank: Soundbank,
    score: BatchScores,
    labels: tuple[str, ...],
    config: FrontendConfig,
    *,
    scaling: Scaling | None = None,
) -> dict[str, Any]:
    """Score every recording of a bank's labels alone, padded with digital silence.

    Parameters
    ----------
    bank : Soundbank
        Recordings; of one longer than a segment, its beginning counts.
    score : callable
        From segments (n, T, n_mels) to scores (n, H, K).
    labels : tuple of str
        The columns of its scores.
    config : FrontendConfig
        The front-end.
    scaling : Scaling, optional
        From decibels to what the network sees; that of `config` if left out.

    Returns
    -------
    dict
        For JSON: `confusions`, for each label how many of its recordings have their
        highest score, over time and labels, at each label; `right_per_label`, the share
        at their own; `right_macro`, the mean of these.
    """
    scale = scaling or partial(scale_segment, config=config)
    segments, truth = [], []
    for soundscape in isolated_soundscapes(bank):
        segments.append(scale(log_mel(soundscape.samples, config)))
        truth.append(soundscape.events[0].label)
    confusions = {label: dict.fromkeys(labels, 0) for label in bank.labels}
    for first in range(0, len(segments), BATCH):
        batch = score(np.stack(segments[first : first + BATCH]))
        guesses = batch.max(axis=1).argmax(axis=1)
        for label, guess in zip(truth[first : first + BATCH], guesses, strict=True):
            confusions[label][labels[guess]] += 1
    right = {
        label: round(row[label] / sum(row.values()), 4)
        for label, row in confusions.items()
    }
    return {
        "recordings": len(truth),
        "right_macro": round(sum(right.values()) / len(right), 4),
        "right_per_label": right,
        "confusions": confusions,
    }
