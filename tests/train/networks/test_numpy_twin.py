"""The network against its twin in NumPy, which shares nothing with it but the weights."""

import numpy as np
import numpy_network
import pytest
import torch
from torch import nn

from streamsed.config import FrontendConfig
from train.config.network import NetworkConfig
from train.config.preset import load_preset
from train.networks.resnet import Network
from train.networks.yamnet import YamNet

FRONTEND = FrontendConfig(n_mels=32, top_db=numpy_network.TOP_DB)

SETTINGS = {
    "the report": {},
    "no mask": {"self_mask": False},
    "no excitation": {"squeeze_excite": False},
    "doubling": {"multiples": (2, 4, 8, 16)},
    "two pools": {
        "stem_pools": 2,
        "strides": ((1, 1), (2, 2), (1, 2), (1, 1)),
        "multiples": (1, 2, 4, 6),
    },
    "views": {"views": True},
    "a bias by band": {"band_bias": True},
    "context": {"context": (1, 3)},
    "no YAMNet": {
        "stem_pools": 2,
        "strides": ((1, 1), (2, 2), (1, 2), (1, 1)),
        "multiples": (1, 2, 4, 7),
        "views": True,
        "band_bias": True,
        "context": (1, 2, 4, 8),
        "dropout": 0.2,
    },
}
SETTINGS["what ships"] = {
    **SETTINGS["no YAMNet"],
    "multiples": (1, 2, 3, 3),
    "yamnet": 128,
    "yamnet_alone": 0.25,
}


def trained_looking(network):
    """Give every weight and statistic a value of its own, as training would but YAMNet's."""
    generator = torch.Generator().manual_seed(0)
    for name, value in network.state_dict().items():
        if name.startswith("yamnet."):
            continue
        if name.endswith("running_var"):
            value.uniform_(0.5, 2.0, generator=generator)
        elif name.endswith("num_batches_tracked"):
            continue
        elif value.dim() > 1:
            value.normal_(0, (1.5 / value[0].numel()) ** 0.5, generator=generator)
        else:
            value.uniform_(-0.5, 1.0, generator=generator)
    return network.eval()


def segments():
    """Draw two (64, 32) with a frame that hardly varies, and one that does not."""
    x = np.random.default_rng(0).random((2, 64, 32))
    x[:, 10] = 0.5 + 0.01 * x[:, 10]
    x[:, 20] = 0.25
    return x


@pytest.mark.parametrize(
    ("name", "preset"), [("no YAMNet", "default"), ("what ships", "yamnet")]
)
def test_settings_named_after_a_preset_are_its_own(name, preset):
    network = load_preset(preset).network
    assert NetworkConfig(width=network.width, **SETTINGS[name]) == network


@pytest.mark.parametrize("name", SETTINGS)
def test_scores_and_region_are_those_of_the_slow_twin(name):
    config = NetworkConfig(width=8, **SETTINGS[name])
    yamnet = YamNet(FRONTEND) if config.yamnet else None
    bands = yamnet and yamnet.bands.numpy().astype(float)
    network = Network(3, config, n_mels=FRONTEND.n_mels, yamnet=yamnet)
    network = trained_looking(network).double()
    weights = {key: value.numpy() for key, value in network.state_dict().items()}
    x = segments()
    with torch.no_grad():
        outputs = network(torch.from_numpy(x)[:, None])
    for segment, scores, region in zip(x, *outputs, strict=True):
        expected = numpy_network.forward(segment, weights, config, bands=bands)
        assert np.ptp(expected[0]) > 0.05  # else it would say nothing
        np.testing.assert_allclose(scores, expected[0], atol=1e-9)
        np.testing.assert_allclose(region, expected[1], atol=1e-9)


def test_the_report_has_every_part_that_its_sections_name():
    """Counted from the report: 4 blocks of 2 units, 8 SE modules, 3 shortcuts, 2 units."""
    network = Network(10)
    names = [name for name, _ in network.named_modules()]
    assert sum(name.endswith(".gate") for name in names) == 8
    assert sum(name.endswith("shortcut.0") for name in names) == 3
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    three = [c for c in convolutions if c.kernel_size == (3, 3)]
    assert len(three) == 1 + 2 * 2 + 4 * 2 * 2
    assert [c.stride for c in three].count((2, 2)) == 2
    assert [b[1].body[5].out_channels for b in network.blocks] == [64, 128, 256, 512]
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.eps == numpy_network.EPSILON
