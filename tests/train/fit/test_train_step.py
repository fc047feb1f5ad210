"""One step of learning against AdamW written out: rate, decay, clipping and the average."""

import copy
import dataclasses

import pytest
import torch
from bars import CONFIG, Bars, make_trainer


@pytest.fixture
def batch():
    examples = [Bars()[index] for index in range(4)]
    return torch.utils.data.default_collate(examples)


def weights_of(network):
    return [weight.detach().clone() for weight in network.parameters()]


def learnt(folder, batch, *, step=0, progress=0.5, **changes):
    """Take one step; return the learner, the weights before it and the gradients."""
    config = dataclasses.replace(CONFIG, **changes)
    learner = make_trainer(folder, config).learner
    before = weights_of(learner.network)
    learner.learn(batch, step=step, progress=progress)
    gradients = [weight.grad for weight in learner.network.parameters()]
    return learner, before, gradients


@pytest.mark.parametrize("progress", [0.01, 0.5, 1.0])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_a_first_step_is_one_of_adamw_at_the_rate_of_the_schedule(
    tmp_path, batch, progress, decay
):
    """Its two means are then the gradient and its square: each weight moves by the rate."""
    learner, before, gradients = learnt(
        tmp_path, batch, progress=progress, weight_decay=decay
    )
    rate = learner.config.rate_at(progress)
    for weight, old, gradient in zip(
        learner.network.parameters(), before, gradients, strict=True
    ):
        step = gradient / (gradient.abs() + 1e-8)
        expected = (1 - rate * decay) * old - rate * step
        torch.testing.assert_close(weight.detach(), expected, rtol=0, atol=1e-6)


def test_two_steps_forget_the_first_gradient_as_adam_does(tmp_path, batch):
    learner, _, first = learnt(tmp_path, batch, weight_decay=0.0, clip_norm=1e9)
    first = [gradient.clone() for gradient in first]
    before = weights_of(learner.network)
    twin = copy.deepcopy(learner.network)
    loss = learner.losses(twin, batch, 0.5)["total"]
    second = torch.autograd.grad(loss, list(twin.parameters()))
    learner.learn(batch, step=1, progress=0.5)
    rate = learner.config.rate_at(0.5)
    for weight, old, one, two in zip(
        learner.network.parameters(), before, first, second, strict=True
    ):
        mean = (0.9 * 0.1 * one + 0.1 * two) / (1 - 0.9**2)
        square = (0.999 * 0.001 * one**2 + 0.001 * two**2) / (1 - 0.999**2)
        expected = old - rate * mean / (square.sqrt() + 1e-8)
        torch.testing.assert_close(weight.detach(), expected, rtol=0, atol=2e-6)


def test_a_gradient_longer_than_the_limit_is_shortened_to_it_and_no_other(
    tmp_path, batch
):
    def length(gradients):
        return torch.cat([gradient.flatten() for gradient in gradients]).norm().item()

    _, _, free = learnt(tmp_path / "free", batch, clip_norm=1e9)
    limit = length(free) / 2
    _, _, clipped = learnt(tmp_path / "clipped", batch, clip_norm=limit)
    assert length(clipped) == pytest.approx(limit, rel=1e-4)
    for short, long in zip(clipped, free, strict=True):
        torch.testing.assert_close(short, long / 2, rtol=1e-3, atol=1e-8)
    _, _, spared = learnt(tmp_path / "spared", batch, clip_norm=3 * limit)
    assert length(spared) == pytest.approx(2 * limit, rel=1e-4)


def test_a_step_learns_by_the_statistics_of_its_batch_and_gathers_them(tmp_path, batch):
    """Of all its clips at once, also right after a validation of the last weights."""
    config = dataclasses.replace(CONFIG, evaluate_average=False, clip_norm=1e9)
    learner = make_trainer(tmp_path, config).learner
    assert not learner.evaluated.training
    twin = copy.deepcopy(learner.network).train()
    learner.learn(batch, step=0, progress=0.5)
    learner.objective(twin, None, batch, 0.5)["total"].backward()
    for ours, theirs in zip(
        learner.network.parameters(), twin.parameters(), strict=True
    ):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-7)
    norm = learner.network.head[0]
    assert norm.running_mean.abs().max() > 0
    torch.testing.assert_close(norm.running_mean, twin.head[0].running_mean)


@pytest.mark.parametrize(
    ("step", "tail", "kept"),
    [(0, 0.1, 1 / 11), (4, 0.1, 5 / 15), (999, 0.1, 0.5), (0, 0.5, 1 / 3)],
)
def test_the_average_moves_after_the_step_by_tail_then_decay(
    tmp_path, batch, step, tail, kept
):
    learner = make_trainer(
        tmp_path, dataclasses.replace(CONFIG, ema_decay=0.5, ema_tail=tail)
    ).learner
    before = weights_of(copy.deepcopy(learner.average))
    learner.learn(batch, step=step, progress=0.5)
    for average, old, new in zip(
        learner.average.parameters(), before, learner.network.parameters(), strict=True
    ):
        expected = kept * old + (1 - kept) * new.detach()
        torch.testing.assert_close(average.detach(), expected, rtol=0, atol=1e-6)
