"""Prepare a network for export: fold batch norms, and round weights to 16 bits.

All engines get the same numbers from one place, so what separates them is arithmetic
alone. The rounding moves scores by less than any of the engines' own.
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

TINY = 1e-20
"""A bias that changes no sum: see `fold`."""


def fold(network: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode, folded and rounded.

    A batch norm that follows a convolution in an `nn.Sequential` becomes part of it;
    weights (not the biases) are rounded to 16-bit floats, though kept as float32. A
    convolution without a bias gets one of `TINY`: OpenVINO (2026.4) applies the scale of
    an 8-bit convolution twice on the way into a mean, unless a bias stands between.

    Raises
    ------
    ValueError
        A weight is not finite in 16 bits.
    """
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            for i in range(len(module) - 1):
                conv, norm = module[i], module[i + 1]
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    module[i], module[i + 1] = (
                        fuse_conv_bn_eval(conv, norm),
                        nn.Identity(),
                    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.bias is None:
            module.bias = nn.Parameter(torch.full((module.out_channels,), TINY))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.dim() > 1:
                parameter.data = parameter.half().float().contiguous()
            if not parameter.isfinite().all():
                raise ValueError(f"{name} must be finite, and at most 65504 in size")
    return network
