"""The network: shapes, ranges, and that it is the report's."""

import pytest
import torch

from train.network import Network


@pytest.mark.parametrize("stem_pools", [1, 2])
def test_a_ten_second_segment_gives_128_score_frames(stem_pools):
    network = Network(10, width=4, stem_pools=stem_pools).eval()
    with torch.no_grad():
        scores, region = network(torch.rand(2, 1, 1024, 128))
    assert scores.shape == (2, 128, 10)
    assert region.shape == (2, 128)


@pytest.mark.parametrize("stem_pools", [1, 2])
def test_maps_have_the_shapes_that_the_options_promise(stem_pools):
    network = Network(10, width=4, stem_pools=stem_pools).eval()
    with torch.no_grad():
        maps = network.stem(torch.rand(1, 1, 1024, 128))
        mask = network.mask(maps)
        deep = network.blocks(maps)
    side = 2**stem_pools
    assert maps.shape == mask.shape == (1, 4, 1024 // side, 128 // side)
    assert deep.shape == (1, 32, 128, 128 // side // 4)


def test_outputs_and_mask_are_probabilities():
    network = Network(3, width=4).eval()
    x = 100 * torch.randn(1, 1, 256, 128)
    with torch.no_grad():
        outputs = network(x)
        mask = torch.sigmoid(network.mask(network.stem(x)))
    for values in (*outputs, mask):
        assert values.min() >= 0
        assert values.max() <= 1


def test_region_is_the_maximum_of_the_mask():
    network = Network(3, width=4).eval()
    x = torch.rand(1, 1, 256, 128)
    with torch.no_grad():
        mask = torch.sigmoid(network.mask(network.stem(x)))
        region = network(x).region
    by_hand = mask[0].amax(dim=(0, 2)).reshape(32, 4).amax(dim=1)
    torch.testing.assert_close(region[0], by_hand)


def test_logits_are_the_outputs_before_the_sigmoid():
    network = Network(3, width=4).eval()
    x = torch.rand(1, 1, 128, 128)
    with torch.no_grad():
        outputs, logits = network(x), network.logits(x)
    torch.testing.assert_close(outputs.scores, torch.sigmoid(logits.scores))
    torch.testing.assert_close(outputs.region, torch.sigmoid(logits.region))


def test_pooling_before_the_relu_changes_nothing():
    network = Network(3, width=4).eval()
    x = torch.rand(1, 1, 64, 128)
    with torch.no_grad():
        conv = network.stem[1](network.stem[0](x))
        report = torch.nn.functional.max_pool2d(torch.relu(conv), 2)
        assert torch.equal(network.stem(x), report)


def test_the_reports_width_has_the_size_of_a_resnet18():
    parameters = sum(p.numel() for p in Network(10).parameters())
    assert 11.0e6 < parameters < 11.7e6


def test_segments_do_not_influence_each_other():
    network = Network(3, width=4).eval()
    x = torch.rand(2, 1, 128, 128)
    with torch.no_grad():
        together, alone = network(x).scores[:1], network(x[:1]).scores
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_labels": 0}, "n_labels=0 must"),
        ({"n_labels": 3, "width": 2}, "width=2 must"),
        ({"n_labels": 3, "stem_pools": 3}, "stem_pools=3 must"),
    ],
)
def test_bad_parameters_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Network(**arguments)
