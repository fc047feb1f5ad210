"""The average of weights: what it is of, early on and in the long run."""

import copy

import pytest
import torch
from torch import nn

from train.fit.weight_average import update_average


def walk(n_steps, **settings):
    """Draw weights for so many steps; return all of them and the average at each."""
    torch.manual_seed(0)
    network = nn.Linear(3, 2)
    average = copy.deepcopy(network)
    weights, averages = [network.weight.detach().clone()], []
    for step in range(1, n_steps + 1):
        with torch.no_grad():
            network.weight.normal_()
        weights.append(network.weight.detach().clone())
        update_average(average, network, step=step, **settings)
        averages.append(average.weight.detach().clone())
    return torch.stack(weights), averages


def test_with_a_tail_of_1_it_is_the_true_average_while_that_is_shorter():
    weights, averages = walk(9, decay=0.9, tail=1.0)
    for step, average in enumerate(averages, start=1):
        torch.testing.assert_close(average, weights[: step + 1].mean(dim=0))


def test_in_the_long_run_the_decay_is_kept():
    weights, averages = walk(30, decay=0.5, tail=1.0)
    torch.testing.assert_close(
        averages[-1], 0.5 * averages[-2] + 0.5 * weights[-1], atol=1e-6, rtol=0
    )


def test_without_a_tail_it_keeps_a_share_of_step_over_step_plus_10():
    weights, averages = walk(5, decay=0.999)
    by_hand = weights[0]
    for step in range(1, 6):
        kept = step / (step + 10.0)
        by_hand = kept * by_hand + (1 - kept) * weights[step]
        torch.testing.assert_close(averages[step - 1], by_hand)


def test_a_tail_of_a_tenth_forgets_the_start_as_the_tenth_power():
    n_steps, tail = 40, 0.1
    average, network = nn.Linear(1, 1), nn.Linear(1, 1)
    nn.init.ones_(average.weight)
    nn.init.zeros_(network.weight)
    expected = 1.0
    for step in range(1, n_steps + 1):
        update_average(average, network, decay=0.999, step=step, tail=tail)
        expected *= step / (step + 10)
    assert average.weight.item() == pytest.approx(expected, rel=1e-4)
    # 40! 10! / 50!: one over the number of ways to choose 10 of 50
    assert expected == pytest.approx(9.735e-11, rel=1e-3)


def test_statistics_are_averaged_and_counters_copied():
    average, network = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    network(torch.full((4, 2), 8.0))
    update_average(average, network, decay=0.75, step=1000)
    # torch's own momentum gave the network a mean of 0.8
    assert average.running_mean.tolist() == pytest.approx([0.2, 0.2])
    assert average.num_batches_tracked == network.num_batches_tracked == 1


@pytest.mark.parametrize("tail", [0.0, 1.5, float("nan")])
def test_a_tail_out_of_range_is_named(tail):
    with pytest.raises(ValueError, match=f"tail={tail} must"):
        update_average(nn.Linear(1, 1), nn.Linear(1, 1), decay=0.9, step=1, tail=tail)
