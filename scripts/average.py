"""Average the weights of runs: `python -m scripts.average RUN RUN --output RUN`.

A run that began with another's weights (`python -m train fit --init`) often lies in the same
basin: the mean of both networks does better on new sounds than either ("model soups",
Wortsman et al., 2022). The mean is written as the last checkpoint of a new run, for
`python -m train tune` and `export --last`; all else in it is the last run's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from streamsed.config.settings import shortened
from train.config.train import TrainConfig
from train.fit.checkpoint import AUXILIARY, LAST, read_checkpoint, save_atomically

KEPT = ("config", "labels", "scaling", "step", "elapsed")
EVALUATED = "evaluated"
IN_TRAINING_ONLY = ("dropout",)
"""Settings of a network that change nothing of what it computes once it is trained."""


def average(runs: Sequence[Path]) -> dict[str, Any]:
    """Average the evaluated weights of runs, tensor by tensor.

    Parameters
    ----------
    runs : sequence of Path
        Folders with `last.pt`, of one kind of network.

    Returns
    -------
    dict
        A checkpoint without what only training needs.

    Raises
    ------
    ValueError
        A run has no checkpoint, or its labels, network, front-end or scaling differ from
        those of the last one.
    """
    states = [_read(run) for run in runs]
    last = states[-1]
    weights = _weights(last)
    for run, state in zip(runs, states, strict=True):
        _refuse_another(run, state, runs[-1], last)
        theirs = _weights(state)
        if {k: v.shape for k, v in theirs.items()} != {
            k: v.shape for k, v in weights.items()
        }:
            raise ValueError(f"{run}: its weights are not those of its settings")
    for name, value in weights.items():
        if value.is_floating_point():
            total = sum(state[EVALUATED][name].double() for state in states)
            weights[name] = (total / len(states)).to(value.dtype)
    return {name: last[name] for name in KEPT} | {EVALUATED: weights}


def _read(run: Path) -> dict[str, Any]:
    state = read_checkpoint(run / LAST)
    missing = [name for name in (*KEPT, EVALUATED) if name not in state]
    if missing:
        raise ValueError(f"{run / LAST}: holds no {', '.join(missing)}")
    return state


def _weights(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the evaluated weights of the labels."""
    return {k: v for k, v in state[EVALUATED].items() if not k.startswith(AUXILIARY)}


def _refuse_another(
    run: Path, state: Mapping[str, Any], last_run: Path, last: Mapping[str, Any]
) -> None:
    """Raise a ValueError that names the first thing in which two networks differ.

    Equal shapes are not enough: the mean of weights that learnt to read other inputs, or to
    name other labels, answers nothing.
    """
    ours, theirs = _computed(last), _computed(state)
    for name in {**ours, **theirs}:
        if ours.get(name) != theirs.get(name):
            here, there = (shortened(repr(each.get(name))) for each in (theirs, ours))
            raise ValueError(
                f"{run}: {name} is {here}, and {there} in {last_run}; average runs that "
                "differ in their training only"
            )


def _computed(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return all on which a network's scores depend besides its weights, by name."""
    config = TrainConfig.from_dict(state["config"]).to_dict()
    tables = {name: config[name] for name in ("network", "frontend")}
    tables["scaling"] = state["scaling"]
    return {
        "labels": list(state["labels"]),
        "system": config["system"],
        **{
            f"{table}.{key}": value
            for table, values in tables.items()
            for key, value in values.items()
            if key not in IN_TRAINING_ONLY
        },
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser("python -m scripts.average")
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--output", type=Path, required=True, metavar="RUN")
    options = parser.parse_args(arguments)
    try:
        if (options.output / LAST).exists():
            raise ValueError(f"--output {options.output}: holds a run already")
        mean = average(options.runs)
        options.output.mkdir(parents=True, exist_ok=True)
        save_atomically(mean, options.output / LAST)
    except (OSError, ValueError) as error:
        print(f"average: error: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"{options.output}: the mean of {len(options.runs)} runs")


if __name__ == "__main__":
    main()
