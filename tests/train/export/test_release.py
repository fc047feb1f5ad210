"""Finishing a network: what is measured, and what calibration and tuning may touch."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from streamsed.config import PostConfig
from train.config.mixing import EVALUATION_MIXING
from train.config.network import NetworkConfig
from train.config.preset import load_preset
from train.config.train import TrainConfig
from train.datasets.evaluation_set import draw_evaluation_set
from train.datasets.scaling import Single
from train.evaluation.draws import Seed
from train.evaluation.scoring import network_scores, score_events
from train.export import release
from train.export.release import finish
from train.fit.checkpoint import TrainedNetwork
from train.mixing.mixer import Mixer
from train.mixing.soundbank import Soundbank
from train.mixing.toy_bank import write_bank
from train.networks.factory import make_network


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    folder = write_bank(tmp_path_factory.mktemp("bank"), n_recordings=5)
    return Soundbank.load(folder, split="validation")


@pytest.fixture(autouse=True)
def _few_quiet_soundscapes(monkeypatch):
    monkeypatch.setattr(release, "N_QUIET", 2)


def untrained(bank, config=None, **fields):
    torch.manual_seed(0)
    config = config or TrainConfig(network=NetworkConfig(width=8, stem_pools=2,
        multiples=(1,), strides=((2, 2),)))  # fmt: skip
    network = make_network(config, len(bank.labels)).eval()
    with torch.no_grad():
        network.linear.weight *= 30  # scores that differ from frame to frame
    return TrainedNetwork(network, bank.labels, config, 1, **fields)


def measured(bank, trained, n, **options):
    mixer = Mixer(bank, dataclasses.replace(EVALUATION_MIXING, layout=1.0))
    return draw_evaluation_set(
        mixer, trained.config.frontend, n_soundscapes=n, seed=Seed.MEASURED, **options
    )


def test_without_tuning_the_network_is_measured_as_it_is(bank):
    trained = untrained(bank)
    before = copy.deepcopy(trained.network.state_dict())
    finished = finish(trained, bank, n=3)
    after = trained.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert finished.post == PostConfig()
    recordings = measured(bank, trained, 3)
    np.testing.assert_array_equal(finished.check_set.segments, recordings.segments)
    scores = list(network_scores(trained.network, recordings.segments))
    frontend = trained.config.frontend
    assert finished.f1 == score_events(scores, recordings, PostConfig(), frontend)
    assert finished.scores["event_f1_macro"] == round(finished.f1.macro, 4)
    assert finished.scores["data"] == "3 soundscapes of seed 2 of a sound bank"


def test_a_label_without_recordings_is_left_out_and_a_foreign_one_refused(bank):
    trained = untrained(bank)
    some = {k: v for k, v in bank.foreground.items() if k != "Humming"}
    finished = finish(trained, dataclasses.replace(bank, foreground=some), n=2)
    assert set(finished.f1.per_label) == set(bank.labels)
    assert "Humming" in finished.f1.absent
    foreign = some | {"Owl": bank.foreground["Humming"]}
    with pytest.raises(ValueError, match="its label 'Owl' is not one that the network"):
        finish(trained, dataclasses.replace(bank, foreground=foreign), n=2)


def test_tuning_gives_every_label_its_settings_and_calibrated_scores(bank):
    trained = untrained(bank)
    before = copy.deepcopy(trained.network)
    finished = finish(trained, bank, n=3, tune=True, part="split validation")
    for name in ("onset_threshold", "offset_threshold", "min_duration"):
        assert set(getattr(finished.post, name)) == set(bank.labels)
    changed = [
        name
        for name, value in before.state_dict().items()
        if not torch.equal(value, trained.network.state_dict()[name])
    ]
    assert changed == ["linear.weight", "linear.bias"]
    recordings = measured(bank, trained, 3)
    scores = list(network_scores(trained.network, recordings.segments))
    frontend = trained.config.frontend
    assert finished.f1 == score_events(scores, recordings, finished.post, frontend)
    assert finished.scores["data"] == (
        "3 soundscapes of seed 2 of a sound bank (split validation); thresholds tuned on "
        "others of the same recordings"
    )


def test_what_is_tuned_on_is_not_what_is_measured(bank):
    trained = untrained(bank)
    mixer = Mixer(bank, dataclasses.replace(EVALUATION_MIXING, layout=1.0))
    tuned = draw_evaluation_set(
        mixer, trained.config.frontend, n_soundscapes=3, seed=Seed.TUNED
    )
    recordings = measured(bank, trained, 3)
    for one in tuned.segments:
        assert not any(np.array_equal(one, other) for other in recordings.segments)


def test_a_network_gets_the_scaling_that_it_was_trained_on(bank):
    trained = untrained(bank, scaling=Single())
    finished = finish(trained, bank, n=2)
    wanted = measured(bank, trained, 2, scaling=Single()).segments
    np.testing.assert_array_equal(finished.check_set.segments, wanted)
    assert not np.array_equal(wanted, measured(bank, trained, 2).segments)


def test_the_baseline_is_tuned_and_stays_uncalibrated(bank):
    config = load_preset("baseline_crnn", width=8)
    trained = untrained(bank, config)
    before = copy.deepcopy(trained.network.state_dict())
    finished = finish(trained, bank, n=1, tune=True)
    after = trained.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert set(finished.post.onset_threshold) == set(bank.labels)
