"""Evaluation: scores of a network or a model file to events, and events to F1.

Scores become events by the runtime's own `EventTracker`, and a clip of 10 s is one
segment, so the results here are those that a user gets.
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
from streamsed.progress import task
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
    with task("scoring", len(segments), "segments") as scoring:
        for first in range(0, len(segments), batch_size):
            batch = torch.from_numpy(segments[first : first + batch_size])[:, None].to(
                device
            )
            with torch.inference_mode():
                scores = network(batch).scores.float().cpu().numpy()
            yield from scores
            scoring.advance(len(scores))


def scores_to_events(
    scores: Scores,
    labels: Sequence[str],
    post: PostConfig,
    config: FrontendConfig,
    *,
    n_samples: int | None = None,
) -> list[Event]:
    """Threshold, connect and cut the scores of one clip (section 3).

    Parameters
    ----------
    scores : float32 (H, K)
        In [0, 1].
    labels : sequence of str
        Their columns.
    post : PostConfig
        Thresholds, gaps and durations.
    config : FrontendConfig
        The grid that the scores lie on.
    n_samples : int, optional
        Length of the clip: what lies past it is padding, where no event begins or ends.
        The whole grid if left out.
    """
    tracker = EventTracker(labels, post, config)
    length = config.score_frame_length
    if n_samples is None:
        n_samples = len(scores) * length
    # In rows, as no network must return them; of frames, those that a stream would have.
    in_rows = np.ascontiguousarray(scores[: n_samples // length + 1])
    return sorted(tracker.push(in_rows) + tracker.flush(n_samples))


def score_events(
    scores: Sequence[Scores],
    recordings: EvaluationSet,
    post: PostConfig,
    config: FrontendConfig,
) -> F1:
    """Compute event F1 of the scores of recordings."""
    labels = recordings.labels
    lengths = recordings.lengths(config)
    estimated = [
        scores_to_events(each, labels, post, config, n_samples=n_samples)
        for each, n_samples in zip(scores, lengths, strict=True)
    ]
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
