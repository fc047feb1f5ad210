"""Adapting: a run that goes on from a model file with one's own sounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from train.adaptation.criterion import AdaptationCriterion
from train.adaptation.own_sounds import AdaptationMixer, OwnSounds
from train.config.train import TrainConfig
from train.datasets.scene_batches import SceneDataset
from train.fit.checkpoint import TrainedNetwork, load_trained
from train.fit.run import RunOptions
from train.fit.trainer import Trainer
from train.mixing.soundbank import Clip, Soundbank, hold_to_bank
from train.networks.factory import make_network
from train.networks.resnet import Network

HALFWAY = 0.5
"""How far the rows of taught shipped labels go, from what they were to what they learnt."""
UNSURE = -4.0
"""Logit with which a new label begins: nothing is it until it is taught."""


@dataclass(frozen=True, slots=True)
class AdaptOptions:
    """How long and how hard.

    Parameters
    ----------
    folder : Path
        Folder of the run.
    steps : int or None
        Length of the run; None is `minutes`.
    minutes : float
        Length of the run where no steps are given.
    learning_rate : float
        Highest.
    batch_size : int
        Segments a step.
    seed : int
        Of mixtures.
    threads : int
        Of the arithmetic.
    n_workers : int
        Processes that mix.
    resume : bool
        Go on with what is there.

    Raises
    ------
    ValueError
        The folder holds a run and `resume` is not set, or the other way round.
    """

    folder: Path
    steps: int | None = None
    minutes: float = 6.0
    learning_rate: float = 1e-2
    batch_size: int = 16
    seed: int = 0
    threads: int = 2
    n_workers: int = 1
    resume: bool = False

    def __post_init__(self) -> None:
        """Check the folder as `fit` does, before minutes of work."""
        RunOptions(self.folder, self.resume)


def adapt(
    base: TrainedNetwork,
    own: OwnSounds,
    options: AdaptOptions,
    *,
    others: Sequence[Clip] = (),
    rehearsed: Soundbank | None = None,
) -> TrainedNetwork:
    """Teach a network one's own sounds.

    Parameters
    ----------
    base : TrainedNetwork
        From `train.adaptation.restore`.
    own : OwnSounds
        What is taught.
    options : AdaptOptions
        How.
    others, rehearsed
        See `AdaptationMixer`.

    Returns
    -------
    TrainedNetwork
        With the new labels behind the old ones.
    """
    config = run_config(base.config, options)
    mixer = AdaptationMixer(own, config.scenes, others=others, rehearsed=rehearsed)
    hold_to_bank(options.folder, mixer.bank, begun=options.resume)
    dataset = SceneDataset(mixer, config)
    assert isinstance(base.network, Network)
    criterion = AdaptationCriterion(
        base.network,
        own.labels,
        mixer.bank.labels,
        sorted(own.taught.foreground),
        edge=config.edge,
        n_edge=round(1.0 / config.frontend.score_frame_duration),
    )
    trainer = Trainer(
        config,
        own.labels,
        criterion,
        options.folder,
        scaling=base.scaling,
        device="cpu",
    )
    started = widened(base, own.labels).state_dict()
    for network in (trainer.learner.network, trainer.learner.average):
        network.load_state_dict(started)
    for name, parameter in trainer.learner.network.named_parameters():
        parameter.requires_grad = name.startswith("linear.")
    if options.resume:
        trainer.resume()
    trainer.fit(dataset, n_workers=options.n_workers)
    trained = load_trained(options.folder, best=False)
    _go_halfway(base.network, trained.network, own)
    return trained


def _go_halfway(old: Network, new: nn.Module, own: OwnSounds) -> None:
    """Put the rows of taught shipped labels between what they were and what they learnt.

    A few recordings of one dog make a row that knows that dog and hardly any other; the
    mean of both rows knows both (Wortsman et al., 2022, on weights).
    """
    assert isinstance(new, Network)
    with torch.no_grad():
        for row, label in enumerate(own.labels[: own.n_shipped]):
            if label in own.taught.foreground:
                new.linear.weight[row].lerp_(old.linear.weight[row], 1 - HALFWAY)
                new.linear.bias[row].lerp_(old.linear.bias[row], 1 - HALFWAY)


def run_config(base: TrainConfig, options: AdaptOptions) -> TrainConfig:
    """Return the settings of an adaptation: those of the model but for its length."""
    return replace(
        base,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        constant_rate=False,
        weight_decay=0.0,
        warmup=0.05,
        auxiliary=0.0,
        alpha=0.0,
        precision="fp32",
        steps=options.steps or base.steps,
        minutes=None if options.steps else options.minutes,
        seed=options.seed,
        threads=options.threads,
        scenes=replace(base.scenes, listed=0.0),
    )


def widened(base: TrainedNetwork, labels: Sequence[str]) -> nn.Module:
    """Return the network with columns for new labels, which nothing is yet."""
    network = make_network(base.config, len(labels))
    state = base.network.state_dict()
    weight, bias = state["linear.weight"], state["linear.bias"]
    n_new = len(labels) - len(base.labels)
    state["linear.weight"] = torch.cat(
        [weight, weight.new_zeros(n_new, weight.shape[1])]
    )
    state["linear.bias"] = torch.cat([bias, bias.new_full((n_new,), UNSURE)])
    network.load_state_dict(state)
    return network.eval()
