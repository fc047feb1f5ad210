"""Networks of random weights that detect something, and what they are tried on."""

import torch

from streamsed.config import FrontendConfig
from train.config.network import NetworkConfig
from train.config.train import TrainConfig
from train.export.engine_check import CheckSet
from train.fit.checkpoint import TrainedNetwork
from train.networks.factory import make_network

LABELS = ("Cat", "Dog", "Speech")


ONCE = NetworkConfig(width=8)
TWICE = NetworkConfig(width=8, stem_pools=2, strides=((1, 1), (1, 1), (2, 2), (1, 2)))


def random_trained(network_config=TWICE, **settings):
    """A network whose scores vary around the threshold, so that it finds events."""
    torch.manual_seed(0)
    config = TrainConfig(network=network_config, **settings)
    network = make_network(config, len(LABELS)).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 2.0)
    with torch.no_grad():
        logits = network.logits(torch.from_numpy(scene().segments)[:, None]).scores
        scale = 0.3 / logits.std(dim=(0, 1))
        network.linear.bias.sub_(logits.mean(dim=(0, 1))).mul_(scale)
        network.linear.weight.mul_(scale[:, None])
    return TrainedNetwork(network, LABELS, config, step=5)


def scene():
    """Two segments of the example scene; ranges are learnt from the same."""
    whole = CheckSet.of_the_scene(FrontendConfig())
    return CheckSet(whole.segments[:6:4], whole.segments[:6:4])
