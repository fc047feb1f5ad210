"""Evaluation: scores of a network or a model file to events, and events to F1.

Scores become events by the runtime's own `EventTracker`, and a clip of 10 s is one
segment, so what is measured here is what a listener gets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from streamsed.config import FrontendConfig, PostConfig
from streamsed.events import Event
from streamsed.pipeline.tracker import EventTracker
from train.config.mixing import EVALUATION_MIXING
from train.datasets.evaluation_set import EvaluationSet
from train.metrics.criteria import event_f1
from train.metrics.f1 import F1
from train.metrics.psds import psds

Scores = NDArray[np.float32]


def network_scores(
    network: nn.Module, segments: NDArray[np.float32], *, batch_size: int = 8
) -> Iterator[Scores]:
    """Score segments with a network in evaluation mode, one array (H, K) each."""
    device = next(network.parameters()).device
    for first in range(0, len(segments), batch_size):
        batch = torch.from_numpy(segments[first : first + batch_size])[:, None].to(
            device
        )
        with torch.inference_mode():
            scores = network(batch).scores.float().cpu().numpy()
        yield from scores


def scores_to_events(
    scores: Scores, labels: Sequence[str], post: PostConfig, config: FrontendConfig
) -> list[Event]:
    """Threshold, connect and cut the scores of one clip (section 3)."""
    tracker = EventTracker(labels, post, config)
    n_samples = scores.shape[0] * config.score_frame_length
    in_rows = np.ascontiguousarray(scores)  # as no network must return them
    return sorted(tracker.push(in_rows) + tracker.flush(n_samples))


def score_events(
    scores: Sequence[Scores],
    recordings: EvaluationSet,
    post: PostConfig,
    config: FrontendConfig,
) -> F1:
    """Compute event F1 of the scores of recordings."""
    labels = recordings.labels
    estimated = [scores_to_events(each, labels, post, config) for each in scores]
    return event_f1(recordings.reference, estimated, labels)


def score_psds(
    scores: Sequence[Scores], recordings: EvaluationSet, config: FrontendConfig
) -> tuple[float, float]:
    """Compute PSDS 1 and 2 of the scores of plain soundscapes."""
    n_samples = [round(EVALUATION_MIXING.duration * config.sample_rate)] * len(scores)
    return psds(
        recordings.reference,
        scores,
        recordings.labels,
        n_samples=n_samples,
        frontend=config,
    )
