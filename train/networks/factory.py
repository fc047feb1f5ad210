"""The network that a configuration asks for."""

from __future__ import annotations

import torch

from train.config.train import TrainConfig
from train.networks.crnn import Crnn
from train.networks.resnet import Network
from train.networks.yamnet import YamNet


def make_network(
    config: TrainConfig, n_labels: int, *, n_auxiliary: int = 0
) -> Network | Crnn:
    """Build the network of a configuration, in the layout that is fastest on a CPU."""
    network: Network | Crnn
    if config.system == "crnn":
        network = Crnn(
            n_labels, n_mels=config.frontend.n_mels, n_filters=config.network.width
        )
    else:
        network = Network(
            n_labels,
            config.network,
            n_mels=config.frontend.n_mels,
            n_auxiliary=n_auxiliary,
            yamnet=YamNet(config.frontend) if config.network.yamnet else None,
        )
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
