"""The network: shapes, ranges, and that it is the report's."""

import subprocess
import sys

import pytest
import torch

from train.config.network import NetworkConfig
from train.config.preset import load_preset
from train.networks.blocks import PointConv2d, PreActivationUnit
from train.networks.factory import make_network
from train.networks.resnet import Network, make_stem

TWICE = {"stem_pools": 2, "strides": ((1, 1), (1, 1), (2, 2), (1, 2))}


def make(n_labels=3, **settings):
    return Network(n_labels, NetworkConfig(width=8, **settings)).eval()


@pytest.mark.parametrize("settings", [{}, TWICE, {"self_mask": False}])
def test_a_ten_second_segment_gives_128_score_frames(settings):
    network = make(10, **settings)
    with torch.no_grad():
        scores, region = network(torch.rand(2, 1, 1024, 128))
    assert scores.shape == (2, 128, 10)
    assert region.shape == (2, 128)


@pytest.mark.parametrize(("settings", "side"), [({}, 2), (TWICE, 4)])
def test_maps_have_the_shapes_that_the_options_promise(settings, side):
    network = make(10, **settings)
    with torch.no_grad():
        maps = network.stem(torch.rand(1, 1, 1024, 128))
        mask = network.mask(maps)
        deep = network.blocks(maps)
    assert maps.shape == mask.shape == (1, 8, 1024 // side, 128 // side)
    assert deep.shape == (1, 64, 128, 128 // side // 4)


def test_outputs_and_mask_are_probabilities():
    network = make()
    x = 100 * torch.randn(1, 1, 256, 128)
    with torch.no_grad():
        outputs = network(x)
        mask = torch.sigmoid(network.mask(network.stem(x)))
    for values in (*outputs, mask):
        assert values.min() >= 0
        assert values.max() <= 1


def test_region_is_the_maximum_of_the_mask():
    network = make()
    x = torch.rand(1, 1, 256, 128)
    with torch.no_grad():
        mask = torch.sigmoid(network.mask(network.stem(x)))
        region = network(x).region
    by_hand = mask[0].amax(dim=(0, 2)).reshape(32, 4).amax(dim=1)
    torch.testing.assert_close(region[0], by_hand)


def test_logits_are_the_outputs_before_the_sigmoid():
    network = make()
    x = torch.rand(1, 1, 128, 128)
    with torch.no_grad():
        outputs, logits = network(x), network.logits(x)
    torch.testing.assert_close(outputs.scores, torch.sigmoid(logits.scores))
    torch.testing.assert_close(outputs.region, torch.sigmoid(logits.region))


def test_pooling_before_the_relu_changes_nothing():
    network = make()
    x = torch.rand(1, 1, 64, 128)
    with torch.no_grad():
        conv = network.stem[1](network.stem[0](x))
        report = torch.nn.functional.max_pool2d(torch.relu(conv), 2)
        assert torch.equal(network.stem(x), report)


def test_the_reports_width_has_the_size_of_a_resnet18():
    parameters = sum(p.numel() for p in Network(10).parameters())
    assert 11.0e6 < parameters < 11.7e6


def test_weights_and_batch_norms_begin_as_torchs_own():
    """The report says nothing of them, and no convolution of a residual unit has a bias."""
    torch.manual_seed(0)
    network = Network(10, NetworkConfig(width=16))
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert (module.momentum, module.eps) == (0.1, 1e-5)
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()
        elif isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            weights = module.weight.flatten(1)
            bound = weights.shape[1] ** -0.5  # uniform up to it, with either sign
            assert weights.abs().max() <= bound
            deviation = bound / 3**0.5
            if weights.numel() > 500:
                assert weights.std().item() == pytest.approx(deviation, rel=0.1), name
            has_bias = isinstance(module, torch.nn.Linear) or name == "mask.project"
            assert (module.bias is not None) == has_bias
    assert network.dropout.p == 0


def test_segments_do_not_influence_each_other():
    network = make()
    x = torch.rand(2, 1, 128, 128)
    with torch.no_grad():
        together, alone = network(x).scores[:1], network(x[:1]).scores
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 2}, "width=2 must"),
        ({"stem_pools": 3}, "stem_pools=3 must"),
        ({"stem_pools": 2}, "divide time by 8 together with stem_pools=2, .* by 16"),
        ({"multiples": (1, 2)}, r"multiples=\(1, 2\) must"),
    ],
)
def test_bad_parameters_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        NetworkConfig(**arguments)


def test_a_network_without_labels_is_refused_and_one_is_enough():
    with pytest.raises(ValueError, match="n_labels=0 must"):
        Network(0)
    assert make(1)(torch.rand(1, 1, 16, 128)).scores.shape == (1, 2, 1)


@pytest.mark.parametrize(("n_pools", "widths"), [(1, [12]), (2, [6, 12])])
def test_the_first_of_two_stages_of_the_stem_has_half_the_width(n_pools, widths):
    stem = make_stem(12, n_pools)
    convolutions = [m for m in stem if isinstance(m, torch.nn.Conv2d)]
    assert [conv.out_channels for conv in convolutions] == widths
    assert stem(torch.rand(1, 1, 16, 16)).shape == (1, 12, *[16 >> n_pools] * 2)


@pytest.mark.parametrize(("channels", "hidden"), [(8, 4), (64, 4), (128, 8), (512, 32)])
def test_excitation_narrows_to_a_sixteenth_and_to_four_at_least(channels, hidden):
    unit = PreActivationUnit(channels, channels, (1, 1))
    assert unit.body[6].gate[0].out_features == hidden


def test_base_blocks_have_the_widths_and_strides_asked_for():
    strides = ((1, 1), (2, 2), (1, 2), (1, 1))
    network = make(stem_pools=2, multiples=(1, 3, 2, 5), strides=strides)
    maps, shapes = torch.rand(1, 8, 256, 32), []
    with torch.no_grad():
        for block in network.blocks:
            maps = block(maps)
            shapes.append(tuple(maps.shape[1:]))
    assert shapes == [(8, 256, 32), (24, 128, 16), (16, 128, 8), (40, 128, 8)]


def test_without_a_mask_the_region_is_where_any_label_scores():
    network = make(self_mask=False)
    with torch.no_grad():
        scores, region = network(torch.rand(1, 1, 128, 128))
    torch.testing.assert_close(region, scores.amax(dim=2), atol=1e-6, rtol=0)


def test_without_excitation_no_channel_is_gated():
    names = [name for name, _ in make(squeeze_excite=False).named_parameters()]
    assert not any("gate" in name for name in names)
    assert any("gate" in name for name, _ in make().named_parameters())


@pytest.mark.parametrize("channels", [4, 8, 12, 16])
@pytest.mark.parametrize("stride", [(1, 2), (2, 1), (2, 2), (3, 2)])
def test_a_strided_point_convolution_trains_as_torchs_own(channels, stride):
    own = torch.nn.Conv2d(channels, 7, 1, stride=stride, bias=False).double()
    ours = PointConv2d(channels, 7, 1, stride=stride, bias=False).double()
    ours.load_state_dict(own.state_dict())
    maps = torch.randn(2, channels, 13, 10, dtype=torch.float64)
    gradients = []
    for conv in (own, ours.train()):
        x = maps.clone().requires_grad_()
        out = conv(x)
        (out * torch.arange(out.numel()).view_as(out)).sum().backward()
        gradients.append((out, x.grad, conv.weight.grad))
    for theirs, mine in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs)
    assert torch.equal(ours.eval()(maps), own(maps))


def test_the_backward_pass_of_a_point_convolution_is_left_no_stride():
    conv = PointConv2d(8, 16, 1, stride=(2, 3), bias=False)
    maps = torch.rand(1, 8, 6, 6)
    assert conv.train()(maps).grad_fn._saved_stride == (1, 1)
    assert conv.eval()(maps).grad_fn._saved_stride == (2, 3)  # one node when exported


NARROW = """
import torch
from train.networks.blocks import PointConv2d
torch.set_num_threads(1)
conv = PointConv2d(8, 16, 1, stride=2, bias=False)
for _ in range(8):
    maps = torch.rand(4, 8, 256, 32).contiguous(memory_format=torch.channels_last)
    conv(maps.requires_grad_()).square().mean().backward()
    others = [torch.rand(n) for n in range(1000, 1100)]
"""


def test_a_narrow_one_trains_without_writing_beyond_its_memory():
    """Strided by oneDNN, it ends the process on processors with AVX-512."""
    subprocess.run([sys.executable, "-c", NARROW], check=True)


@pytest.mark.parametrize("width", [4, 8, 12])
def test_narrow_networks_train(width):
    network = Network(3, NetworkConfig(width=width)).train()
    segments = torch.rand(4, 1, 256, 128).contiguous(memory_format=torch.channels_last)
    scores, region = network(segments)
    (scores.mean() + region.mean()).backward()
    assert all(weight.grad.isfinite().all() for weight in network.parameters())


def multiplications(network):
    """Count those of the convolutions for ten seconds."""
    counted = []

    def count(conv, _, output):
        counted.append(output.numel() * conv.weight[0].numel())

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 1, 128, 128))
    return 8 * sum(counted)


def test_the_other_reading_doubles_every_block_at_equal_cost():
    report, doubling = (
        make_network(load_preset(name), 10).eval()
        for name in ("nec_alpha_0.01", "nec_doubling")
    )
    shortcuts = [len(list(b[0].shortcut.parameters())) > 0 for b in doubling.blocks]
    assert shortcuts == [True] * 4
    assert [len(list(b[0].shortcut.parameters())) > 0 for b in report.blocks] == [
        False,
        True,
        True,
        True,
    ]
    assert multiplications(doubling) == pytest.approx(multiplications(report), rel=0.02)
