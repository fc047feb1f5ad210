"""The network of the report: a residual network with a self-mask module.

::

    x (B, 1, 1024, 128)
        stem            conv 3x3, batch norm, ReLU, max pool 2      -> M_a  (w, 512, 64)
        self-mask       2 residual units, conv 1x1, sigmoid         -> M_R  (w, 512, 64)
        M_a * M_R
        residual block  4 base blocks, widths w, 2w, 4w, 8w         -> (8w, 128, 16)
        head            batch norm, ReLU, mean over frequency,
                        linear, sigmoid                             -> scores (B, 128, K)

Every width is a multiple of one number, `width` (64 in the report). Time is the height,
frequency the width of a map. The second output, the region probability, is the maximum
of the mask over channels and frequency: where the network believes that anything sounds.

`logits` gives both outputs before the sigmoid, for losses that stay finite; `forward`
gives probabilities. The sigmoid is monotone, so a maximum may be taken on either side.

References
----------
Sections 2.2 to 2.5, figures 1 to 3 of the report. Where its figures leave a choice, the
class that makes it says so under "Decision".
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

SUBSAMPLING = 8
"""Input frames per score frame: 1024 frames give H = 128 scores."""


class Outputs(NamedTuple):
    """Scores (B, H, K) and region (B, H); probabilities or logits, as documented."""

    scores: Tensor
    region: Tensor


class ResidualUnit(nn.Module):
    """Conv, batch norm, ReLU, conv, batch norm, plus identity.

    Decision: figure 2 is lost; section 2.4 speaks of "feedforward neural networks with
    shortcut connections", the words of He et al. (2015) for this unit. Convolutions are
    3x3, as everywhere else in the network.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, C, T, F) to the same shape."""
        output: Tensor = maps + self.body(maps)
        return output


class SelfMask(nn.Module):
    """Propose where events are: maps to mask logits of the same shape (section 2.4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.units = nn.Sequential(ResidualUnit(channels), ResidualUnit(channels))
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, C, T, F) to logits of the mask, of the same shape."""
        logits: Tensor = self.project(self.units(maps))
        return logits


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate computed from the mean of all channels.

    Decision: the report names no reduction; 16 is the common one. The hidden layer has
    at least 4 units, which is what width 64 has at its narrowest, so only networks
    narrower than the report's are touched.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(4, channels // reduction)
        self.gate = nn.Sequential(
            nn.Linear(channels, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, channels),
            nn.Sigmoid(),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, C, T, F) to the same shape."""
        gate: Tensor = self.gate(maps.mean(dim=(2, 3)))
        return maps * gate[:, :, None, None]


class PreActivationUnit(nn.Module):
    """BN, ReLU, conv, BN, ReLU, conv, squeeze-and-excite, plus a shortcut.

    The shortcut is the identity, or conv 1x1 and batch norm where the shapes differ
    (section 2.5).
    """

    def __init__(self, n_in: int, n_out: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(n_in),
            nn.ReLU(inplace=True),
            nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            SqueezeExcite(n_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if n_in != n_out or stride != (1, 1):
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False),
                nn.BatchNorm2d(n_out),
            )

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, n_in, T, F) to (B, n_out, T / stride[0], F / stride[1])."""
        output: Tensor = self.shortcut(maps) + self.body(maps)
        return output


def base_block(n_in: int, n_out: int, stride: tuple[int, int]) -> nn.Sequential:
    """Build one base block: two units, the first of which may stride (figure 3)."""
    return nn.Sequential(
        PreActivationUnit(n_in, n_out, stride), PreActivationUnit(n_out, n_out, (1, 1))
    )


class Network(nn.Module):
    """Segments to scores and region.

    Parameters
    ----------
    n_labels : int
        K, labels scored.
    width : int
        Channels of the stem, at least 4; the report's is 64. Cost grows with its square.
    stem_pools : {1, 2}
        1 is the report's network. 2 pools a second time in the stem, so the mask and
        the first blocks work on maps of a quarter of the size; of the two later halvings
        of time only the first is kept, so H stays 128. A deviation, for machines without
        an accelerator: less than half the cost at the same width.

    Raises
    ------
    ValueError
        A parameter is out of range.

    References
    ----------
    Sections 2.2 to 2.5. Decision: the four base blocks have ResNet-18's relative widths
    1, 2, 4, 8 ("based on ResNet18").

    Examples
    --------
    >>> network = Network(10, width=8, stem_pools=2).eval()
    >>> scores, region = network(torch.zeros(1, 1, 1024, 128))
    >>> tuple(scores.shape), tuple(region.shape)
    ((1, 128, 10), (1, 128))
    """

    def __init__(self, n_labels: int, *, width: int = 64, stem_pools: int = 1) -> None:
        super().__init__()
        if n_labels < 1:
            raise ValueError(f"n_labels={n_labels} must be at least 1")
        if width < 4:  # torch 2.13's backward pass crashed on two channels
            raise ValueError(f"width={width} must be at least 4")
        if stem_pools not in (1, 2):
            raise ValueError(f"stem_pools={stem_pools} must be 1 or 2")
        # Pooling before the ReLU gives the same maps for a quarter of the ReLU's work,
        # and two small pools train in half the time of a large one on a CPU.
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            *[nn.MaxPool2d(2) for _ in range(stem_pools)],
            nn.ReLU(inplace=True),
        )
        self.mask = SelfMask(width)
        last = (2, 2) if stem_pools == 1 else (1, 2)
        self.blocks = nn.Sequential(
            base_block(width, width, (1, 1)),
            base_block(width, 2 * width, (1, 1)),
            base_block(2 * width, 4 * width, (2, 2)),
            base_block(4 * width, 8 * width, last),
        )
        self.head = nn.Sequential(nn.BatchNorm2d(8 * width), nn.ReLU(inplace=True))
        self.linear = nn.Linear(8 * width, n_labels)
        self.region_pool = SUBSAMPLING // 2**stem_pools

    def logits(self, x: Tensor) -> Outputs:
        """Compute both outputs before the sigmoid.

        Parameters
        ----------
        x : float32 (B, 1, T, n_mels)
            Normalised segments, time first; T a multiple of 8.

        Returns
        -------
        Outputs
            Logits of scores (B, T / 8, K) and of region (B, T / 8).
        """
        maps = self.stem(x)
        mask = self.mask(maps)
        deep = self.head(self.blocks(maps * torch.sigmoid(mask)))
        scores = self.linear(deep.mean(dim=3).transpose(1, 2))
        region = functional.max_pool1d(mask.amax(dim=(1, 3)), self.region_pool)
        return Outputs(scores, region)

    def forward(self, x: Tensor) -> Outputs:
        """Compute scores (B, T / 8, K) and region (B, T / 8), both in [0, 1]."""
        scores, region = self.logits(x)
        return Outputs(torch.sigmoid(scores), torch.sigmoid(region))
