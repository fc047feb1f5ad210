"""Calibration: a score of 0.8 should be right in four of five frames.

A network trained on one mixture of sounds is overconfident on others. On recordings
that it was not trained on, each label's logit gets a slope and an offset of least
cross-entropy (Platt's method). Both are folded into the network's last layer, so that
nothing of it remains to be done when the network runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from streamsed.config import FrontendConfig
from train.datasets.evaluation_set import EvaluationSet
from train.evaluation.scoring import Scores
from train.networks.resnet import Network

MIN_FRAMES = 50
"""A label with fewer active frames is left as it is."""
MIN_SLOPE = 0.1
"""No calibration turns scores round."""
N_BINS = 10


def fit_calibration(scores: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Fit a slope and an offset for each label's logits: the cross-entropy never rises.

    Parameters
    ----------
    scores : float32 (n_frames, K)
        Between 0 and 1.
    target : float32 (n_frames, K)
        Zeros and ones.

    Returns
    -------
    float32 (K,), float32 (K,)
        Slopes, at least `MIN_SLOPE`, and offsets; 1 and 0 where a label has too few active
        frames.
    """
    logits = torch.logit(scores.double(), eps=1e-7)
    slopes = torch.ones(scores.shape[1], dtype=torch.float64)
    offsets = torch.zeros_like(slopes)
    for column in range(scores.shape[1]):
        z, y = logits[:, column], target[:, column].double()
        if not MIN_FRAMES <= int(y.sum()) <= len(y) - MIN_FRAMES:
            continue
        line = torch.stack([z, torch.ones_like(z)], dim=1)
        change, offset = _descend(z, line, y).tolist()
        slope = 1.0 + change
        if slope < MIN_SLOPE:  # of a convex loss, the best that is allowed is the bound
            slope = MIN_SLOPE
            offset = float(_descend(slope * z, line[:, 1:], y))
        slopes[column], offsets[column] = slope, offset
    return slopes.float(), offsets.float()


def _descend(logits: Tensor, design: Tensor, target: Tensor) -> Tensor:
    """Find what of `design` to add to logits for the least cross-entropy, by Newton's method.

    A step that would raise the loss, as far from the minimum one can, is halved.
    """
    weights = design.new_zeros(design.shape[1])
    loss = functional.binary_cross_entropy_with_logits(logits, target)
    for _ in range(30):
        p = torch.sigmoid(logits + design @ weights)
        curvature = (design * (p * (1 - p))[:, None]).T @ design
        step = torch.linalg.solve(
            curvature + 1e-6 * torch.eye(len(weights), dtype=weights.dtype),
            design.T @ (p - target),
        )
        for _ in range(30):
            tried = functional.binary_cross_entropy_with_logits(
                logits + design @ (weights - step), target
            )
            if tried <= loss:
                break
            step = step / 2
        else:
            break
        weights, loss = weights - step, tried
    return weights


@torch.no_grad()
def calibrate(
    network: Network,
    scores: Sequence[Scores],
    recordings: EvaluationSet,
    config: FrontendConfig,
) -> None:
    """Calibrate a network in place, by its scores of recordings and their truth."""
    slopes, offsets = fit_calibration(
        torch.from_numpy(np.concatenate(scores)),
        torch.from_numpy(np.concatenate(recordings.targets(config))),
    )
    network.linear.weight *= slopes[:, None]
    network.linear.bias.mul_(slopes).add_(offsets)


def reliability(
    scores: NDArray[np.float32], target: NDArray[np.float32]
) -> list[tuple[int, float, float]]:
    """Compare scores with how often they are right, in ten bins.

    Parameters
    ----------
    scores, target : float32 (...)
        Of equal shape.

    Returns
    -------
    list of (int, float, float)
        For each bin of scores: how many there are, their mean, and the share that is
        right; of empty bins, zeros.

    Examples
    --------
    >>> reliability(np.array([0.05, 0.95, 0.97]), np.array([0.0, 1.0, 0.0]))[-1]
    (2, 0.96, 0.5)
    """
    bins = np.minimum((scores.ravel() * N_BINS).astype(int), N_BINS - 1)
    rows = []
    for index in range(N_BINS):
        inside = bins == index
        n = int(inside.sum())
        mean = float(scores.ravel()[inside].mean()) if n else 0.0
        right = float(target.ravel()[inside].mean()) if n else 0.0
        rows.append((n, round(mean, 4), round(right, 4)))
    return rows


def calibration_error(rows: Sequence[tuple[int, float, float]]) -> float:
    """Average the bins' distance between score and truth, weighted by their sizes."""
    n_all = sum(n for n, _, _ in rows)
    return sum(n * abs(mean - right) for n, mean, right in rows) / max(n_all, 1)
