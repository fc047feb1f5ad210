"""Evaluation: scores of a network or a model file to events, and events to F1.

Scores become events by the runtime's own `EventTracker`, and a clip of 10 s is one
segment, so what is measured here is what a listener gets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from streamsed.config import FrontendConfig, PostConfig
from streamsed.events import Event
from streamsed.model import Model
from streamsed.tracker import EventTracker
from train.checkpoint import load_trained
from train.counts import F1
from train.metrics import event_f1
from train.psds import psds
from train.recordings import Recordings
from train.rules import PLAIN

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


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of recordings by a run or a model file, and the settings that go with them."""

    scores: list[Scores]
    labels: tuple[str, ...]
    post: PostConfig


def score_with(path: Path, segments: NDArray[np.float32]) -> Scored:
    """Score segments with a run's best network (a folder) or a model file.

    Raises
    ------
    ValueError, FileNotFoundError
        There is nothing to score with at `path`.
    """
    if path.is_dir():
        trained = load_trained(path)
        scores = list(network_scores(trained.network, segments))
        return Scored(scores, trained.labels, PostConfig())
    model = Model.load(path, device="cpu")
    scores = [model.score(segment).scores for segment in segments]
    return Scored(scores, model.info.labels, model.info.post)


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
    recordings: Recordings,
    post: PostConfig,
    config: FrontendConfig,
) -> F1:
    """Compute event F1 of the scores of recordings."""
    labels = recordings.labels
    estimated = [scores_to_events(each, labels, post, config) for each in scores]
    return event_f1(recordings.reference, estimated, labels)


def score_psds(
    scores: Sequence[Scores], recordings: Recordings, config: FrontendConfig
) -> tuple[float, float]:
    """Compute PSDS 1 and 2 of the scores of plain soundscapes."""
    n_samples = [round(PLAIN.duration * config.sample_rate)] * len(scores)
    return psds(
        recordings.reference,
        scores,
        recordings.labels,
        n_samples=n_samples,
        frontend=config,
    )


def recognition_rates(
    scores: Sequence[Scores], recordings: Recordings
) -> dict[str, tuple[int, int]]:
    """Count, per label, the isolated clips whose highest score is of the right label.

    Returns
    -------
    dict
        Label to (right, all).
    """
    counts = dict.fromkeys(recordings.labels, (0, 0))
    for each, events in zip(scores, recordings.reference, strict=True):
        truth = events[0].label
        right, n_all = counts[truth]
        guess = recordings.labels[int(each.max(axis=0).argmax())]
        counts[truth] = (right + int(guess == truth), n_all + 1)
    return counts
