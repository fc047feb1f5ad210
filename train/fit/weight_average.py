"""The average of a network's weights over its last steps, which is scored and exported.

A single step's weights are noisy while the learning rate is high; their exponential
moving average is better throughout, and costs one pass over the weights. It is also the
teacher of `train.fit.mean_teacher`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def update_average(
    average: nn.Module,
    network: nn.Module,
    *,
    decay: float,
    step: int,
    tail: float = 0.1,
) -> None:
    """Move the average towards the network after a step, in place.

    What is kept is `step / (step + 1 / tail)` until that exceeds `decay`. With a tail of
    1 this is the true average of all weights so far, the first included: after one step
    a half of each, after two a third. With a shorter tail the start is forgotten sooner.

    Parameters
    ----------
    average, network : Module
        Of the same make. Weights and the statistics of batch norms are averaged;
        counters are copied.
    decay : float
        What is kept of the average in the long run, from 0 to 1.
    step : int
        Steps taken so far, this one included.
    tail : float
        How much of the run so far counts early on, above 0 and at most 1: about its last
        tenth, or with 1 all of it alike.

    Raises
    ------
    ValueError
        `tail` is out of range.
    """
    if not 0 < tail <= 1:
        raise ValueError(f"tail={tail} must be above 0 and at most 1")
    weight = 1.0 - min(decay, step / (step + 1.0 / tail))
    current: dict[str, Tensor] = network.state_dict()
    averaged: list[Tensor] = []
    towards: list[Tensor] = []
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            averaged.append(value)
            towards.append(current[name])
        else:
            value.copy_(current[name])
    torch._foreach_lerp_(averaged, towards, weight)  # one pass, not one for each tensor
