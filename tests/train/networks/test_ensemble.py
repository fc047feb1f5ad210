"""The ensemble of section 3: weights worked out by hand, and one file that runs as one."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from streamsed.inference.model import Model
from train.config.network import NetworkConfig
from train.config.train import TrainConfig
from train.export.engine_check import CheckSet
from train.export.exporter import export_model
from train.fit.checkpoint import TrainedNetwork
from train.networks.crnn import Crnn
from train.networks.ensemble import Ensemble, ensemble_weights
from train.networks.resnet import Network, Outputs


class Constant(nn.Module):
    """Gives the same scores and region for every frame."""

    def __init__(self, scores, region):
        super().__init__()
        self.scores, self.region = torch.tensor(scores), region

    def forward(self, x):
        n_clips, n_frames = x.shape[0], x.shape[2] // 8
        return Outputs(
            self.scores.expand(n_clips, n_frames, -1),
            torch.full((n_clips, n_frames), self.region),
        )


def two_networks(seed=0):
    torch.manual_seed(seed)
    networks = [Network(3, NetworkConfig(width=8)).eval() for _ in range(2)]
    for network in networks:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.1, 0.1)
                module.running_var.uniform_(0.5, 2.0)
    return networks


def test_weights_are_each_labels_share_of_f1():
    per_label = [
        {"Cat": 0.2, "Dog": 0.0, "Speech": 0.5},
        {"Speech": 0.25, "Cat": 0.6, "Dog": 0.4},
        {"Cat": 0.0, "Dog": 0.0, "Speech": 0.25},
    ]
    weights = ensemble_weights(per_label, ["Cat", "Dog", "Speech"])
    expected = torch.tensor([[0.25, 0.0, 0.5], [0.75, 1.0, 0.25], [0.0, 0.0, 0.25]])
    torch.testing.assert_close(weights, expected)


def test_a_label_that_nobody_got_is_averaged_evenly():
    weights = ensemble_weights(
        [{"Cat": 0.0, "Dog": 0.1}, {"Cat": 0.0, "Dog": 0.3}], ["Cat", "Dog"]
    )
    torch.testing.assert_close(weights, torch.tensor([[0.5, 0.25], [0.5, 0.75]]))


def test_scores_are_weighted_by_label_and_regions_evenly():
    networks = [Constant([0.2, 0.9], 0.1), Constant([0.6, 0.5], 0.7)]
    weights = torch.tensor([[0.25, 1.0], [0.75, 0.0]])
    scores, region = Ensemble(networks, weights)(torch.zeros(3, 1, 16, 4))
    assert scores.shape == (3, 2, 2)
    torch.testing.assert_close(scores[1, 1], torch.tensor([0.5, 0.9]))
    torch.testing.assert_close(region, torch.full((3, 2), 0.4))


def test_one_network_with_all_the_weight_is_that_network():
    first, second = two_networks()
    weights = torch.tensor([[1.0] * 3, [0.0] * 3])
    x = torch.rand(1, 1, 64, 128)
    with torch.no_grad():
        outputs = Ensemble([first, second], weights)(x)
        torch.testing.assert_close(outputs.scores, first(x).scores)


def test_the_order_of_networks_does_not_matter():
    networks = two_networks()
    weights = ensemble_weights(
        [{"a": 0.1, "b": 0.2, "c": 0.7}, {"a": 0.3, "b": 0.2, "c": 0.1}], "abc"
    )
    x = torch.rand(1, 1, 64, 128)
    with torch.no_grad():
        forwards = Ensemble(networks, weights)(x)
        backwards = Ensemble(networks[::-1], weights.flip(0))(x)
    torch.testing.assert_close(forwards, backwards)


def test_baselines_are_averaged_too_their_clips_evenly():
    torch.manual_seed(0)
    crnns = [Crnn(2, n_filters=4, n_cells=4).eval() for _ in range(2)]
    x = torch.randn(1, 1, 32, 64)
    with torch.no_grad():
        scores, clip = Ensemble(crnns, torch.full((2, 2), 0.5))(x)
        first, second = (crnn(x) for crnn in crnns)
    torch.testing.assert_close(scores, (first.scores + second.scores) / 2)
    torch.testing.assert_close(clip, (first.clip + second.clip) / 2)


def test_the_weights_are_saved_with_the_networks():
    weights = torch.tensor([[0.5, 0.1, 1.0], [0.5, 0.9, 0.0]])
    ensemble = Ensemble(two_networks(), weights)
    other = Ensemble(two_networks(seed=1), torch.full((2, 3), 0.5))
    other.load_state_dict(ensemble.state_dict())
    x = torch.rand(1, 1, 64, 128)
    with torch.no_grad():
        assert torch.equal(other.eval()(x).scores, ensemble.eval()(x).scores)
    weights.zero_()  # the ensemble's own copy stays
    assert ensemble.weights[0, 0] == 0.5


@pytest.mark.parametrize(
    "make",
    [
        two_networks,
        lambda: [Crnn(3, n_mels=128, n_filters=4, n_cells=4).eval() for _ in range(2)],
    ],
    ids=["network", "crnn"],
)
def test_traced_and_frozen_it_computes_the_same(make):
    torch.manual_seed(0)
    ensemble = Ensemble(make(), torch.tensor([[0.5, 0.1, 1.0], [0.5, 0.9, 0.0]])).eval()
    example, x = torch.rand(2, 1, 1, 64, 128)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", category=DeprecationWarning)
        # torch's own GRU looks at a shape, which is the same for every segment.
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        traced = torch.jit.trace(ensemble, example)
        frozen = torch.jit.freeze(traced.eval())
    with torch.no_grad():
        for outputs in (traced(x), frozen(x)):
            for a, b in zip(outputs, ensemble(x), strict=True):
                torch.testing.assert_close(a, b, atol=1e-6, rtol=0)


def test_it_exports_to_one_file_that_the_runtime_runs(tmp_path):
    weights = torch.tensor([[0.5, 0.1, 1.0], [0.5, 0.9, 0.0]])
    ensemble = Ensemble(two_networks(), weights).eval()
    labels = ("Cat", "Dog", "Speech")
    trained = TrainedNetwork(
        ensemble, labels, TrainConfig(network=NetworkConfig(width=8)), step=5
    )
    x = torch.rand(1, 1, 1024, 128)
    check_set = CheckSet(x[0].numpy(), x[0].numpy())
    path = tmp_path / "model.pt"
    info = export_model(trained, path, name="two", check_set=check_set)
    with torch.no_grad():
        scores, region = ensemble(x)
    for engine in ("torchscript", "openvino", "onnx"):
        model = Model.load(path, device="cpu", engine=engine, precision="fp32")
        answer = model.score(x[0, 0].numpy())
        np.testing.assert_allclose(answer.scores, scores[0], atol=1e-3)
        np.testing.assert_allclose(answer.region, region[0], atol=1e-3)
    single = sum(p.numel() for p in ensemble.networks[0].parameters())
    assert info.parameters == 2 * single


@pytest.mark.parametrize(
    ("per_label", "message"),
    [
        ([], "n_networks=0 must"),
        ([{"Cat": 0.1}, {"Dog": 0.1}], "F1=None of Cat by network 1 must"),
        ([{"Cat": math.nan}], "F1=nan of Cat by network 0 must"),
        ([{"Cat": 31.0}], "F1=31.0 of Cat by network 0 must be from 0 to 1"),
        ([{"Cat": 1.01}], "F1=1.01 of Cat by network 0 must be from 0 to 1"),
    ],
)
def test_f1_that_cannot_weigh_is_named(per_label, message):
    with pytest.raises(ValueError, match=message):
        ensemble_weights(per_label, ["Cat"])


@pytest.mark.parametrize(
    ("n_networks", "weights", "message"),
    [
        (0, [[1.0]], "n_networks=0 must"),
        (2, [[1.0, 1.0]], r"shape \(1, 2\) must have a row for each of the 2"),
        (2, [0.5, 0.5], r"shape \(2,\) must have a row"),
        (2, [[0.5, 0.5], [0.5, 0.6]], "sum to 1"),
        (2, [[-0.5, 0.5], [1.5, 0.5]], "at least 0"),
        (1, [[math.nan]], "at least 0"),
    ],
)
def test_weights_that_do_not_fit_are_named(n_networks, weights, message):
    networks = [Constant([0.5, 0.5], 0.5)] * n_networks
    with pytest.raises(ValueError, match=message):
        Ensemble(networks, torch.tensor(weights))
