"""The network of the DCASE 2019 baseline: convolutions, then a recurrent layer.

::

    x (B, 1, 864, 64)
        3 blocks        conv 3x3, batch norm, gated linear unit,
                        dropout, average pool 2 x 4             -> (64, 108, 1)
        recurrence      2 bidirectional GRU layers of 64 cells  -> (108, 128)
        dropout
        scores          linear, sigmoid                         -> scores (B, 108, K)
        clip            scores weighted by attention over time  -> clip (B, K)

Time is the height, frequency the width of a map. As in `train.networks.resnet`, `logits` gives
both outputs before the sigmoid, for losses that stay finite, and `forward` gives
probabilities. The second output is not the report's region but the score of the clip:
what a weak label is compared with.

References
----------
The baseline of DCASE 2019 task 4 as its organisers described it and published its
settings (N. Turpault, R. Serizel, J. Salamon and A. Shah, 2019).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

N_BLOCKS = 3
POOL = (2, 4)
"""Each block divides time by 2 and frequency by 4: 8 frames give one score frame."""
BANDS = 4**N_BLOCKS
"""Mel bands that the blocks pool into one."""


class ClipOutputs(NamedTuple):
    """Scores (B, H, K) and clip (B, K); probabilities or logits, as documented."""

    scores: Tensor
    clip: Tensor


class GatedLinear(nn.Module):
    """Gated linear unit: a linear layer over channels times the sigmoid of its input.

    Decision: both factors have all the channels of the map, and the gate has no weights
    of its own, as the baseline has it; the better known unit halves the channels.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.linear = nn.Conv2d(n_channels, n_channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, C, T, F) to the same shape."""
        gated: Tensor = self.linear(maps) * torch.sigmoid(maps)
        return gated


class Dropout(nn.Module):
    """Dropout, drawn eight elements at a time on a CPU.

    Drawing a number for every element took a third of a training step. A byte of noise
    is enough for each, and makes all of dropout three times as fast; the probability is
    rounded to 256ths for it.

    Parameters
    ----------
    probability : float
        That an element becomes 0, from 0 to below 1; the rest is scaled up to keep the
        mean.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0 <= probability < 1:
            raise ValueError(f"dropout={probability} must be from 0 to below 1")
        self.n_dropped = min(round(256 * probability), 255)

    def forward(self, maps: Tensor) -> Tensor:
        """Map a tensor without gaps in memory to the same shape."""
        if not self.training or self.n_dropped == 0:
            return maps
        if not maps.is_cpu:  # other devices draw fast
            return functional.dropout(maps, self.n_dropped / 256)
        words = torch.empty(-(-maps.numel() // 8), dtype=torch.int64)
        words.random_(-(2**63), None)  # all 64 bits
        noise = words.view(torch.uint8)[: maps.numel()]
        kept = noise.as_strided(maps.shape, maps.stride()) >= self.n_dropped
        return maps * (kept.to(maps.dtype) * (256 / (256 - self.n_dropped)))


def conv_block(n_in: int, n_out: int, dropout: float) -> nn.Sequential:
    """Build one block: (B, n_in, T, F) to (B, n_out, T // 2, F // 4).

    Decision: batch norm keeps torch's momentum of 0.1. The baseline's 0.99 makes torch
    forget all but the last batch, where other libraries would remember 0.99. The
    convolution has no bias, which the batch norm after it would take away.
    """
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(n_out, eps=1e-3),
        GatedLinear(n_out),
        Dropout(dropout),
        nn.AvgPool2d(POOL),
    )


def attention_logits(scores: Tensor, attention: Tensor) -> Tensor:
    """Pool the scores of frames to the logit of the clip's score.

    With scores `p`, attention weights `a` (a softmax over labels) and sums over frames,
    the clip's score is `sum(a p) / sum(a)`, and so its logit is
    `log sum(a p) - log sum(a (1 - p))`: two sums of exponentials of logarithms that stay
    finite where `p` would round to 0 or 1.

    Parameters
    ----------
    scores : float32 (B, H, K)
        Logits of `p`.
    attention : float32 (B, H, K)
        Logits of `a`: how much a frame is about each label, compared with the others.

    Returns
    -------
    float32 (B, K)
        Logits of the clip's scores.

    Examples
    --------
    Two frames of two labels. Attention is even, so the clip's scores are the means:

    >>> p = torch.tensor([[[0.2, 0.9], [0.6, 0.9]]])
    >>> torch.sigmoid(attention_logits(torch.logit(p), torch.zeros_like(p)))
    tensor([[0.4000, 0.9000]])
    """
    weights = torch.log_softmax(attention, dim=2)
    present = torch.logsumexp(weights + functional.logsigmoid(scores), dim=1)
    absent = torch.logsumexp(weights + functional.logsigmoid(-scores), dim=1)
    return present - absent


def initialise(module: nn.Module) -> None:
    """Draw the weights of one layer as the baseline does; to be applied to a network.

    Convolutions by Glorot's uniform rule with a gain of sqrt(2), scales of batch norms
    around 1 with a deviation of 0.02, matrices of the recurrence orthogonal, linear
    layers normal with a deviation of 0.01; biases 0, but for the recurrence's, which stay
    as torch draws them. The gated units' linear layer is a convolution here and a linear
    layer there, so it is drawn as one.
    """
    if isinstance(module, GatedLinear):
        nn.init.normal_(module.linear.weight, 0.0, 0.01)
        nn.init.zeros_(module.linear.bias)  # type: ignore[arg-type]
    elif isinstance(module, nn.Conv2d) and module.bias is None:
        nn.init.xavier_uniform_(module.weight, gain=math.sqrt(2.0))
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.GRU):
        for weight in module.parameters():
            if weight.dim() > 1:
                nn.init.orthogonal_(weight)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.01)
        nn.init.zeros_(module.bias)


class Crnn(nn.Module):
    """Segments to scores of frames and of the clip.

    Parameters
    ----------
    n_labels : int
        K, labels scored.
    n_mels : int
        Mel bands of the input, a multiple of 64. The baseline has 64, pooled into one;
        of more, the remaining frequencies are concatenated for the recurrence.
    n_filters : int
        Channels of every convolution, at least 4; the baseline's are 64.
    n_cells : int
        Cells of a GRU layer in each direction; the baseline's are 64.
    dropout : float
        After each block's unit and after the recurrence, from 0 to below 1.

    Raises
    ------
    ValueError
        A parameter is out of range.

    Examples
    --------
    >>> crnn = Crnn(10, n_filters=8, n_cells=8).eval()
    >>> scores, clip = crnn(torch.zeros(1, 1, 864, 64))
    >>> tuple(scores.shape), tuple(clip.shape)
    ((1, 108, 10), (1, 10))
    """

    def __init__(
        self,
        n_labels: int,
        *,
        n_mels: int = 64,
        n_filters: int = 64,
        n_cells: int = 64,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if n_labels < 1:
            raise ValueError(f"n_labels={n_labels} must be at least 1")
        if n_mels < 1 or n_mels % BANDS:
            raise ValueError(f"n_mels={n_mels} must be a positive multiple of {BANDS}")
        if n_filters < 4:  # as for `NetworkConfig`
            raise ValueError(f"n_filters={n_filters} must be at least 4")
        if n_cells < 1:
            raise ValueError(f"n_cells={n_cells} must be at least 1")
        self.blocks = nn.Sequential(
            *[
                conv_block(n_filters if block else 1, n_filters, dropout)
                for block in range(N_BLOCKS)
            ]
        )
        self.recurrence = nn.GRU(
            n_filters * (n_mels // BANDS),
            n_cells,
            num_layers=2,
            batch_first=True,
            bidirectional=True,
        )
        self.dropout = Dropout(dropout)
        self.linear = nn.Linear(2 * n_cells, n_labels)
        self.attention = nn.Linear(2 * n_cells, n_labels)
        self.apply(initialise)

    def logits(self, x: Tensor) -> ClipOutputs:
        """Compute both outputs before the sigmoid.

        Parameters
        ----------
        x : float32 (B, 1, T, n_mels)
            Scaled segments, time first. Where T is no multiple of 8, the frames after
            the last multiple get no score: 863 frames give 107 scores, not 108.

        Returns
        -------
        ClipOutputs
            Logits of scores (B, T // 8, K) and of the clip (B, K), float32 under
            autocast too.
        """
        maps = self.blocks(x)
        # (B, C, H, F) to (B, H, C * F). A CPU recurs in float32 under autocast as well.
        sequence = maps.transpose(1, 2).flatten(2).float()
        hidden = self.dropout(self.recurrence(sequence)[0])
        scores = self.linear(hidden).float()
        return ClipOutputs(
            scores, attention_logits(scores, self.attention(hidden).float())
        )

    def forward(self, x: Tensor) -> ClipOutputs:
        """Compute scores (B, T // 8, K) and clip (B, K), both in [0, 1]."""
        scores, clip = self.logits(x)
        return ClipOutputs(torch.sigmoid(scores), torch.sigmoid(clip))
