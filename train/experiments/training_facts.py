"""How a run was trained, in words: what a table must say so that it can be repeated.

The report says next to nothing of its training. What was chosen here in its place is
therefore printed with every figure, from the settings of the run itself.
"""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import asdict

from train.config.network import NetworkConfig
from train.config.train import TrainConfig
from train.datasets.data_module import TRAINED, batch_sizes

NAMES = {"synthetic": "synthetic", "weak": "weak", "unlabel_in_domain": "unlabelled"}
"""What the clips of a set are called."""

ROUNDED = {"nearest": "to the nearest score frame", "down": "down to score frames"}
"""How times become targets."""


def describe_training(config: TrainConfig, sets: Container[str] = TRAINED) -> str:
    """Say in one line how a network was trained, and by what its checkpoints are chosen.

    Parameters
    ----------
    config : TrainConfig
        Settings of its run.
    sets : container of str
        What it was trained on, such as the names of `ClipSet.used`.

    Examples
    --------
    >>> "batches of 16 (8 synthetic, 8 weak)" in describe_training(TrainConfig())
    True
    """
    return "; ".join(
        [
            _network(config),
            _optimiser(config),
            _batches(config, sets),
            _length(config),
            _weights(config),
            f"arithmetic in {config.precision}, clips as they are, times of events rounded "
            + ROUNDED[config.target_rounding],
        ]
    )


def _network(config: TrainConfig) -> str:
    if config.system == "crnn":
        return f"CRNN of {config.network.width} filters, {config.scaling} scaling"
    report = asdict(NetworkConfig())
    changes = [
        f"{name}={value}"
        for name, value in asdict(config.network).items()
        if value != report[name]
    ]
    but = f" but for {', '.join(changes)}" if changes else ""
    return f"the report's network{but}, {config.scaling} scaling, α = {config.alpha:g}"


def _optimiser(config: TrainConfig) -> str:
    decay = f"AdamW with weight decay {config.weight_decay:g}"
    kind = decay if config.weight_decay else "Adam"
    rate = f"rate {config.learning_rate:g}"
    if not config.constant_rate:
        rate += (
            f" after a linear warm-up of {100 * config.warmup:g} % of the run, then down "
            "a cosine to a hundredth"
        )
    clipping = (
        f"gradients clipped at {config.clip_norm:g}"
        if math.isfinite(config.clip_norm)
        else "gradients not clipped"
    )
    return f"{kind}, {rate}, {clipping}"


def _batches(config: TrainConfig, sets: Container[str]) -> str:
    sizes = batch_sizes(config, sets)
    parts = ", ".join(f"{n} {NAMES[name]}" for name, n in sizes.items())
    return f"batches of {config.batch_size} ({parts})"


def _length(config: TrainConfig) -> str:
    length, n = f"{config.steps} steps", min(config.validations, config.steps)
    if config.minutes is not None:
        length, n = f"{config.minutes:g} minutes", config.validations
    if config.held_out:
        chosen = (
            f"highest event F1 plus tagging F1 on the {100 * config.held_out:g} % of "
            "synthetic and weak clips that were held out"
        )
    else:
        chosen = "lowest validation loss"
    return f"{length}, validated {n} times, the checkpoint of {chosen}"


def _weights(config: TrainConfig) -> str:
    average = f"average (decay {config.ema_decay:g}, tail {config.ema_tail:g})"
    if config.evaluate_average and config.ema_decay:
        return f"the weights' {average} is scored"
    if config.system != "crnn":
        return "the last weights are scored"
    return (
        f"the last weights are scored, whose teacher is their {average}; agreement with it "
        f"counts in full after {100 * config.ramp:g} % of the run"
    )
