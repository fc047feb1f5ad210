"""The losses of section 2.6 against numbers worked out by hand."""

import math

import pytest
import torch

from train.fit.losses import (
    Criterion,
    class_loss,
    class_weights,
    raw_region,
    region_loss,
    strong_loss,
)
from train.networks.resnet import Outputs


def logit(p):
    return math.log(p / (1 - p))


def test_class_weights_are_a_softmax_of_reciprocal_counts():
    weights = class_weights([1, 2])
    total = math.exp(1.0) + math.exp(0.5)
    assert weights.tolist() == pytest.approx(
        [math.exp(1.0) / total, math.exp(0.5) / total]
    )


def test_a_label_without_events_gets_a_finite_weight():
    weights = class_weights([0, 1])
    assert weights.tolist() == pytest.approx([0.5, 0.5])


def test_class_loss_is_the_weighted_mean_over_labels_of_maxima_over_time():
    # eq. 4: 1/2 * (-0.25 log 0.8 - 0.75 log(1 - 0.4))
    loss = class_loss(
        torch.tensor([[[logit(0.8), logit(0.3)], [logit(0.2), logit(0.4)]]]),
        torch.tensor([[[0.0, 0.0], [1.0, 0.0]]]),
        torch.tensor([0.25, 0.75]),
    )
    expected = 0.5 * (-0.25 * math.log(0.8) - 0.75 * math.log(0.6))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_strong_loss_is_the_mean_over_frames_and_labels():
    loss = strong_loss(
        torch.tensor([[[logit(0.9)], [logit(0.3)]]]), torch.tensor([[[1.0], [0.0]]])
    )
    expected = 0.5 * (-math.log(0.9) - math.log(0.7))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_region_loss_draws_proposal_to_events_and_events_to_raw():
    scores = torch.tensor([[[logit(0.6), logit(0.1)]]])
    logits = Outputs(scores, torch.tensor([[logit(0.2)]]))
    loss = region_loss(logits, torch.tensor([[0.5]]))
    proposal = -(0.6 * math.log(0.2) + 0.4 * math.log(0.8))
    events = -(0.5 * math.log(0.6) + 0.5 * math.log(0.4))
    assert loss.item() == pytest.approx(proposal + events, rel=1e-5)


def test_no_gradient_flows_through_the_targets_of_the_region_loss():
    events = torch.tensor([[[0.3]]], requires_grad=True)
    proposal = torch.tensor([[-0.7]], requires_grad=True)
    raw = torch.tensor([[0.6]], requires_grad=True)
    region_loss(Outputs(events, proposal), raw).backward()
    # Only the second term reaches the events: d/dz BCE(sigmoid(z), t) = sigmoid(z) - t.
    assert events.grad.item() == pytest.approx(
        torch.sigmoid(events).item() - 0.6, rel=1e-5
    )
    expected = torch.sigmoid(proposal).item() - torch.sigmoid(events).item()
    assert proposal.grad.item() == pytest.approx(expected, rel=1e-5)
    assert raw.grad is None


def test_raw_region_is_the_tanh_of_intensity_above_one_half():
    x = torch.zeros(1, 1, 16, 4)
    x[0, 0, 3, 2] = 0.8
    x[0, 0, 12, 0] = 0.5
    region = raw_region(x, 2)
    assert region[0].tolist() == pytest.approx([math.tanh(0.8), 0.0])


def test_weak_clips_have_no_strong_loss_and_their_own_weights():
    logits = Outputs(torch.tensor([[[0.0], [1.0]], [[2.0], [-1.0]]]), torch.zeros(2, 2))
    y = torch.ones(2, 2, 1)
    x = torch.zeros(2, 1, 16, 4)
    strong = torch.tensor([True, False])
    losses = Criterion([5], [7], alpha=0.1).losses(x, logits, y, strong)
    expected_strong = -0.5 * sum(math.log(1 / (1 + math.exp(-z))) for z in (0.0, 1.0))
    assert losses.strong.item() == pytest.approx(expected_strong, rel=1e-5)
    # One strong clip with maximum 1, one weak clip with maximum 2; K = 1, so w = 1.
    expected_class = -sum(math.log(1 / (1 + math.exp(-z))) for z in (1.0, 2.0))
    assert losses.classification.item() == pytest.approx(expected_class, rel=1e-5)


def test_the_total_is_the_weighted_sum_of_equation_2():
    torch.manual_seed(0)
    logits = Outputs(torch.randn(3, 4, 2), torch.randn(3, 4))
    y = (torch.rand(3, 4, 2) > 0.5).float()
    strong = torch.tensor([True, True, False])
    losses = Criterion([3, 4], [5, 6], alpha=0.01).losses(
        torch.rand(3, 1, 32, 8), logits, y, strong
    )
    expected = losses.classification + losses.strong + 0.01 * losses.region
    torch.testing.assert_close(losses.total, expected)


@pytest.mark.parametrize("strong", [True, False])
def test_a_batch_of_one_kind_only_is_finite(strong):
    logits = Outputs(torch.randn(2, 4, 2), torch.randn(2, 4))
    kinds = torch.tensor([strong, strong])
    losses = Criterion([1, 1], [1, 1], alpha=0.1).losses(
        torch.rand(2, 1, 32, 8), logits, torch.zeros(2, 4, 2), kinds
    )
    assert all(math.isfinite(loss.item()) for loss in losses)
    assert (losses.strong.item() == 0) is not strong


def test_certain_and_wrong_scores_give_finite_losses_and_gradients():
    scores = torch.full((1, 4, 2), 300.0, requires_grad=True)
    region = torch.full((1, 4), -300.0, requires_grad=True)
    y = torch.zeros(1, 4, 2)
    losses = Criterion([1, 1], [1, 1], alpha=0.1).losses(
        torch.rand(1, 1, 32, 8), Outputs(scores, region), y, torch.tensor([True])
    )
    losses.total.backward()
    assert math.isfinite(losses.total.item())
    assert torch.isfinite(scores.grad).all()
    assert torch.isfinite(region.grad).all()
