"""What the shipped network has beside the report's: views, a bias by band, context."""

import numpy as np
import pytest
import torch
from torch import nn

from streamsed.inference.openvino import core
from streamsed.pipeline.frontend import normalize, relative_levels
from train.config.network import NetworkConfig
from train.export.fold_batch_norm import fold
from train.export.onnx_graph import to_onnx
from train.fit.losses import Criterion, SceneCriterion
from train.networks.blocks import TemporalUnit
from train.networks.resnet import Network
from train.networks.views import Views

CONFIG = NetworkConfig(width=8, views=True, band_bias=True, context=(1, 2))


def decibels(seed=0):
    return np.random.default_rng(seed).uniform(-90, -10, (64, 128)).astype(np.float32)


def levels(seed=0):
    return torch.from_numpy(relative_levels(decibels(seed)))[None, None]


def test_the_first_view_is_the_reports_product():
    views = Views()(levels())
    np.testing.assert_allclose(views[0, 0], normalize(decibels()), atol=1e-5)


def test_the_second_view_is_the_level_and_the_third_no_other_frame_can_change():
    x = levels()
    louder = x.clone()
    louder[0, 0, 0] *= 0.1
    before, after = Views()(x), Views()(louder)
    assert torch.equal(before[:, 1], x[:, 0])
    assert torch.equal(before[0, 2, 1:], after[0, 2, 1:])
    assert not torch.equal(before[0, 0, 1:], after[0, 0, 1:])


def test_silence_gives_no_number_that_is_not_finite():
    assert Views()(torch.zeros(1, 1, 16, 128)).isfinite().all()
    scores, region = Network(3, CONFIG).eval()(torch.zeros(1, 1, 64, 128))
    assert scores.isfinite().all()
    assert region.isfinite().all()


@pytest.mark.parametrize("dilation", [1, 4])
def test_a_temporal_unit_reaches_as_far_as_its_dilation(dilation):
    torch.manual_seed(0)
    unit = TemporalUnit(8, dilation).eval()
    x = torch.rand(1, 8, 33, 1)
    changed = x.clone()
    changed[:, :, 16] += 1.0
    moved = (unit(changed) - unit(x)).abs().amax(dim=(0, 1, 3)).nonzero()[:, 0].tolist()
    assert moved == [16 - dilation, 16, 16 + dilation]


def test_the_dilated_convolution_of_a_temporal_unit_has_half_the_channels():
    unit = TemporalUnit(12, 2)
    assert [tuple(w.shape[:2]) for w in unit.parameters() if w.dim() == 4] == [
        (6, 12),
        (6, 6),
        (12, 6),
    ]


def test_a_band_bias_distinguishes_high_from_low():
    torch.manual_seed(0)
    network = Network(3, CONFIG).eval()
    x = levels()[:, :, :64]
    before = network(x).scores
    with torch.no_grad():
        network.band_bias[..., :8] = 2.0
    assert not torch.allclose(network(x).scores, before)


def test_other_kinds_are_learnt_beside_the_labels_and_do_not_ship():
    torch.manual_seed(0)
    network = Network(3, CONFIG, n_auxiliary=5)
    scores, region, kinds = network.all_logits(levels())
    assert tuple(kinds.shape) == (1, 8, 5)
    network.eval()
    plain = Network(3, CONFIG).eval()
    weights = network.state_dict()
    plain.load_state_dict({k: v for k, v in weights.items() if "auxiliary" not in k})
    assert torch.equal(plain(levels()).scores, network(levels()).scores)
    assert (tuple(scores.shape), tuple(region.shape)) == ((1, 8, 3), (1, 8))


def test_a_network_that_learns_no_other_kinds_has_no_logits_for_them():
    network = Network(3, CONFIG).eval()
    assert tuple(network.all_logits(levels())[2].shape) == (1, 8, 0)


def test_dropout_acts_in_training_alone():
    torch.manual_seed(0)
    network = Network(3, NetworkConfig(width=8, dropout=0.5))
    x = levels()
    network.eval()
    assert torch.equal(network(x).scores, network(x).scores)
    network.train()
    assert not torch.equal(network.logits(x).scores, network.logits(x).scores)


def test_the_folded_form_scores_alike():
    torch.manual_seed(0)
    network = Network(3, CONFIG).eval()
    folded = fold(network)
    assert (folded(levels()).scores - network(levels()).scores).abs().max() < 5e-3


def batch():
    generator = torch.Generator().manual_seed(0)
    y = (torch.rand(2, 8, 3, generator=generator) > 0.7).float()
    others = (torch.rand(2, 8, 5, generator=generator) > 0.7).float()
    x = torch.cat([levels(1), levels(2)])
    strong = torch.ones(2, dtype=torch.bool)
    return {"x": x, "y": y, "others": others, "strong": strong}


def losses(network, **settings):
    usual = {"alpha": 0.1, "auxiliary": 0.5, "edge": 1.0, "n_edge": 2}
    criterion = SceneCriterion([1, 2, 3], **{**usual, **settings})
    return criterion(network, network, batch(), 0.0)


def test_the_loss_of_scenes_is_the_reports_with_every_kind_and_edge_left_out():
    torch.manual_seed(0)
    network = Network(3, NetworkConfig(width=8), n_auxiliary=5).eval()
    data = batch()
    # The report's network sees the product; the region's target comes from it.
    ours = losses(network, auxiliary=0.0)
    report = Criterion([1, 2, 3], [0, 0, 0], alpha=0.1)(network, network, data, 0.0)
    for name in ("classification", "strong"):
        torch.testing.assert_close(ours[name], report[name])


def test_the_newest_frames_weigh_as_much_as_the_settings_say():
    torch.manual_seed(0)
    network = Network(3, CONFIG, n_auxiliary=5).eval()
    data = batch()
    logits = network.all_logits(data["x"])[0].detach()
    each = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, data["y"], reduction="none"
    ).mean(dim=(0, 2))
    weights = torch.tensor([1.0] * 6 + [3.0] * 2)
    expected = (each * weights).mean()
    torch.testing.assert_close(losses(network, edge=3.0)["strong"].detach(), expected)


def test_the_other_kinds_count_by_their_weight():
    torch.manual_seed(0)
    network = Network(3, CONFIG, n_auxiliary=5).eval()
    without, with_them = losses(network, auxiliary=0.0), losses(network)
    difference = with_them["total"] - without["total"]
    torch.testing.assert_close(difference, 0.5 * with_them["auxiliary"])
    assert difference > 0


class Shown(nn.Module):
    """Views as a network that exports: a convolution that changes nothing, and its maximum."""

    def __init__(self):
        super().__init__()
        self.views = Views()
        self.same = nn.Conv2d(3, 3, 1, bias=False)
        self.same.weight.data = torch.eye(3)[:, :, None, None]

    def forward(self, level):
        maps = self.same(self.views(level))
        return maps, maps.amax(dim=(1, 3))


@pytest.mark.parametrize("silence", [0.0, 0.1234567, 0.77])
def test_frames_and_bands_without_range_are_nothing_in_16_bits_too(silence):
    """A quiet stream's silence is above the floor, and the lowest value rounds alone.

    Where the processor has no 16-bit floats, OpenVINO computes in 32 bits.
    """
    x = np.random.default_rng(0).random((1, 1, 256, 32)).astype(np.float32)
    x[:, :, 150:] = silence
    x[..., 5] = silence
    graph = to_onnx(Shown().eval(), torch.from_numpy(x)).SerializeToString()
    exact, rounded = (
        core().compile_model(
            core().read_model(graph), "CPU", {"INFERENCE_PRECISION_HINT": precision}
        )([x])[0]
        for precision in ("f32", "bf16")
    )
    assert np.abs(exact - rounded).max() < 0.02
    assert not exact[
        0, [0, 2], 150:
    ].any()  # the product and the shape of silent frames
