"""The mean of the weights of runs."""

import re
from dataclasses import replace

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


def write_run(folder, seed, *, n_auxiliary=0, scaling="triple", labels=None, **config):
    """A run with one checkpoint; returns its folder."""
    folder.mkdir()
    torch.manual_seed(seed)
    config = replace(CONFIG, **config)
    network = config.network
    state = {
        "config": config.to_dict(),
        "labels": labels or ["Dog", "Cat"],
        "scaling": {"name": scaling, "top_db": 80.0},
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


OTHERS = [
    (
        {"labels": ["Cat", "Dog"]},
        r"labels is \['Cat', 'Dog'\], and \['Dog', 'Cat'\] in",
    ),
    ({"scaling": "single"}, "scaling.name is 'single', and 'triple' in"),
    (
        {"network": replace(CONFIG.network, band_bias=True)},
        "network.band_bias is True, and False in",
    ),
    (
        {"network": replace(CONFIG.network, multiples=(1, 2, 4, 4))},
        "network.multiples is",
    ),
    (
        {"frontend": replace(CONFIG.frontend, fmax=8000.0)},
        "frontend.fmax is 8000.0, and",
    ),
]


@pytest.mark.parametrize(("other", "said"), OTHERS)
def test_what_differs_between_runs_is_named(other, said, tmp_path, capsys):
    first = write_run(tmp_path / "first", 1)
    second = write_run(tmp_path / "second", 2, **other)
    with pytest.raises(SystemExit) as ended:
        average.main([str(second), str(first), "--output", str(tmp_path / "mean")])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(rf"average: error: {second}: {said}", line)
    assert not (tmp_path / "mean").exists()


def test_runs_may_differ_in_how_they_were_trained(tmp_path):
    first = write_run(tmp_path / "first", 1)
    network = replace(CONFIG.network, dropout=0.5)
    second = write_run(tmp_path / "second", 2, network=network, learning_rate=1e-4)
    average.main([str(first), str(second), "--output", str(tmp_path / "mean")])
    assert load_trained(tmp_path / "mean").config.learning_rate == 1e-4


def test_runs_of_other_networks_or_a_folder_that_holds_a_run_are_refused(
    tmp_path, capsys
):
    first = write_run(tmp_path / "first", 1)
    wider = write_run(tmp_path / "wider", 2, network=NetworkConfig(width=16))
    for runs, place, said in (
        ((wider, first), tmp_path / "mean", "wider: network.width is 16, and 8 in"),
        ((first,), wider, "holds a run already"),
        ((tmp_path / "none", first), tmp_path / "mean", "none"),
    ):
        with pytest.raises(SystemExit) as ended:
            average.main([*map(str, runs), "--output", str(place)])
        assert ended.value.code == 2
        assert said in capsys.readouterr().err
