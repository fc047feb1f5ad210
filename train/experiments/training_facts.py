"""How a run was trained, in words: what a table must say so that it can be repeated.

The report says next to nothing of its training. What was chosen here in its place is
therefore printed with every figure, from the settings of the run itself.
"""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import asdict
from pathlib import Path

from train.annotations.desed_version import enumerated
from train.config.network import NetworkConfig
from train.config.train import TrainConfig
from train.datasets.data_module import TRAINED, batch_sizes
from train.experiments.run_data import commits_of
from train.fit.mean_teacher import MeanTeacher

NAMES = {"synthetic": "synthetic", "weak": "weak", "unlabel_in_domain": "unlabelled"}
"""What the clips of a set are called."""

ROUNDED = {"nearest": "to the nearest score frame", "down": "down to score frames"}
"""How times become targets."""

ARITHMETIC = {
    "fp32": "fp32 (on a GPU, convolutions and recurrence in TF32)",
    "bf16": "bf16",
    "fp16": "fp16",
}
"""Of the network, by the precision of a run; torch has TF32 unless told otherwise."""


def describe_run(run: Path, config: TrainConfig, sets: Container[str]) -> str:
    """Say how a run was trained, and by the code of which commits."""
    commits = enumerated(commits_of(run))
    return f"{describe_training(config, sets)}; by the code of {commits}"


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
            _beginning(config),
            _optimiser(config),
            _batches(config, sets),
            _length(config, sets),
            _weights(config),
            f"arithmetic in {ARITHMETIC[config.precision]}, clips as they are, times of "
            "events rounded " + ROUNDED[config.target_rounding],
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


def _beginning(config: TrainConfig) -> str:
    if config.system == "crnn":
        return (
            "initial weights by Glorot, orthogonal in the recurrence, N(0, 0.01) in linear "
            "layers, batch norms of epsilon 0.001, dropout of a half"
        )
    dropout = config.network.dropout
    return "initial weights and batch norms (epsilon 1e-05) as torch has them, " + (
        f"dropout of {dropout:g}" if dropout else "no dropout"
    )


def _optimiser(config: TrainConfig) -> str:
    decay = f"AdamW with weight decay {config.weight_decay:g} of every weight"
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
    return f"{kind}, means over 10 and 1000 steps, {rate}, {clipping}"


def _batches(config: TrainConfig, sets: Container[str]) -> str:
    sizes = batch_sizes(config, sets)
    parts = ", ".join(f"{n} {NAMES[name]}" for name, n in sizes.items())
    return f"batches of {config.batch_size} ({parts}), each set shuffled for each pass"


def _length(config: TrainConfig, sets: Container[str]) -> str:
    length = f"{config.steps} steps, validated {min(config.validations, config.steps)}"
    if config.minutes is not None:
        length = f"{config.minutes:g} minutes, validated at most {config.validations}"
    share = f"{100 * config.held_out:g} %"
    if not config.held_out:
        chosen = "lowest validation loss"
    elif "weak" in sets:
        chosen = (
            f"highest event F1 plus tagging F1 on the {share} of synthetic and weak clips "
            "that were held out"
        )
    else:
        chosen = (
            f"highest event F1 on the {share} of synthetic clips that were held out"
        )
    return f"{length} times, the checkpoint of {chosen}"


def _weights(config: TrainConfig) -> str:
    average = f"average (decay {config.ema_decay:g}, tail {config.ema_tail:g})"
    averaged = config.evaluate_average and config.ema_decay
    scored = (
        f"the weights' {average} is scored"
        if averaged
        else "the last weights are scored"
    )
    if config.system != "crnn":
        return scored
    teacher = MeanTeacher(ramp=config.ramp)
    return (
        f"{scored}; the teacher is their {average}, under noise of {teacher.noise:g}; "
        f"agreement with it counts {teacher.consistency:g} times, in full after "
        f"{100 * teacher.ramp:g} % of the run"
    )
