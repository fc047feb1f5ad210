"""`python -m train export`: which network of a run it takes, and what its file will say."""

import copy
import dataclasses
import sys

import pytest
import torch
from bars import CONFIG, LABELS, make_trainer

from streamsed.config import FrontendConfig, PostConfig, StreamConfig
from train.cli import app as cli
from train.export.exporter import describe
from train.fit.checkpoint import keep_best, save_atomically
from train.networks.ensemble import Ensemble

VALIDATED = {1: 0.9, 2: 0.4, 3: 0.2, 4: 0.3, 5: 0.5}
"""Validation loss by step; of five, the four lowest are kept."""


def write_run(folder, config=CONFIG):
    """Write a run whose networks say their step by a bias; the last is not the best."""
    trainer = make_trainer(folder, config)
    for step, loss in VALIDATED.items():
        state = copy.deepcopy(trainer._state())
        state["evaluated"]["linear.bias"].fill_(step)
        state |= {"step": step, "loss": loss, "rank": loss}
        keep_best({**state, "f1_per_label": dict.fromkeys(LABELS, 0.5)}, folder)
    save_atomically(state, folder / "last.pt")


@pytest.fixture
def exported(tmp_path, monkeypatch):
    """Run the command up to the writing of the file; return what would be written."""

    def run(*options):
        found = {}

        def export_model(trained, _output, **about):
            found.update(about, trained=trained)
            raise ValueError("enough")

        monkeypatch.setattr("train.cli.export.export_model", export_model)
        words = ["train", "export", tmp_path / "run", "--output", tmp_path / "m.pt"]
        monkeypatch.setattr(sys, "argv", [*map(str, words), *options])
        with pytest.raises(SystemExit):
            cli.main()
        return found

    return run


@pytest.mark.parametrize(("options", "step"), [([], 3), (["--last"], 5)])
def test_one_network_is_that_of_lowest_loss_or_the_last(
    tmp_path, exported, options, step
):
    write_run(tmp_path / "run")
    trained = exported(*options)["trained"]
    assert trained.step == step
    assert (trained.network.linear.bias == step).all()


def test_the_ensemble_is_of_the_four_of_lowest_loss(tmp_path, exported):
    write_run(tmp_path / "run")
    network = exported("--ensemble")["trained"].network
    assert isinstance(network, Ensemble)
    steps = [int(each.linear.bias[0]) for each in network.networks]
    assert steps == [3, 4, 2, 5]
    torch.testing.assert_close(network.weights, torch.full((4, 2), 0.25))


def test_a_file_has_the_reports_threshold_and_gaps_and_the_runs_own_features(
    tmp_path, exported
):
    """What the table does to the scores of its network, `streamsed file` does to its file's."""
    frontend = FrontendConfig(fmin=50.0, top_db=60.0)
    config = dataclasses.replace(CONFIG, frontend=frontend, scaling="relative")
    write_run(tmp_path / "run", config)
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    state["scaling"] = {"name": "relative", "top_db": 60.0}
    save_atomically(state, tmp_path / "run" / "last.pt")
    found = exported("--last")
    info = describe(found["trained"], "mine", found["post"], {}, {})
    assert info.post == PostConfig(onset_threshold=0.5, min_gap=0.2, min_duration=0.2)
    assert info.stream == StreamConfig(step=5.0, latency=10.0)
    assert info.frontend == dataclasses.replace(frontend, scaling="relative")
    assert info.labels == LABELS
