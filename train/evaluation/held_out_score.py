"""By what the challenge's baseline chooses its checkpoint: F1 on clips it holds out.

The sum of two macro F1: of the events in held-out synthetic clips, after the median
filter, and of the labels of held-out weak clips, by clip scores of at least 0.5. Unlike a
loss it does not hold the weight of the consistency, which rises over half of the training
and makes early checkpoints look better than they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from streamsed.config import FrontendConfig
from train.datasets.held_out import HeldOut
from train.evaluation.median_filter import median_events
from train.evaluation.scoring import network_scores
from train.metrics.criteria import event_f1
from train.networks.crnn import Crnn


@dataclass(frozen=True, slots=True)
class HeldOutScore:
    """Macro F1, from 0 to 1, of events and of labels; the sum is what counts."""

    events: float
    tags: float

    @property
    def total(self) -> float:
        """The sum of both, from 0 to 2."""
        return self.events + self.tags


def score_held_out(
    network: Crnn, held_out: HeldOut, config: FrontendConfig
) -> HeldOutScore:
    """Score a baseline network in evaluation mode on held-out clips."""
    recordings = held_out.strong
    scores = network_scores(network, recordings.segments)
    found = [
        median_events(table, recordings.labels, config, n_samples=n_samples)
        for table, n_samples in zip(scores, recordings.lengths(config), strict=True)
    ]
    events = event_f1(recordings.reference, found, recordings.labels).macro
    clips = _clip_scores(network, held_out.weak_segments)
    return HeldOutScore(events, tagging_f1(held_out.weak_tags, clips >= 0.5))


def tagging_f1(reference: NDArray[np.bool_], estimated: NDArray[np.bool_]) -> float:
    """Compute the macro F1 of labels of clips; a label that nobody names counts 0.

    Parameters
    ----------
    reference, estimated : bool (n_clips, n_labels)
        The truth, and what was found.

    Examples
    --------
    >>> truth = np.array([[True, False], [True, True]])
    >>> tagging_f1(truth, np.array([[True, False], [False, True]]))
    0.8333333333333333
    """
    hits = (reference & estimated).sum(axis=0)
    named = reference.sum(axis=0) + estimated.sum(axis=0)
    return float(np.mean(2 * hits / np.maximum(named, 1)))


def _clip_scores(
    network: Crnn, segments: NDArray[np.float32], *, batch_size: int = 8
) -> NDArray[np.float32]:
    """Score the clips as wholes, float32 (n, K)."""
    weight = next(network.parameters())
    scores = [np.zeros((0, network.linear.out_features), np.float32)]
    for first in range(0, len(segments), batch_size):
        batch = torch.from_numpy(segments[first : first + batch_size])[:, None]
        with torch.inference_mode():
            clip = network(batch.to(weight.device)).clip
        scores.append(clip.float().cpu().numpy())
    return np.concatenate(scores)
