"""The average of a network's weights over its last steps: what is scored and shipped.

A single step's weights are noisy while the learning rate is high; their exponential
moving average is better throughout, and costs one pass over the weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def update_average(
    average: nn.Module, network: nn.Module, *, decay: float, step: int
) -> None:
    """Move the average towards the network after a step, in place.

    Parameters
    ----------
    average, network : Module
        Of the same make. Weights and the statistics of batch norms are averaged;
        counters are copied.
    decay : float
        What is kept of the average, from 0 to 1.
    step : int
        Steps taken so far; early on less is kept, so that the start is soon forgotten.
    """
    weight = 1.0 - min(decay, step / (step + 10.0))
    current: dict[str, Tensor] = network.state_dict()
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            value.lerp_(current[name], weight)
        else:
            value.copy_(current[name])
