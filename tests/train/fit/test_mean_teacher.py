"""The baseline's objective against numbers worked out by hand."""

import copy
import math

import pytest
import torch
from torch import nn

from train.fit.mean_teacher import MeanTeacher, sigmoid_ramp
from train.fit.weight_average import update_average
from train.networks.crnn import ClipOutputs, Crnn


def logit(p):
    return math.log(p / (1 - p))


class Fixed(nn.Module):
    """Gives fixed probabilities whatever it sees, and remembers what that was."""

    def __init__(self, scores, clip):
        super().__init__()
        self.scores = nn.Parameter(torch.logit(torch.tensor(scores)))
        self.clip = nn.Parameter(torch.logit(torch.tensor(clip)))

    def logits(self, x):
        self.seen = x
        return ClipOutputs(self.scores, self.clip)

    def forward(self, x):
        return ClipOutputs(*map(torch.sigmoid, self.logits(x)))


def one_of_each():
    """A weak, an unlabelled and a strong clip of two frames and one label."""
    return {
        "x": torch.zeros(3, 1, 16, 4),
        "y": torch.tensor([[[1.0], [0.0]], [[0.0], [0.0]], [[0.0], [1.0]]]),
        "strong": torch.tensor([False, False, True]),
        "labelled": torch.tensor([True, False, True]),
    }


def students():
    student = Fixed(
        [[[0.5], [0.4]], [[0.3], [0.6]], [[0.1], [0.7]]], [[0.8], [0.5], [0.6]]
    )
    teacher = Fixed(
        [[[0.7], [0.4]], [[0.3], [0.2]], [[0.1], [0.7]]], [[0.5], [0.5], [0.2]]
    )
    return student, teacher


def tiny_crnn(**settings):
    torch.manual_seed(0)
    return Crnn(2, **{"n_filters": 4, "n_cells": 4} | settings)


def random_batch(seed=0, n_clips=4):
    generator = torch.Generator().manual_seed(seed)
    return {
        "x": torch.randn(n_clips, 1, 32, 64, generator=generator),
        "y": (torch.rand(n_clips, 4, 2, generator=generator) < 0.3).float(),
        "strong": torch.arange(n_clips) % 4 == 3,
        "labelled": torch.arange(n_clips) % 2 == 1,
    }


@pytest.mark.parametrize(
    ("progress", "value"),
    [
        (0.0, math.exp(-5)),
        (0.1, math.exp(-5 * 0.8**2)),
        (0.25, math.exp(-5 * 0.5**2)),
        (0.5, 1.0),
        (0.9, 1.0),
    ],
)
def test_the_ramp_rises_over_the_first_half(progress, value):
    assert sigmoid_ramp(progress, 0.5) == pytest.approx(value)
    assert sigmoid_ramp(progress, 0.0) == 1.0


def test_each_loss_is_the_mean_over_its_own_clips():
    student, teacher = students()
    losses = MeanTeacher()(student, teacher, one_of_each(), 0.25)
    strong = 0.5 * (-math.log(0.9) - math.log(0.7))
    scores = (0.2**2 + 0.4**2) / 6
    clip = (0.3**2 + 0.4**2) / 3
    assert losses["weak"].item() == pytest.approx(-math.log(0.8), rel=1e-5)
    assert losses["strong"].item() == pytest.approx(strong, rel=1e-5)
    assert losses["consistency_scores"].item() == pytest.approx(scores, rel=1e-5)
    assert losses["consistency_clip"].item() == pytest.approx(clip, rel=1e-5)
    total = -math.log(0.8) + strong + 2 * math.exp(-5 / 4) * (scores + clip)
    assert losses["total"].item() == pytest.approx(total, rel=1e-5)
    assert next(iter(losses)) == "total"


def test_without_a_word_on_labels_every_clip_has_them():
    student, teacher = students()
    batch = one_of_each()
    del batch["labelled"]
    losses = MeanTeacher()(student, teacher, batch, 1.0)
    weak = 0.5 * (-math.log(0.8) - math.log(0.5))
    assert losses["weak"].item() == pytest.approx(weak, rel=1e-5)


def test_targets_of_clips_without_labels_are_not_looked_at():
    batch, changed = one_of_each(), one_of_each()
    changed["y"][1] = math.nan
    losses, same = (MeanTeacher()(*students(), each, 1.0) for each in (batch, changed))
    assert losses == same


def test_a_batch_without_labels_still_has_a_finite_gradient():
    student, teacher = students()
    batch = one_of_each() | {
        "strong": torch.zeros(3, dtype=torch.bool),
        "labelled": torch.zeros(3, dtype=torch.bool),
    }
    losses = MeanTeacher()(student, teacher, batch, 1.0)
    losses["total"].backward()
    assert losses["weak"].item() == losses["strong"].item() == 0
    assert torch.isfinite(student.scores.grad).all()
    assert losses["total"].item() > 0


def test_no_gradient_flows_into_the_teacher_and_the_student_is_drawn_to_it():
    student, teacher = students()
    MeanTeacher()(student, teacher, one_of_each(), 1.0)["total"].backward()
    assert teacher.scores.grad is None
    assert teacher.clip.grad is None
    # d/dz of 2/6 (p - q)**2 with p = sigmoid(z): the unlabelled clip's second frame.
    p, q = 0.6, 0.2
    expected = 2 * 2 / 6 * (p - q) * p * (1 - p)
    assert student.scores.grad[1, 1, 0].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("settings", "deviation"), [({}, 0.25), ({"noise": 0.3}, 0.3)])
def test_noise_of_the_stated_deviation_reaches_the_teacher_only(settings, deviation):
    student, teacher = students()
    batch = one_of_each() | {"x": torch.full((3, 1, 200, 64), 5.0)}
    torch.manual_seed(0)
    MeanTeacher(**settings)(student, teacher, batch, 1.0)
    assert torch.equal(student.seen, batch["x"])
    noise = teacher.seen - batch["x"]
    assert noise.std().item() == pytest.approx(deviation, rel=0.03)
    assert noise.std(dim=0).min() > 0  # each clip has a noise of its own
    assert noise.mean().item() == pytest.approx(0.0, abs=0.01)


def test_a_teacher_that_is_the_student_has_nothing_to_add_without_noise():
    crnn = tiny_crnn().eval()
    losses = MeanTeacher(noise=0.0)(crnn, crnn, random_batch(), 1.0)
    assert losses["consistency_scores"].item() == 0
    assert losses["consistency_clip"].item() == 0


def test_certain_and_wrong_outputs_give_finite_losses_and_gradients():
    student, teacher = students()
    with torch.no_grad():
        student.scores.copy_(torch.full((3, 2, 1), 300.0))
        student.clip.copy_(torch.full((3, 1), -300.0))
    losses = MeanTeacher()(student, teacher, one_of_each(), 1.0)
    losses["total"].backward()
    assert all(math.isfinite(loss.item()) for loss in losses.values())
    assert torch.isfinite(student.scores.grad).all()
    assert torch.isfinite(student.clip.grad).all()


def test_going_on_from_the_generators_state_gives_the_same_losses():
    torch.manual_seed(3)
    network = tiny_crnn().train()
    average = copy.deepcopy(network).eval()
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    objective = MeanTeacher()

    def train(first, last):
        totals = []
        for step in range(first, last):
            losses = objective(network, average, random_batch(step), step / 6)
            optimizer.zero_grad()
            losses["total"].backward()
            optimizer.step()
            update_average(average, network, decay=0.999, step=step + 1, tail=1.0)
            totals.append(losses["total"].item())
        return totals

    train(0, 3)
    parts = (network, average, optimizer)
    saved = copy.deepcopy([part.state_dict() for part in parts])
    state = torch.get_rng_state()
    expected = train(3, 6)
    for part, kept in zip(parts, saved, strict=True):
        part.load_state_dict(kept)
    torch.set_rng_state(state)
    assert train(3, 6) == expected
    for part, kept in zip(parts, saved, strict=True):
        part.load_state_dict(kept)
    assert train(3, 6) != expected  # the noise is another, and it matters


def test_the_teachers_statistics_and_mode_are_left_alone():
    network = tiny_crnn().train()
    average = copy.deepcopy(network).eval()
    before = copy.deepcopy(average.state_dict())
    MeanTeacher()(network, average, random_batch(), 0.5)["total"].backward()
    after = average.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not average.training


def test_under_bf16_autocast_the_losses_are_float32():
    network = tiny_crnn(dropout=0.0).train()
    average = copy.deepcopy(network).eval()
    batch = random_batch()
    exact = MeanTeacher(noise=0.0)(network, average, batch, 1.0)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = MeanTeacher(noise=0.0)(network, average, batch, 1.0)
    for name, loss in rounded.items():
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, exact[name], atol=0.01, rtol=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"consistency": -1.0}, "consistency=-1.0 must"),
        ({"noise": math.nan}, "noise=nan must"),
        ({"ramp": 1.5}, "ramp=1.5 must"),
    ],
)
def test_bad_parameters_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        MeanTeacher(**arguments)
