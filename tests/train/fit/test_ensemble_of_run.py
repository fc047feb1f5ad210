"""The ensemble of a run (section 3): its four of lowest loss, weighted by their own F1."""

import copy

import pytest
import torch
from bars import CONFIG, LABELS, make_trainer

from train.fit.checkpoint import best_checkpoints, keep_best, load_ensemble
from train.networks.factory import make_network

VALIDATED = {
    # step: validation loss, and F1 of "low" and of "high"
    1: (0.5, 0.1, 0.0),
    2: (0.3, 0.4, 0.0),
    3: (0.9, 0.9, 0.9),  # the best F1, and the highest loss
    4: (0.4, 0.3, 0.0),
    5: (0.2, 0.2, 0.0),
}


def test_it_joins_the_four_of_lowest_loss_by_the_f1_of_each_label(tmp_path):
    state, networks = make_trainer(tmp_path)._state(), {}
    for step, (loss, *f1) in VALIDATED.items():
        torch.manual_seed(step)
        networks[step] = make_network(CONFIG, len(LABELS)).eval()
        keep_best(
            {
                **copy.deepcopy(state),
                "evaluated": networks[step].state_dict(),
                "step": step,
                "loss": loss,
                "rank": loss,
                "f1_per_label": dict(zip(LABELS, f1, strict=True)),
            },
            tmp_path,
        )
    x = torch.rand(1, 1, 64, 32)
    with torch.no_grad():
        scores, region = load_ensemble(tmp_path).network(x)
        each = {step: networks[step](x) for step in (1, 2, 4, 5)}
    low = sum(VALIDATED[step][1] * out.scores[..., 0] for step, out in each.items())
    high = sum(out.scores[..., 1] for out in each.values())  # none ever got it right
    torch.testing.assert_close(scores[..., 0], low / 1.0)
    torch.testing.assert_close(scores[..., 1], high / 4)
    torch.testing.assert_close(region, sum(out.region for out in each.values()) / 4)
    assert sum(VALIDATED[step][1] for step in each) == pytest.approx(1.0)


def test_of_checkpoints_that_are_equally_good_the_earliest_are_kept_in_their_order(
    tmp_path,
):
    """As in the baseline, whose epoch must beat those before it."""
    state = {**make_trainer(tmp_path)._state(), "loss": 0.5, "rank": 0.5}
    for step in (7, 8, 9, 10, 11, 12):
        keep_best({**state, "step": step}, tmp_path)
    kept = [path.stem for path in best_checkpoints(tmp_path)]
    assert kept == [f"best-{step:07d}" for step in (7, 8, 9, 10)]
