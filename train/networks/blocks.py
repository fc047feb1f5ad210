"""The blocks of the network, each a module that maps maps to maps.

::

    ResidualUnit        x + [conv, BN, ReLU, conv, BN](x)                     self-mask
    SelfMask            two residual units, conv 1x1: logits
    PreActivationUnit   s(x) + [BN, ReLU, conv, BN, ReLU, conv, excite](x)    residual block
    SqueezeExcite       x times a gate for each channel
    PointConv2d         the 1x1 convolution of a shortcut s
    TemporalUnit        x + [narrow, dilated over time, wide](x)              context

Maps are float32 (B, channels, time, frequency). `train.networks.resnet` puts the blocks
together and draws the whole; where the report leaves a choice, a block says what was
chosen under "Decision".
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class ResidualUnit(nn.Module):
    """Conv, batch norm, ReLU, conv, batch norm, plus identity.

    Decision: figure 2 is lost; section 2.4 mentions "feedforward neural networks with
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


class PointConv2d(nn.Conv2d):
    """A 1x1 convolution with a stride that, in training, first takes every n-th element.

    That is the same; but the backward pass of oneDNN, on maps in channels-last order with
    fewer channels than a register has numbers, writes beyond its memory if the stride is
    left to it (torch 2.13; oneDNN's issue 6035).
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, n_in, T, F) to (B, n_out, T / stride[0], F / stride[1])."""
        if not self.training:
            return super().forward(maps)
        time, frequency = self.stride
        return functional.conv2d(
            maps[:, :, ::time, ::frequency], self.weight, self.bias
        )


class PreActivationUnit(nn.Module):
    """BN, ReLU, conv, BN, ReLU, conv, squeeze-and-excite, plus a shortcut.

    The shortcut is the identity, or conv 1x1 and batch norm where the shapes differ
    (section 2.5).
    """

    def __init__(
        self, n_in: int, n_out: int, stride: tuple[int, int], *, excite: bool = True
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(n_in),
            nn.ReLU(inplace=True),
            nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            SqueezeExcite(n_out) if excite else nn.Identity(),
        )
        self.shortcut: nn.Module = nn.Identity()
        if n_in != n_out or stride != (1, 1):
            self.shortcut = nn.Sequential(
                PointConv2d(n_in, n_out, 1, stride=stride, bias=False),
                nn.BatchNorm2d(n_out),
            )

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, n_in, T, F) to (B, n_out, T / stride[0], F / stride[1])."""
        output: Tensor = self.shortcut(maps) + self.body(maps)
        return output


class TemporalUnit(nn.Module):
    """A residual unit over time alone: narrow, dilated, wide, plus identity.

    The convolutions before it see about a second; a few of these let a frame depend on
    seconds before and after it, for almost no cost, since frequency is gone.

    Parameters
    ----------
    channels : int
        Of the maps; the dilated convolution has half of them.
    dilation : int
        Score frames between the three taps.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        narrow = channels // 2
        self.body = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, narrow, 1, bias=False),
            nn.BatchNorm2d(narrow),
            nn.ReLU(inplace=True),
            nn.Conv2d(
                narrow,
                narrow,
                (3, 1),
                padding=(dilation, 0),
                dilation=(dilation, 1),
                bias=False,
            ),
            nn.BatchNorm2d(narrow),
            nn.ReLU(inplace=True),
            nn.Conv2d(narrow, channels, 1),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, C, H, 1) to the same shape."""
        output: Tensor = maps + self.body(maps)
        return output
