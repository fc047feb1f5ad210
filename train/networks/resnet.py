"""The network of the report: a residual network with a self-mask module.

::

    x (B, 1, 1024, 128)
        stem            conv 3x3, batch norm, ReLU, max pool 2      -> M_a  (w, 512, 64)
        self-mask       2 residual units, conv 1x1, sigmoid         -> M_R  (w, 512, 64)
        M_a * M_R
        residual block  4 base blocks, widths w, 2w, 4w, 8w         -> (8w, 128, 16)
        head            batch norm, ReLU, mean over frequency,
                        linear, sigmoid                             -> scores (B, 128, K)

Every width is a multiple of one number, `width` (64 in the report); `NetworkConfig` says
what else may differ. Time is the height, frequency the width of a map. The second output,
the region probability, is the maximum of the mask over channels and frequency: where the
network detects any event.

`logits` gives both outputs before the sigmoid, for losses that stay finite; `forward`
gives probabilities. The sigmoid is monotone, so a maximum may be taken on either side.

References
----------
Sections 2.2 to 2.5 of the report, whose figures are lost. Where its words leave a choice, the
class that makes it, here or in `train.networks.blocks`, says so under "Decision".
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from train.config.network import SUBSAMPLING, YAMNET_FRAMES, NetworkConfig
from train.networks.blocks import PreActivationUnit, SelfMask, TemporalUnit
from train.networks.views import Views
from train.networks.yamnet import N_FEATURES, YamNet

NEAR = 13
"""Score frames, 1 s: see `Network.decide`."""


class Outputs(NamedTuple):
    """Scores (B, H, K) and region (B, H); probabilities or logits, as documented."""

    scores: Tensor
    region: Tensor


def make_stem(width: int, n_pools: int, n_inputs: int = 1) -> nn.Sequential:
    """Build the conv layers (section 2.3); of two stages, the first has half the width.

    Pooling before the ReLU gives the same maps for a quarter of the ReLU's work.
    """
    widths = [n_inputs, width] if n_pools == 1 else [n_inputs, width // 2, width]
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(widths):
        layers += [
            nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def make_blocks(config: NetworkConfig) -> nn.Sequential:
    """Build the residual block: base blocks of two units, the first of which may stride.

    Section 2.5 of the report.
    """
    blocks: list[nn.Module] = []
    n_in = config.width
    for multiple, stride in zip(config.multiples, config.strides, strict=True):
        n_out = multiple * config.width
        first = PreActivationUnit(n_in, n_out, stride, excite=config.squeeze_excite)
        second = PreActivationUnit(n_out, n_out, (1, 1), excite=config.squeeze_excite)
        blocks.append(nn.Sequential(first, second))
        n_in = n_out
    return nn.Sequential(*blocks)


def make_known(config: NetworkConfig) -> nn.Sequential:
    """Build what makes some channels of YAMNet's features, for this network to learn from.

    As `NetworkConfig.dropout` of the features are dropped in training.
    """
    return nn.Sequential(
        nn.BatchNorm2d(N_FEATURES),
        nn.Dropout(config.dropout),
        nn.Conv2d(N_FEATURES, config.yamnet, 1, bias=False),
        nn.BatchNorm2d(config.yamnet),
        nn.ReLU(inplace=True),
    )


class Network(nn.Module):
    """Segments to scores and region.

    Parameters
    ----------
    n_labels : int
        K, labels scored.
    config : NetworkConfig
        Widths and what else may differ from the report's network.
    n_mels : int
        Mel bands of the segments; needed where `config.band_bias` is set.
    n_auxiliary : int
        Other kinds of sounds than the labels that the network learns while it is
        trained; what it ships as does not score them.
    yamnet : YamNet, optional
        Needed where `config.yamnet` is set.

    Raises
    ------
    ValueError
        There are no labels, or no YAMNet where one is needed.

    References
    ----------
    Sections 2.2 to 2.5. Decision: the four base blocks have ResNet-18's relative widths
    1, 2, 4, 8 ("based on ResNet18"). Decision: no gradient is stopped, so the mask learns
    from the scores too, and its own loss teaches the stem.

    Examples
    --------
    >>> network = Network(10, NetworkConfig(width=8)).eval()
    >>> scores, region = network(torch.zeros(1, 1, 1024, 128))
    >>> tuple(scores.shape), tuple(region.shape)
    ((1, 128, 10), (1, 128))
    """

    alone: Tensor

    def __init__(
        self,
        n_labels: int,
        config: NetworkConfig | None = None,
        *,
        n_mels: int = 128,
        n_auxiliary: int = 0,
        yamnet: YamNet | None = None,
    ) -> None:
        super().__init__()
        if n_labels < 1:
            raise ValueError(f"n_labels={n_labels} must be at least 1")
        config = config or NetworkConfig()
        if (yamnet is not None) != bool(config.yamnet):
            raise ValueError(f"yamnet={config.yamnet} must be 0 without a YAMNet")
        self.views = Views() if config.views else None
        self.stem = make_stem(config.width, config.stem_pools, 3 if config.views else 1)
        self.band_bias = (
            nn.Parameter(torch.zeros(1, config.width, 1, n_mels >> config.stem_pools))
            if config.band_bias
            else None
        )
        self.mask = SelfMask(config.width) if config.self_mask else None
        self.blocks = make_blocks(config)
        n_deep = config.multiples[-1] * config.width
        self.head = nn.Sequential(nn.BatchNorm2d(n_deep), nn.ReLU(inplace=True))
        self.yamnet = yamnet
        self.yamnet_alone = config.yamnet_alone
        self.known = make_known(config) if config.yamnet else None
        if config.yamnet:
            alone = torch.tensor([0.0] * n_deep + [1.0] * config.yamnet)
            self.register_buffer("alone", alone[None, :, None, None], persistent=False)
        n_deep += config.yamnet
        self.context = (
            nn.Sequential(*(TemporalUnit(n_deep, each) for each in config.context))
            if config.context
            else None
        )
        self.dropout = nn.Dropout(config.dropout)
        self.linear = nn.Linear(n_deep, n_labels)
        self.auxiliary = nn.Linear(n_deep, n_auxiliary) if n_auxiliary else None
        self.region_pool = SUBSAMPLING // 2**config.stem_pools

    def trunk(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Compute the maps that know sounds but not what lasts, and the mask's logits."""
        maps = self.stem(x if self.views is None else self.views(x))
        if self.band_bias is not None:
            maps = maps + self.band_bias
        mask = None if self.mask is None else self.mask(maps)
        if mask is not None:
            maps = maps * torch.sigmoid(mask)
        deep = self.head(self.blocks(maps))
        if self.context is not None:
            deep = deep.mean(dim=3, keepdim=True)
        if self.yamnet is not None and self.known is not None:
            known = self.known(self.yamnet(x))
            again = YAMNET_FRAMES // SUBSAMPLING  # score frames for each feature
            known = known.expand(-1, -1, -1, again).flatten(2)[..., None]
            deep = torch.cat([deep, known], dim=1)
        return deep, mask

    def without_some(self, deep: Tensor) -> Tensor:
        """Leave YAMNet's features alone in some segments, as training does."""
        kept = torch.rand(len(deep), 1, 1, 1, device=deep.device) >= self.yamnet_alone
        return deep * torch.maximum(kept, self.alone)

    def opinions(self, deep: Tensor) -> Tensor:
        """Map the trunk's maps to what the last layer sees, (B, T / 8, C) or twice as many.

        Where YAMNet's features are trained alone too, these segments are followed by the same
        segments without any other maps.
        """
        if self.yamnet_alone:
            deep = torch.cat([deep, deep * self.alone])
        return self._seen(deep)

    def decide(self, opinions: Tensor) -> Tensor:
        """Map what the last layer sees to logits (B, T / 8, K).

        Of two opinions, scores follow that of all maps, which knows best when a sound begins,
        and are as high as the mean of both: each is moved by half the difference of the
        highest logits within half a second.
        """
        logits: Tensor = self.linear(opinions)
        if not self.yamnet_alone:
            return logits
        highest = functional.max_pool1d(
            logits.transpose(1, 2), NEAR, stride=1, padding=NEAR // 2
        ).transpose(1, 2)
        n = logits.shape[0] // 2
        return logits[:n] + 0.5 * (highest[n:] - highest[:n])

    def _seen(self, deep: Tensor) -> Tensor:
        if self.context is not None:
            deep = functional.relu(self.context(deep))
        dropped: Tensor = self.dropout(deep.mean(dim=3).transpose(1, 2))
        return dropped

    def logits(self, x: Tensor) -> Outputs:
        """Compute both outputs before the sigmoid.

        Parameters
        ----------
        x : float32 (B, 1, T, n_mels)
            Scaled segments, time first; T a multiple of 8.

        Returns
        -------
        Outputs
            Logits of scores (B, T / 8, K) and of region (B, T / 8). Without a self-mask,
            the region is where any label scores.
        """
        scores, _, mask = self._logits(x)
        return self._outputs(scores, mask)

    def all_logits(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute logits of scores and region, and of the auxiliary kinds (B, T / 8, A)."""
        scores, seen, mask = self._logits(x)
        auxiliary = scores[..., :0] if self.auxiliary is None else self.auxiliary(seen)
        return *self._outputs(scores, mask), auxiliary

    def _logits(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return logits of scores, what the last layer saw, and the mask's logits."""
        maps, mask = self.trunk(x)
        if self.training and self.yamnet_alone:
            seen = self._seen(self.without_some(maps))
            return self.linear(seen), seen, mask
        opinions = self.opinions(maps)
        return self.decide(opinions), opinions[: maps.shape[0]], mask

    def _outputs(self, scores: Tensor, mask: Tensor | None) -> Outputs:
        if mask is None:
            return Outputs(scores, scores.amax(dim=2))
        region = functional.max_pool1d(mask.amax(dim=(1, 3)), self.region_pool)
        return Outputs(scores, region)

    def forward(self, x: Tensor) -> Outputs:
        """Compute scores (B, T / 8, K) and region (B, T / 8), both in [0, 1]."""
        scores, region = self.logits(x)
        return Outputs(torch.sigmoid(scores), torch.sigmoid(region))
