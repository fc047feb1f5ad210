"""Export: what the file says and computes is what the network does."""

import shlex
import sys

import numpy as np
import pytest
import soundfile
import torch

from streamsed.artefact import ModelInfo
from streamsed.config import FrontendConfig, PostConfig
from streamsed.model import Model
from train import cli, export, fitting
from train.checkpoint import TrainedNetwork, make_network
from train.config import NetworkConfig, TrainConfig
from train.export import count_gmac, export_model
from train.recordings import noise_segments

LABELS = ("Cat", "Dog", "Speech")


TWICE = NetworkConfig(width=8, stem_pools=2, strides=((1, 1), (1, 1), (2, 2), (1, 2)))


def random_trained(network=NetworkConfig(width=8), **settings):  # noqa: B008 (frozen)
    torch.manual_seed(0)
    config = TrainConfig(network=network, **settings)
    network = make_network(config, len(LABELS))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 2.0)
    return TrainedNetwork(network.eval(), LABELS, config, step=5)


def segments(n):
    return torch.from_numpy(noise_segments(FrontendConfig())[:n])[:, None]


@pytest.mark.parametrize("network", [NetworkConfig(width=8), TWICE])
def test_the_runtime_computes_what_the_network_does(tmp_path, network):
    trained = random_trained(network)
    x = segments(1)
    export_model(trained, tmp_path / "model.pt", name="tiny", segments=x)
    model = Model.load(tmp_path / "model.pt", device="cpu")
    for segment in x:
        answer = model.score(segment[0].numpy())
        with torch.no_grad():
            scores, region = trained.network(segment[None])
        np.testing.assert_allclose(answer.scores, scores[0], atol=1e-5)
        np.testing.assert_allclose(answer.region, region[0], atol=1e-5)


def test_the_file_describes_itself(tmp_path):
    post = PostConfig(onset_threshold={"Dog": 0.4})
    returned = export_model(
        random_trained(seed=3, minutes=2.0),
        tmp_path / "model.pt",
        name="tiny",
        segments=segments(1),
        post=post,
        scores={"event_f1_macro": 0.25, "data": "noise"},
        provenance={"command": "python -m train fit"},
    )
    info = ModelInfo.read(tmp_path / "model.pt")
    assert info == returned
    assert (info.name, info.labels, info.post) == ("tiny", LABELS, post)
    assert info.scores_at_export["event_f1_macro"] == 0.25
    training = info.training
    assert (training["seed"], training["steps"], training["clips"]) == (3, 5, 80)
    assert training["command"] == "python -m train fit"
    assert training["commit"]
    assert info.parameters > 1000
    assert info.gmac > 0


def test_a_file_that_differs_is_refused_and_the_old_one_stays(tmp_path, monkeypatch):
    (tmp_path / "model.pt").write_text("the old one")
    monkeypatch.setattr(export, "largest_difference", lambda *_: float("nan"))
    with pytest.raises(ValueError, match="difference=nan"):
        export_model(
            random_trained(), tmp_path / "model.pt", name="tiny", segments=segments(1)
        )
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]
    assert (tmp_path / "model.pt").read_text() == "the old one"


def test_pooling_twice_costs_less_than_half():
    once = random_trained().network
    twice = random_trained(TWICE).network
    assert count_gmac(twice, FrontendConfig()) < 0.5 * count_gmac(
        once, FrontendConfig()
    )


def run_cli(monkeypatch, command):
    monkeypatch.setattr(sys, "argv", ["train", *shlex.split(command)])
    # These two change the whole process, which other tests share.
    monkeypatch.setattr(torch, "set_flush_denormal", lambda _: True)
    monkeypatch.setattr(fitting, "keep_freed_memory", lambda: True)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """A bank with both splits: two labels, one background."""
    folder = tmp_path_factory.mktemp("bank")
    rng = np.random.default_rng(0)
    rows = ["path,split"]
    for part in ("foreground/Beep", "foreground/Hiss", "background/room"):
        (folder / part).mkdir(parents=True)
        for split in ("train", "validation"):
            samples = 0.1 * rng.standard_normal(30000)
            if part.endswith("Beep"):
                samples = 0.3 * np.sin(0.2 * np.arange(30000))
            soundfile.write(folder / part / f"{split}.wav", samples, 44100)
            rows.append(f"{part}/{split}.wav,{split}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder


# Python 3.12 and later warn of a fork beside threads; the worker touches no thread.
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_the_command_line_goes_from_bank_to_model(bank, tmp_path, monkeypatch, capsys):
    run, model = tmp_path / "run", tmp_path / "model.pt"
    fit = f"fit --soundbank {bank} --run {run} --width 8 --steps 1 --threads 1"
    assert run_cli(monkeypatch, fit + " --n-validation 2") == 0
    assert run_cli(monkeypatch, fit) == 2
    assert "--resume" in capsys.readouterr().err
    export = f"export {run} --output {model}"
    measured = f" --soundbank {bank} --split validation --n 2"
    assert run_cli(monkeypatch, export + measured + " --tune") == 0
    info = ModelInfo.read(model)
    assert info.labels == ("Beep", "Hiss")
    assert "event_f1_macro" in info.scores_at_export
    assert set(info.post.onset_threshold) == {"Beep", "Hiss"}
    assert run_cli(monkeypatch, export) == 0
    assert ModelInfo.read(model).scores_at_export == {}


@pytest.mark.parametrize(
    "command",
    [
        "card nothing.pt --soundbank BANK --blueprint nothing.tsv",
        "export nowhere --output model.pt --soundbank BANK",
        "soundscapes out --soundbank nowhere",
        "soundscapes out --soundbank BANK --split test",
        "fit --soundbank BANK --run run --preset huge",
        "fit --soundbank BANK --run run --resume",
        "fit --soundbank BANK",
    ],
)
def test_what_is_wrong_is_one_line_and_exit_code_2(
    bank, tmp_path, monkeypatch, capsys, command
):
    monkeypatch.chdir(tmp_path)
    assert run_cli(monkeypatch, command.replace("BANK", str(bank))) == 2
    error = capsys.readouterr().err
    assert error.startswith("train: error: ")
    assert error.count("\n") == 1
