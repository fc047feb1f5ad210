"""The report's losses, written out in NumPy from equations 2 to 8, against the criterion.

Weak and strong clips have different counts, kinds are mixed in the batch, and every sum is
a loop over what the equation sums over.
"""

import math

import numpy as np
import pytest
import torch

from train.fit.losses import Criterion, SceneCriterion
from train.networks.resnet import Outputs

STRONG_COUNTS, WEAK_COUNTS = [1, 4, 2], [3, 1, 50]
"""Far enough apart that taking one for the other changes the loss by percents."""


def probability(z):
    return 1 / (1 + math.exp(-z))


def cross_entropy(p, y):
    return -(y * math.log(p) + (1 - y) * math.log(1 - p))


def weights(counts):
    """Equation 3."""
    exponentials = [math.exp(1 / n) for n in counts]
    return [each / sum(exponentials) for each in exponentials]


def weighted(clips, targets, counts):
    """Equation 4, averaged over the clips of one kind."""
    w = weights(counts)
    losses = []
    for scores, target in zip(clips, targets, strict=True):
        n_labels = len(w)
        total = 0.0
        for k in range(n_labels):
            clip = max(frame[k] for frame in scores)
            tag = max(frame[k] for frame in target)
            total += w[k] * cross_entropy(clip, tag)
        losses.append(total / n_labels)
    return sum(losses) / len(losses)


def strong_bce(clips, targets):
    """Equation 6, averaged over the strong clips."""
    terms = [
        cross_entropy(p, y)
        for scores, target in zip(clips, targets, strict=True)
        for frame, truth in zip(scores, target, strict=True)
        for p, y in zip(frame, truth, strict=True)
    ]
    return sum(terms) / len(terms)


def region(xs, clips, masks, targets=None):
    """Equation 8, averaged over all clips; section 2.3's tanh above one half.

    What the mask is drawn to are the maxima of `targets`, or of the scores themselves.
    """
    terms = []
    targets = clips if targets is None else targets
    for x, scores, mask, target in zip(xs, clips, masks, targets, strict=True):
        n_frames = len(x) // len(scores)
        for h, frame in enumerate(scores):
            intensity = max(map(max, x[h * n_frames : (h + 1) * n_frames]))
            raw = math.tanh(intensity) if intensity > 0.5 else 0.0
            terms.append(cross_entropy(mask[h], max(target[h])))
            terms.append(cross_entropy(max(frame), raw))
    return 2 * sum(terms) / len(terms)


def batch(seed):
    rng = np.random.default_rng(seed)
    x = rng.random((5, 32, 6)) * rng.choice([0.4, 1.0], (5, 32, 1))
    logits = Outputs(
        torch.from_numpy(rng.normal(0, 2, (5, 4, 3))),
        torch.from_numpy(rng.normal(0, 2, (5, 4))),
    )
    y = (rng.random((5, 4, 3)) < 0.4).astype(float)
    strong = np.array([True, False, True, False, False])
    return x, logits, y, strong


@pytest.mark.parametrize("alpha", [0.0, 0.01, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_every_term_is_what_its_equation_says(seed, alpha):
    x, logits, y, strong = batch(seed)
    losses = Criterion(STRONG_COUNTS, WEAK_COUNTS, alpha=alpha).losses(
        torch.from_numpy(x)[:, None], logits, torch.from_numpy(y), torch.tensor(strong)
    )
    scores = np.vectorize(probability)(logits.scores.numpy())
    masks = np.vectorize(probability)(logits.region.numpy())
    classification = weighted(scores[strong], y[strong], STRONG_COUNTS)
    classification += weighted(scores[~strong], y[~strong], WEAK_COUNTS)
    detection = strong_bce(scores[strong], y[strong])
    area = region(x, scores, masks)
    expected = (
        classification + detection + alpha * area,
        classification,
        detection,
        area,
    )
    assert [float(loss) for loss in losses] == pytest.approx(expected, rel=1e-5)
    swapped = weighted(scores[strong], y[strong], WEAK_COUNTS)
    swapped += weighted(scores[~strong], y[~strong], STRONG_COUNTS)
    assert abs(swapped / classification - 1) > 0.01  # the counts are far enough apart


def test_the_loop_hands_the_criterion_what_its_equations_need():
    x, logits, y, strong = batch(0)

    class Fixed:
        def logits(self, seen):
            assert seen.shape == (5, 1, 32, 6)
            return logits

    criterion = Criterion(STRONG_COUNTS, WEAK_COUNTS, alpha=0.1)
    tensors = {
        "x": torch.from_numpy(x)[:, None],
        "y": torch.from_numpy(y),
        "strong": torch.tensor(strong),
    }
    by_name = criterion(Fixed(), None, tensors, 0.0)
    direct = criterion.losses(tensors["x"], logits, tensors["y"], tensors["strong"])
    assert list(by_name) == ["total", "classification", "strong", "region"]
    for name, value in direct._asdict().items():
        torch.testing.assert_close(by_name[name].double(), value.double())


def slopes(function, values, step=1e-4):
    """Difference of a function for each of its values, the others staying as they are."""
    found = np.empty_like(values)
    for index in np.ndindex(values.shape):
        more, less = values.copy(), values.copy()
        more[index] += step
        less[index] -= step
        found[index] = (function(more) - function(less)) / (2 * step)
    return found


def test_gradients_are_the_slopes_of_the_equations_with_the_targets_held():
    """Strong and weak clips teach the scores by each term that is theirs, the mask learns
    from the scores and never they from it.
    """
    x, logits, y, strong = batch(1)
    as_probability = np.vectorize(probability)
    scores, mask = (each.numpy() for each in logits)
    held = as_probability(scores)

    def total(scores, mask):
        clips = as_probability(scores)
        loss = weighted(clips[strong], y[strong], STRONG_COUNTS)
        loss += weighted(clips[~strong], y[~strong], WEAK_COUNTS)
        loss += strong_bce(clips[strong], y[strong])
        return loss + 0.1 * region(x, clips, as_probability(mask), held)

    leaves = Outputs(*(each.clone().requires_grad_() for each in logits))
    criterion = Criterion(STRONG_COUNTS, WEAK_COUNTS, alpha=0.1)
    tensors = torch.from_numpy(x)[:, None], leaves, torch.from_numpy(y)
    criterion.losses(*tensors, torch.tensor(strong)).total.backward()
    of_scores = slopes(lambda each: total(each, mask), scores)
    of_mask = slopes(lambda each: total(scores, each), mask)
    np.testing.assert_allclose(leaves.scores.grad, of_scores, atol=1e-7)
    np.testing.assert_allclose(leaves.region.grad, of_mask, atol=1e-7)


def scaled_product(level):
    """Equation 1 of one segment of levels (T, F): by row, by column and over all."""
    out = np.empty_like(level)
    for t, frame in enumerate(level):
        for f, value in enumerate(frame):
            product = 1.0
            for group in (frame, level[:, f], level):
                product *= (value - group.min()) / (group.max() - group.min())
            out[t, f] = product
    return out


@pytest.mark.parametrize("n_kinds", [0, 2])
@pytest.mark.parametrize("seed", range(2))
def test_scenes_weigh_the_newest_frames_and_learn_other_kinds_by_name(seed, n_kinds):
    x, logits, y, _ = batch(seed)
    rng = np.random.default_rng(seed)
    kinds = rng.normal(0, 2, (5, 4, n_kinds))
    others = (rng.random((5, 4, n_kinds)) < 0.5).astype(float)

    class Fixed:
        def all_logits(self, seen):
            assert seen.shape == (5, 1, 32, 6)
            return (*logits, torch.from_numpy(kinds))

    criterion = SceneCriterion(
        STRONG_COUNTS, alpha=0.1, auxiliary=0.3, edge=4.0, n_edge=1
    )
    tensors = {
        "x": torch.from_numpy(x)[:, None],
        "y": torch.from_numpy(y),
        "others": torch.from_numpy(others),
    }
    found = criterion(Fixed(), None, tensors, 0.0)
    scores = np.vectorize(probability)(logits.scores.numpy())
    masks = np.vectorize(probability)(logits.region.numpy())
    classification = weighted(scores, y, STRONG_COUNTS)
    frames = [strong_bce(scores[:, h : h + 1], y[:, h : h + 1]) for h in range(4)]
    detection = (sum(frames[:3]) + 4.0 * frames[3]) / 4
    area = region([scaled_product(each) for each in x], scores, masks)
    expected = {"classification": classification, "strong": detection, "region": area}
    total = classification + detection + 0.1 * area
    if n_kinds:
        named = strong_bce(np.vectorize(probability)(kinds), others)
        expected["auxiliary"] = named
        total += 0.3 * named
    found = {name: float(value) for name, value in found.items()}
    assert found == pytest.approx({"total": total, **expected}, rel=1e-5)
