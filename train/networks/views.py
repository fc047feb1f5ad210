"""Views of a segment: what the network sees where it takes relative levels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

RANGE = 1e-3
"""Levels, of 1 in all, that a range has at least: 0.08 dB."""


class Views(nn.Module):
    """Three views of a segment of relative levels, as channels.

    The report's product (eq. 1) forgets: a sound 20 dB below another of the same segment
    is scaled down three times, and the level is lost. Here the
    product is one view of three: beside it stand the level itself and the row-wise scaled
    frame, which no other frame can change. All three can be computed from the level alone,
    since min-max scaling undoes any scale and offset.

    Examples
    --------
    >>> level = torch.tensor([[[[0.5, 1.0], [0.0, 0.25]]]])
    >>> Views()(level)[0, 0]  # the product
    tensor([[0., 1.],
            [0., 0.]])
    """

    def forward(self, level: Tensor) -> Tensor:
        """Map relative levels (B, 1, T, F) to product, level and shape (B, 3, T, F)."""
        shape = min_max(level, (3,))
        product = shape * min_max(level, (2,)) * min_max(level, (2, 3))
        return torch.cat([product, level, shape], dim=1)


def min_max(maps: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Scale to [0, 1] over some dimensions; what has no range scales to 0.

    A range of less than `RANGE` counts as less, and none as nothing: engines in 16 bits may
    round the lowest value and not the others, and then find hundreds where nothing is.
    """
    lowest = maps.amin(dim=dims, keepdim=True)
    span = maps.amax(dim=dims, keepdim=True) - lowest
    scaled = (maps - lowest) / span.clamp(min=1e-6)
    return scaled * (span / RANGE).clamp(min=0.0, max=1.0)
