"""Calibration: known slopes are found, nothing gets worse, and the network carries it."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from streamsed.config import FrontendConfig
from streamsed.events import Event
from train.config.network import NetworkConfig
from train.datasets.evaluation_set import EvaluationSet
from train.evaluation.calibration import (
    MIN_FRAMES,
    MIN_SLOPE,
    calibrate,
    calibration_error,
    fit_calibration,
    reliability,
)
from train.evaluation.scoring import network_scores
from train.networks.resnet import Network


def drawn(logits, seed=0):
    """Draw targets for which sigmoid(logits) is the truth."""
    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-np.clip(logits, -50, 50)))
    return (rng.random(logits.shape) < p).astype(np.float32)


def mapped(scores, slopes, offsets):
    return torch.sigmoid(torch.logit(scores, eps=1e-7) * slopes + offsets)


@pytest.mark.parametrize(("slope", "offset"), [(1, 0), (0.4, -1), (2.5, 0.7)])
def test_a_known_slope_and_offset_are_recovered(slope, offset):
    logits = np.random.default_rng(1).normal(-1, 2, (40000, 1))
    target = torch.from_numpy(drawn(slope * logits + offset))
    scores = torch.sigmoid(torch.from_numpy(logits)).float()
    slopes, offsets = fit_calibration(scores, target)
    assert slopes.item() == pytest.approx(slope, abs=0.06)
    assert offsets.item() == pytest.approx(offset, abs=0.06)


@given(
    seed=st.integers(0, 2**31),
    slope=st.floats(-4, 4),
    offset=st.floats(-6, 6),
    spread=st.floats(0.01, 12),
    wrong=st.floats(0, 0.5),
)
def test_cross_entropy_never_rises(seed, slope, offset, spread, wrong):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (400, 1)).astype(np.float32)
    target = drawn(slope * logits + offset, seed)
    target = np.where(rng.random(target.shape) < wrong, 1 - target, target)
    scores, target = torch.sigmoid(torch.from_numpy(logits)), torch.from_numpy(target)
    slopes, offsets = fit_calibration(scores, target)
    assert slopes.item() >= MIN_SLOPE - 1e-6
    z = torch.logit(scores.double(), eps=1e-7)
    entropy = functional.binary_cross_entropy_with_logits
    before = entropy(z, target.double())
    after = entropy(z * slopes.double() + offsets.double(), target.double())
    assert after <= before + 1e-6


def test_scores_that_are_wrong_way_round_are_flattened_about_the_base_rate():
    logits = np.random.default_rng(2).normal(0, 2, (20000, 1)).astype(np.float32)
    target = torch.from_numpy(drawn(-logits - 2))
    scores = torch.sigmoid(torch.from_numpy(logits))
    slopes, offsets = fit_calibration(scores, target)
    assert slopes.item() == pytest.approx(MIN_SLOPE)
    mean = float(mapped(scores, slopes, offsets).mean())
    assert mean == pytest.approx(float(target.mean()), abs=1e-3)


@pytest.mark.parametrize("n_active", [0, MIN_FRAMES - 1, 1000 - MIN_FRAMES + 1, 1000])
def test_a_label_with_too_few_frames_of_a_kind_stays_as_it_is(n_active):
    scores = torch.linspace(0.01, 0.99, 1000)[:, None]
    target = torch.zeros(1000, 1)
    target[:n_active] = 1
    slopes, offsets = fit_calibration(scores, target)
    assert (slopes.item(), offsets.item()) == (1.0, 0.0)


def test_folding_into_the_last_layer_equals_mapping_the_scores():
    torch.manual_seed(0)
    config = FrontendConfig()
    network = Network(2, NetworkConfig(width=8)).eval()
    segments = np.random.default_rng(0).random((2, 1024, 128), np.float32)
    events = [[Event("a", 1.0, 8.0, 1.0)], [Event("b", 0.0, 9.0, 1.0)]]
    recordings = EvaluationSet(segments, events, ("a", "b"))
    before = list(network_scores(network, segments))
    scores = torch.from_numpy(np.concatenate(before))
    target = torch.from_numpy(np.concatenate(recordings.targets(config)))
    slopes, offsets = fit_calibration(scores, target)
    assert not torch.equal(slopes, torch.ones(2))
    plain = copy.deepcopy(network)
    calibrate(network, before, recordings, config)
    after = torch.from_numpy(np.concatenate(list(network_scores(network, segments))))
    torch.testing.assert_close(
        after, mapped(scores, slopes, offsets), atol=1e-4, rtol=0
    )
    x = torch.from_numpy(segments)[:, None]
    with torch.no_grad():
        assert torch.equal(network(x).region, plain(x).region)


def test_calibrating_twice_changes_nothing_more():
    logits = np.random.default_rng(3).normal(0, 3, (20000, 1)).astype(np.float32)
    target = torch.from_numpy(drawn(0.5 * logits + 1))
    scores = torch.sigmoid(torch.from_numpy(logits))
    slopes, offsets = fit_calibration(
        mapped(scores, *fit_calibration(scores, target)), target
    )
    assert slopes.item() == pytest.approx(1, abs=1e-3)
    assert offsets.item() == pytest.approx(0, abs=1e-3)


def test_true_probabilities_have_no_calibration_error_and_boasts_do():
    logits = np.random.default_rng(4).normal(0, 2, (50000, 1))
    target = drawn(logits)
    scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
    assert calibration_error(reliability(scores, target)) < 0.01
    boasts = (scores > 0.5).astype(np.float32)
    error = calibration_error(reliability(boasts, target))
    assert error == pytest.approx(
        float(np.minimum(scores, 1 - scores).mean()), abs=0.01
    )


def test_every_score_is_in_one_bin():
    scores = np.linspace(0, 1, 1001, dtype=np.float32)
    rows = reliability(scores, np.ones_like(scores))
    assert sum(n for n, _, _ in rows) == 1001
    assert [round(mean, 2) for _, mean, _ in rows[:2]] == [0.05, 0.15]
    assert calibration_error([]) == 0.0
