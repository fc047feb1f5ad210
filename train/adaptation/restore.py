"""A network to go on training with, from the model file that it was shipped in.

What ships has its batch norms folded into the convolutions before them, and no layer for
the kinds of sounds that served training alone. Here the weights are read from the file's
checked graph, as data, and put into an ordinary network whose batch norms, where they were
folded, change nothing but add the bias that folding left::

    shipped      conv (weight, bias)
    restored     conv (weight) > batch norm (mean 0, variance 1, scale 1, the bias)

The statistics of its batch norms are what they are: they must stay frozen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from streamsed.config.frontend import SEGMENT_SCALINGS
from streamsed.inference.model_file import ModelFile, ModelInfo
from streamsed.inference.onnx_weights import has_graph, read_graph, read_probe
from train.config.train import TrainConfig
from train.datasets.scaling import Relative
from train.fit.checkpoint import TrainedNetwork
from train.networks.factory import make_network
from train.networks.resnet import Network

MAX_DIFFERENCE = 2e-3
"""Of a score, from what the file says that the network answers."""

HALVED = ".f16"
"""End of the names of weights that a graph keeps in 16 bits."""


def restore(file: ModelFile) -> TrainedNetwork:
    """Read a model file's network and how it was made.

    Parameters
    ----------
    file : ModelFile
        Exported by this version; anybody's, since nothing in it is run.

    Returns
    -------
    TrainedNetwork
        In evaluation mode, with its labels and settings.

    Raises
    ------
    ValueError
        The file holds no network of this project's kind, or one that was not trained on
        scenes, or its network answers otherwise than it says.
    """
    info = file.info
    try:
        config = training_config(info)
        if not has_graph(file, "fp32"):
            raise ValueError("it has no graph")
        tensors = read_graph(file, "fp32").tensors
        network = _network(config, len(info.labels), tensors)
        probe = read_probe(file)
        with torch.inference_mode():
            scores = network(torch.from_numpy(probe.features)[None, None]).scores[0]
        difference = float(np.abs(scores.numpy() - probe.scores).max())
        if not difference <= MAX_DIFFERENCE:
            raise ValueError(
                f"its network answers {difference:.2g} away from the probe"
            )
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"{file.path}: cannot be adapted ({reason}); adapt takes models that were "
            "trained on scenes by `python -m train fit`"
        ) from error
    scaling = Relative(top_db=config.frontend.top_db)
    return TrainedNetwork(network, info.labels, config, 0, scaling)


def training_config(info: ModelInfo) -> TrainConfig:
    """Return the settings that a model file says it was trained with.

    Raises
    ------
    ValueError
        They are not such, or not those of a network of scenes.
    """
    known = {each.name for each in fields(TrainConfig)}
    stated: Mapping[str, Any] = {k: v for k, v in info.training.items() if k in known}
    config = TrainConfig.from_dict(stated)
    if config.system != "resnet" or config.scaling != "relative":
        raise ValueError(
            f"system={config.system} with scaling={config.scaling} must be resnet with "
            "relative"
        )
    if info.frontend.scaling not in SEGMENT_SCALINGS:
        raise ValueError(f"scaling={info.frontend.scaling} is unknown")
    return replace(config, frontend=info.frontend)


def _network(
    config: TrainConfig, n_labels: int, tensors: Mapping[str, NDArray[Any]]
) -> Network:
    """Make the network and give it the weights of a folded one."""
    stored = {
        name.removesuffix(HALVED): values.astype(np.float32)
        for name, values in tensors.items()
        if values.dtype.kind == "f"
    }
    with torch.device("meta"):  # a stranger's settings may ask for any size
        shapes = {
            name: tuple(value.shape)
            for name, value in make_network(config, n_labels).state_dict().items()
        }
        n_numbers = sum(math.prod(shape) for shape in shapes.values())
    if n_numbers > 2 * sum(values.size for values in stored.values()):
        raise ValueError("its settings are those of a larger network than it holds")
    network = make_network(config, n_labels)
    assert isinstance(network, Network)
    state = network.state_dict()
    for norm, conv in folded_norms(network).items():
        weight = f"{conv}.weight"
        state[weight] = _fitting(stored[weight], state[weight])
        state[f"{norm}.bias"] = _fitting(stored[f"{conv}.bias"], state[f"{norm}.bias"])
        scale = math.sqrt(1.0 + _module(network, norm).eps)  # type: ignore[operator]
        state[f"{norm}.weight"] = torch.full_like(state[f"{norm}.weight"], scale)
        state[f"{norm}.running_mean"].zero_()
        state[f"{norm}.running_var"].fill_(1.0)
        for name in (weight, *(f"{norm}.{each}" for each in _OF_NORM)):
            shapes.pop(name)
    for name in shapes:
        if name == "linear.weight":
            state[name] = _fitting(_last_layer(stored, shapes), state[name])
        elif not name.endswith("num_batches_tracked"):
            state[name] = _fitting(stored[name], state[name])
    network.load_state_dict(state)
    return network.eval()


_OF_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def folded_norms(network: nn.Module) -> dict[str, str]:
    """Return the convolution into which each batch norm is folded, by their names."""
    pairs = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Sequential):
            for i in range(len(module) - 1):
                conv, norm = module[i], module[i + 1]
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    pairs[f"{name}.{i + 1}"] = f"{name}.{i}"
    return pairs


def _last_layer(
    stored: Mapping[str, NDArray[np.float32]], shapes: Mapping[str, tuple[int, ...]]
) -> NDArray[np.float32]:
    """Find the last layer's weights, which the exporter transposes and renames."""
    if "linear.weight" in stored:
        return stored["linear.weight"]
    turned = shapes["linear.weight"][::-1]
    found = [
        values
        for name, values in stored.items()
        if name not in shapes and values.shape == turned
    ]
    if len(found) != 1:
        raise ValueError("its last layer is not where it should be")
    return np.ascontiguousarray(found[0].T)


def _fitting(values: NDArray[np.float32], like: torch.Tensor) -> torch.Tensor:
    if values.shape != tuple(like.shape):
        raise ValueError(f"weights of {values.shape} must be of {tuple(like.shape)}")
    return torch.from_numpy(np.array(values)).contiguous()


def _module(network: nn.Module, name: str) -> nn.Module:
    return network.get_submodule(name)
