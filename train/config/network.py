"""Settings of the report's network."""

from __future__ import annotations

import math
from dataclasses import dataclass

from streamsed.config import FrontendConfig

SUBSAMPLING = 8
"""Input frames per score frame: 1024 frames give H = 128 scores."""
YAMNET_FRAMES = 16
"""Input frames for each of YAMNet's features."""
YAMNET_BAND = (125.0, 7500.0)
"""Hz that YAMNet's mel bands span."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """How the network is built; the defaults are the report's.

    Parameters
    ----------
    width : int
        Channels of the stem, at least 4. Cost grows with its square.
    stem_pools : {1, 2}
        Stages of the stem, each of which halves time and frequency; the first of two has
        half the width. 2 is a deviation for machines without an accelerator: the mask
        and the first blocks work on maps of a quarter of the size.
    multiples : tuple of int
        Widths of the base blocks, in multiples of `width`.
    strides : tuple of (int, int)
        By how much each base block shortens (time, frequency). With the stem, time is
        divided by 8 in all.
    self_mask, squeeze_excite : bool
        Whether to include these modules; used to measure their contribution.
    views : bool
        Take segments of the `relative` scaling and see three views of them: the report's
        product, the level and each frame's own shape (see `train.networks.views.Views`).
        A deviation from the report, which sees the product alone.
    band_bias : bool
        Learn an offset for each channel and frequency after the stem, so that the network
        can distinguish frequencies. A deviation.
    context : tuple of int
        Dilations, in score frames, of the temporal units before the last layer (see
        `train.networks.blocks.TemporalUnit`); none in the report.
    dropout : float
        Share of the last layer's inputs that is dropped at each training step.
    yamnet : int
        Channels that YAMNet's features add to the maps before the temporal units, 0 for
        none (see `train.networks.yamnet`). A deviation, and the only weights that this
        project does not train.
    yamnet_alone : float
        Share of the segments that are trained on these features alone. The maps know the
        training recordings by heart and would hide them; above 0, scores are the mean of
        two opinions, with the maps and without (see `train.networks.resnet.Network.top`).

    Raises
    ------
    ValueError
        A setting is out of range.
    """

    width: int = 64
    stem_pools: int = 1
    multiples: tuple[int, ...] = (1, 2, 4, 8)
    strides: tuple[tuple[int, int], ...] = ((1, 1), (1, 1), (2, 2), (2, 2))
    self_mask: bool = True
    squeeze_excite: bool = True
    views: bool = False
    band_bias: bool = False
    context: tuple[int, ...] = ()
    dropout: float = 0.0
    yamnet: int = 0
    yamnet_alone: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges; lists, as in TOML and JSON, become tuples."""
        object.__setattr__(self, "multiples", tuple(self.multiples))
        object.__setattr__(self, "context", tuple(self.context))
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} must be from 0 to below 1")
        if not 0 <= self.yamnet_alone < 1:
            raise ValueError(
                f"yamnet_alone={self.yamnet_alone} must be from 0 to below 1"
            )
        if self.yamnet < 0 or (self.yamnet and not (self.views and self.context)):
            raise ValueError(
                f"yamnet={self.yamnet} must be 0, or at least 1 with views=true and context"
            )
        if self.yamnet_alone and not self.yamnet:
            raise ValueError(
                f"yamnet_alone={self.yamnet_alone} must be 0 for yamnet=0, without whose "
                "features nothing would be left"
            )
        if min(self.context, default=1) < 1:
            raise ValueError(f"context={self.context} must be dilations of at least 1")
        if set(map(len, self.strides)) != {2} or min(map(min, self.strides)) < 1:
            raise ValueError(f"strides={self.strides} must be pairs of at least 1")
        strides = tuple((time, frequency) for time, frequency in self.strides)
        object.__setattr__(self, "strides", strides)
        if self.width < 4:
            raise ValueError(f"width={self.width} must be at least 4")
        if self.stem_pools not in (1, 2):
            raise ValueError(f"stem_pools={self.stem_pools} must be 1 or 2")
        if min(self.multiples, default=0) < 1 or len(strides) != len(self.multiples):
            raise ValueError(
                f"multiples={self.multiples} must be positive, as many as the strides"
            )
        shortened = math.prod(time for time, _ in strides) * 2**self.stem_pools
        if shortened != SUBSAMPLING:
            raise ValueError(
                f"strides={strides} must divide time by {SUBSAMPLING} together with "
                f"stem_pools={self.stem_pools}, and divide it by {shortened}"
            )

    @property
    def least_mels(self) -> int:
        """Mel bands that the stem and the base blocks shorten to one.

        Examples
        --------
        >>> NetworkConfig().least_mels
        8
        """
        return math.prod(frequency for _, frequency in self.strides) << self.stem_pools

    def check_yamnet(self, frontend: FrontendConfig) -> None:
        """Check that YAMNet's features, if asked for, can be made of a front-end's frames.

        Raises
        ------
        ValueError
            A setting of the front-end does not allow it.
        """
        if not self.yamnet:
            return
        lowest, highest = YAMNET_BAND
        if frontend.fmin > lowest:
            raise ValueError(
                f"fmin={frontend.fmin} must be at most {lowest:g} Hz for network.yamnet, "
                "whose mel bands begin there"
            )
        if frontend.fmax < highest:
            raise ValueError(
                f"fmax={frontend.fmax} must be at least {highest:g} Hz for network.yamnet, "
                "whose mel bands end there"
            )
        if frontend.segment_frames % YAMNET_FRAMES:
            raise ValueError(
                f"segment_frames={frontend.segment_frames} must be a multiple of "
                f"{YAMNET_FRAMES} for network.yamnet, which has features as often"
            )
