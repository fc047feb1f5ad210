"""How a run was trained, in words: what a table must say so that it can be repeated.

The report says next to nothing of its training. What was chosen here in its place is
therefore printed with every figure, from the settings of the run itself.
"""

from __future__ import annotations

import math

from train.config.train import TrainConfig


def describe_training(config: TrainConfig) -> str:
    """Say in one line how a network was trained, and by what its checkpoints are chosen.

    Examples
    --------
    >>> "batches of 16 (8 synthetic, 8 weak)" in describe_training(TrainConfig())
    True
    """
    return "; ".join(
        [
            _optimiser(config),
            _batches(config),
            _length(config),
            _weights(config),
            f"arithmetic in {config.precision}, clips as they are",
        ]
    )


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


def _batches(config: TrainConfig) -> str:
    labelled = config.batch_size - config.unlabelled
    parts = f"{labelled - labelled // 2} synthetic, {labelled // 2} weak"
    if config.unlabelled:
        parts += f", {config.unlabelled} unlabelled"
    return f"batches of {config.batch_size} ({parts})"


def _length(config: TrainConfig) -> str:
    length = f"{config.steps} steps"
    if config.minutes is not None:
        length = f"{config.minutes:g} minutes"
    if config.held_out:
        chosen = (
            f"highest event F1 plus tagging F1 on the {100 * config.held_out:g} % of "
            "synthetic and weak clips that were held out"
        )
    else:
        chosen = "lowest validation loss"
    return f"{length}, validated {config.validations} times, the checkpoint of {chosen}"


def _weights(config: TrainConfig) -> str:
    average = f"average (decay {config.ema_decay:g}, tail {config.ema_tail:g})"
    if config.evaluate_average and config.ema_decay:
        return f"the weights' {average} is scored"
    teacher = f", whose teacher is their {average}" if config.system == "crnn" else ""
    return f"the last weights are scored{teacher}"
