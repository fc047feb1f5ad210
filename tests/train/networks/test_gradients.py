"""What the weights learn from: gradients against differences of the outputs."""

import pytest
import torch
from torch.func import functional_call

from train.config.network import NetworkConfig
from train.networks.resnet import Network

SETTINGS = {
    "the report": {},
    "what ships": {
        "stem_pools": 2,
        "strides": ((1, 1), (2, 2), (1, 2), (1, 1)),
        "views": True,
        "band_bias": True,
        "context": (1, 2),
    },
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("output", ["scores", "region"])
@pytest.mark.parametrize("name", SETTINGS)
def test_no_gradient_is_stopped_on_its_way_to_a_weight(name, output, training):
    """Scores teach the mask that they were multiplied with, the region the stem below it.

    All weights move a little along a line, and the output as its gradient says.
    """
    torch.manual_seed(0)
    network = Network(3, NetworkConfig(width=4, **SETTINGS[name]), n_mels=16)
    network.double().train(training)
    for weight in network.parameters():
        if weight.dim() == 1:  # zeros would leave silent maps at the edge of a ReLU
            torch.nn.init.uniform_(weight, 0.1, 0.9)
    x = torch.rand(2, 1, 32, 16, dtype=torch.float64)
    weights = dict(network.named_parameters())
    line = {key: torch.randn_like(weight) for key, weight in weights.items()}

    def moved(by):
        state = {key: weight + by * line[key] for key, weight in weights.items()}
        values = getattr(functional_call(network, state, (x,)), output)
        return (values * torch.linspace(1, 2, values.numel()).view_as(values)).sum()

    start = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(moved(start), start)
    with torch.no_grad():
        difference = (moved(1e-7) - moved(-1e-7)) / 2e-7
    torch.testing.assert_close(slope, difference, rtol=1e-4, atol=0)
