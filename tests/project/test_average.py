"""The mean of the weights of runs."""

import numpy as np
import pytest
import torch
from bars import make_trainer

from scripts import average
from train.config.network import NetworkConfig
from train.config.train import TrainConfig
from train.fit.checkpoint import LAST, load_trained, save_atomically
from train.networks.resnet import Network

CONFIG = TrainConfig(network=NetworkConfig(width=8))


def write_run(folder, seed, *, network=CONFIG.network, n_auxiliary=0):
    """A run with one checkpoint; returns its folder."""
    folder.mkdir()
    torch.manual_seed(seed)
    state = {
        "config": CONFIG.to_dict(),
        "labels": ["Dog", "Cat"],
        "scaling": {"name": "triple", "top_db": 80.0},
        "step": seed,
        "elapsed": 1.0,
        "evaluated": Network(2, network, n_auxiliary=n_auxiliary).state_dict(),
    }
    save_atomically(state, folder / LAST)
    return folder


def test_the_mean_of_two_runs_lies_halfway_and_loads(tmp_path, capsys):
    first = write_run(tmp_path / "first", 1, n_auxiliary=3)
    second = write_run(tmp_path / "second", 2, n_auxiliary=5)
    average.main([str(first), str(second), "--output", str(tmp_path / "mean")])
    assert "the mean of 2 runs" in capsys.readouterr().out
    a, b, mean = (load_trained(tmp_path / each) for each in ("first", "second", "mean"))
    assert mean.step == b.step
    ours, theirs = a.network.state_dict(), b.network.state_dict()
    for name, value in mean.network.state_dict().items():
        halfway = (ours[name].double().numpy() + theirs[name].double().numpy()) / 2
        np.testing.assert_allclose(value.numpy(), halfway, rtol=1e-6, atol=1e-9)


def test_a_mean_is_a_beginning_but_no_run_to_resume(tmp_path):
    run, mean = tmp_path / "run", tmp_path / "mean"
    make_trainer(run).save()
    average.main([str(run), str(run), "--output", str(mean)])
    make_trainer(tmp_path / "next").begin_with(mean)
    with pytest.raises(ValueError, match=r"last\.pt: holds weights alone.* by --init"):
        make_trainer(mean).resume()


def test_runs_of_other_networks_or_a_folder_that_holds_a_run_are_refused(
    tmp_path, capsys
):
    first = write_run(tmp_path / "first", 1)
    wider = write_run(tmp_path / "wider", 2, network=NetworkConfig(width=16))
    for runs, place, said in (
        ((wider, first), tmp_path / "mean", "wider: another network"),
        ((first,), wider, "holds a run already"),
        ((tmp_path / "none", first), tmp_path / "mean", "none"),
    ):
        with pytest.raises(SystemExit) as ended:
            average.main([*map(str, runs), "--output", str(place)])
        assert ended.value.code == 2
        assert said in capsys.readouterr().err
