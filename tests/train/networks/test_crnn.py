"""The baseline's network: against its twin, its shapes, and what it is worth."""

import math

import numpy as np
import numpy_crnn
import pytest
import torch
from torch import nn

from train.networks.crnn import Crnn, Dropout, GatedLinear, attention_logits


def small_crnn(**settings):
    torch.manual_seed(0)
    return Crnn(3, **{"n_filters": 8, "n_cells": 8} | settings)


def test_ten_seconds_give_108_score_frames_and_one_clip():
    crnn = Crnn(10, n_filters=4, n_cells=4).eval()
    with torch.no_grad():
        scores, clip = crnn(torch.randn(2, 1, 864, 64))
    assert scores.shape == (2, 108, 10)
    assert clip.shape == (2, 10)


@pytest.mark.parametrize(
    ("n_frames", "n_scores"), [(8, 1), (15, 1), (16, 2), (863, 107), (871, 108)]
)
def test_frames_after_the_last_multiple_of_8_give_no_score(n_frames, n_scores):
    crnn = small_crnn().eval()
    with torch.no_grad():
        assert crnn(torch.zeros(1, 1, n_frames, 64)).scores.shape == (1, n_scores, 3)


def test_more_bands_lie_side_by_side_for_the_recurrence():
    crnn = small_crnn(n_mels=128).eval()
    assert crnn.recurrence.input_size == 16
    with torch.no_grad():
        assert crnn(torch.randn(1, 1, 64, 128)).scores.shape == (1, 8, 3)


@pytest.mark.parametrize("n_mels", [64, 128])
def test_scores_and_clip_are_those_of_the_slow_twin(n_mels):
    crnn = small_crnn(n_mels=n_mels).eval()
    for name, value in crnn.state_dict().items():  # as training would leave them
        if name.endswith("running_var"):
            value.uniform_(0.5, 2.0)
        elif value.is_floating_point():
            value.uniform_(-0.8, 1.0)
    weights = {k: v.double().numpy() for k, v in crnn.state_dict().items()}
    x = np.random.default_rng(0).standard_normal((2, 48, n_mels), np.float32)
    with torch.no_grad():
        outputs = crnn(torch.from_numpy(x)[:, None])
    for segment, scores, clip in zip(x, *outputs, strict=True):
        expected = numpy_crnn.forward(segment, weights)
        assert np.ptp(expected[0]) > 0.3  # else it would say nothing
        np.testing.assert_allclose(scores, expected[0], atol=1e-5)
        np.testing.assert_allclose(clip, expected[1], atol=1e-5)


def test_dropout_stands_behind_each_gated_unit_and_behind_the_recurrence():
    crnn = small_crnn(dropout=0.5).train()
    made, dropped = [], []
    for module in crnn.modules():
        if isinstance(module, GatedLinear):
            module.register_forward_hook(lambda _, __, maps: made.append(maps))
        elif isinstance(module, nn.GRU):
            module.register_forward_hook(lambda _, __, states: made.append(states[0]))
        elif isinstance(module, Dropout):
            module.register_forward_pre_hook(lambda _, given: dropped.append(given[0]))
    crnn(torch.randn(3, 1, 64, 64))
    assert len(dropped) == len(made) == 4
    assert all(a is b for a, b in zip(dropped, made, strict=True))
    assert crnn.recurrence.dropout == 0  # none between its layers


def test_the_published_widths_have_the_size_of_the_baseline():
    crnn = Crnn(10)
    dropouts = [m.n_dropped for m in crnn.modules() if isinstance(m, Dropout)]
    assert dropouts == 4 * [128]  # of 256
    parts = {
        name: sum(p.numel() for p in part.parameters())
        for name, part in crnn.named_children()
    }
    convolutions = 9 * 64 + 2 * 9 * 64 * 64  # without bias: batch norm has one
    units = 3 * (64 * 64 + 64 + 2 * 64)
    assert parts["blocks"] == convolutions + units
    # Three gates, two directions; input, state and two biases for each cell.
    first, second = 64 + 64 + 2, 128 + 64 + 2
    assert parts["recurrence"] == 2 * 3 * 64 * (first + second)
    assert parts["linear"] == parts["attention"] == 10 * (128 + 1)


def test_weights_begin_as_the_baselines_do():
    torch.manual_seed(0)
    crnn = Crnn(10)
    convolutions = [m for m in crnn.modules() if isinstance(m, nn.Conv2d)]
    for conv in (c for c in convolutions if c.kernel_size == (3, 3)):
        n_in, n_out = 9 * conv.in_channels, 9 * conv.out_channels
        bound = math.sqrt(2) * math.sqrt(6 / (n_in + n_out))  # Glorot's, gain sqrt(2)
        assert conv.weight.abs().max().item() == pytest.approx(bound, rel=0.02)
        assert conv.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)
        assert conv.bias is None
    linear = [c for c in convolutions if c.kernel_size == (1, 1)]
    for layer in (*linear, crnn.linear, crnn.attention):
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.1)
        assert not layer.bias.any()
    for norm in (m for m in crnn.modules() if isinstance(m, nn.BatchNorm2d)):
        assert norm.eps == 1e-3
        assert norm.weight.mean().item() == pytest.approx(1.0, abs=0.01)
        assert norm.weight.std().item() == pytest.approx(0.02, rel=0.4)
        assert not norm.bias.any()
    for name, weight in crnn.recurrence.named_parameters():
        if weight.dim() > 1:  # 192 rows, as many columns as it has inputs
            product = weight.T @ weight
            torch.testing.assert_close(
                product, torch.eye(len(product)), atol=1e-5, rtol=0, msg=name
            )


def test_a_gated_linear_unit_is_a_linear_layer_times_the_sigmoid_of_its_input():
    unit = GatedLinear(3)
    maps = torch.randn(2, 3, 4, 5)
    weight, bias = unit.linear.weight[:, :, 0, 0], unit.linear.bias
    expected = torch.empty_like(maps)
    for b in range(2):
        for t in range(4):
            for f in range(5):
                vector = maps[b, :, t, f]
                expected[b, :, t, f] = (weight @ vector + bias) * torch.sigmoid(vector)
    torch.testing.assert_close(unit(maps), expected)


def test_the_clip_is_the_mean_over_frames_weighted_by_a_softmax_over_labels():
    torch.manual_seed(0)
    scores, attention = torch.randn(2, 7, 4), 3 * torch.randn(2, 7, 4)
    clip = torch.sigmoid(attention_logits(scores, attention))
    for b in range(2):
        for k in range(4):
            numerator = denominator = 0.0
            for t in range(7):
                exponentials = [math.exp(a) for a in attention[b, t]]
                weight = exponentials[k] / sum(exponentials)
                numerator += weight / (1 + math.exp(-scores[b, t, k]))
                denominator += weight
            assert clip[b, k].item() == pytest.approx(numerator / denominator, rel=1e-5)


def test_attention_does_not_depend_on_the_order_of_frames():
    torch.manual_seed(0)
    scores, attention = torch.randn(1, 6, 4), torch.randn(1, 6, 4)
    order = torch.randperm(6)
    torch.testing.assert_close(
        attention_logits(scores[:, order], attention[:, order]),
        attention_logits(scores, attention),
    )


def test_labels_move_with_their_rows():
    crnn, permuted = small_crnn().eval(), small_crnn().eval()
    order = torch.tensor([2, 0, 1])
    for name in ("linear", "attention"):
        layer = getattr(permuted, name)
        layer.weight.data = layer.weight.data[order]
        layer.bias.data = layer.bias.data[order]
    x = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        expected, outputs = crnn(x), permuted(x)
    torch.testing.assert_close(outputs.scores, expected.scores[..., order])
    torch.testing.assert_close(outputs.clip, expected.clip[..., order])


def test_certain_scores_give_finite_clip_logits_and_gradients():
    scores = torch.tensor([[[300.0, -300.0], [-300.0, 300.0]]], requires_grad=True)
    attention = torch.tensor([[[200.0, -200.0], [-200.0, 200.0]]], requires_grad=True)
    clip = attention_logits(scores, attention)
    clip.sum().backward()
    assert torch.isfinite(clip).all()
    assert torch.isfinite(scores.grad).all()
    assert torch.isfinite(attention.grad).all()


def test_logits_are_the_outputs_before_the_sigmoid():
    crnn = small_crnn().eval()
    x = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        outputs, logits = crnn(x), crnn.logits(x)
    for output, logit in zip(outputs, logits, strict=True):
        torch.testing.assert_close(output, torch.sigmoid(logit))


def test_the_recurrence_uses_both_past_and_future():
    crnn = small_crnn().eval()
    for (
        weight
    ) in crnn.parameters():  # as trained: the first weights hardly say anything
        nn.init.normal_(weight, 0.0, 0.3)
    x = torch.randn(1, 1, 128, 64)
    louder = x.clone()
    louder[:, :, 64:72] += 3.0
    with torch.no_grad():
        changed = (crnn(x).scores != crnn(louder).scores)[0].any(dim=1)
    assert changed[0]
    assert changed[-1]


def test_clips_do_not_influence_each_other():
    crnn = small_crnn().eval()
    x = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        together, alone = crnn(x), crnn(x[:1])
    torch.testing.assert_close(together.scores[:1], alone.scores, atol=1e-5, rtol=0)
    torch.testing.assert_close(together.clip[:1], alone.clip, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "layout", [torch.contiguous_format, torch.channels_last], ids=["plain", "last"]
)
@pytest.mark.parametrize("probability", [0.5, 0.25, 0.1])
def test_dropout_keeps_its_share_and_the_mean(layout, probability):
    torch.manual_seed(0)
    dropout = Dropout(probability)
    maps = torch.ones(5, 8, 100, 37).contiguous(memory_format=layout)
    dropped = dropout(maps)
    share = (dropped == 0).float().mean(dim=(1, 2, 3))
    # Five deviations of the share of 29600 independent draws, and the rounding.
    assert (share - probability).abs().max() < 5 * 0.5 / 29600**0.5 + 0.5 / 256
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.02)
    assert dropped.stride() == maps.stride()
    assert len(dropped.unique()) == 2


def test_dropout_draws_every_bit_of_a_word_fairly():
    torch.manual_seed(0)
    dropped = Dropout(0.5)(torch.ones(8000, 8))
    share = (dropped == 0).float().mean(dim=0)
    assert (share - 0.5).abs().max() < 5 * 0.5 / 8000**0.5


def test_dropout_follows_the_seed_and_is_off_in_evaluation():
    dropout = Dropout(0.5)
    maps = torch.randn(2, 3, 5, 7)
    torch.manual_seed(1)
    first = dropout(maps)
    torch.manual_seed(1)
    assert torch.equal(dropout(maps), first)
    assert not torch.equal(dropout(maps), first)
    assert torch.equal(dropout.eval()(maps), maps)
    assert torch.equal(Dropout(0.0)(maps), maps)


def test_the_gradient_goes_where_dropout_let_the_value_through():
    maps = torch.ones(4, 9, requires_grad=True)
    dropped = Dropout(0.5)(maps)
    dropped.sum().backward()
    assert torch.equal(maps.grad, dropped.detach())


def test_training_under_bf16_autocast_gives_float32_logits_and_finite_gradients():
    crnn = small_crnn().train()
    x = torch.randn(2, 1, 64, 64).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        logits = crnn.logits(x)
        loss = sum(output.square().mean() for output in logits)
    loss.backward()
    assert all(output.dtype == torch.float32 for output in logits)
    assert all(torch.isfinite(p.grad).all() for p in crnn.parameters())
    crnn.eval()
    with torch.no_grad():
        exact = crnn(x)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = crnn(x)
    for a, b in zip(exact, rounded, strict=True):
        torch.testing.assert_close(a, b, atol=0.02, rtol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_computes_what_the_cpu_does_and_trains_in_bf16():
    crnn = small_crnn().eval()
    x = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        expected = crnn(x)
        outputs = crnn.cuda()(x.cuda())
    for a, b in zip(outputs, expected, strict=True):
        torch.testing.assert_close(a.cpu(), b, atol=1e-3, rtol=0)
    crnn.train()
    with torch.autocast("cuda", torch.bfloat16):
        logits = crnn.logits(x.cuda())
        loss = sum(output.square().mean() for output in logits)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in crnn.parameters())


def test_it_learns_which_half_is_loud():
    torch.manual_seed(0)
    crnn = Crnn(2, n_filters=8, n_cells=8, dropout=0.1)
    optimizer = torch.optim.Adam(crnn.parameters(), 0.01)
    for _ in range(40):
        x, y = torch.zeros(8, 1, 64, 64), torch.zeros(8, 8, 2)
        low = torch.rand(8) < 0.5
        x[low, :, :32, :32] = 2.0
        x[~low, :, 32:, 32:] = 2.0
        y[low, :4, 0] = 1.0
        y[~low, 4:, 1] = 1.0
        loss = nn.functional.binary_cross_entropy_with_logits(crnn.logits(x).scores, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2  # 0.69 before, 0.56 if it only knew how rare labels are


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_labels": 0}, "n_labels=0 must"),
        ({"n_labels": 3, "n_mels": 96}, "n_mels=96 must be a positive multiple of 64"),
        ({"n_labels": 3, "n_mels": 0}, "n_mels=0 must"),
        ({"n_labels": 3, "n_filters": 2}, "n_filters=2 must"),
        ({"n_labels": 3, "n_cells": 0}, "n_cells=0 must"),
        ({"n_labels": 3, "dropout": 1.0}, "dropout=1.0 must"),
    ],
)
def test_bad_parameters_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Crnn(**arguments)
