"""Average the weights of runs: `python -m scripts.average RUN RUN --output RUN`.

A run that began with another's weights (`python -m train fit --init`) often lies in the same
basin: the mean of both networks does better on new sounds than either ("model soups",
Wortsman et al., 2022). The mean is written as the last checkpoint of a new run, for
`python -m train tune` and `export --last`; all else in it is the last run's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from train.fit.checkpoint import AUXILIARY, LAST, read_checkpoint, save_atomically

KEPT = ("config", "labels", "scaling", "step", "elapsed")


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
        A run has no checkpoint, or another network or other labels than the last one.
    """
    states = [read_checkpoint(run / LAST) for run in runs]
    last = states[-1]
    weights = {
        name: value
        for name, value in last["evaluated"].items()
        if not name.startswith(AUXILIARY)
    }
    for run, state in zip(runs, states, strict=True):
        theirs = state["evaluated"]
        same = state["labels"] == last["labels"] and all(
            name in theirs and theirs[name].shape == value.shape
            for name, value in weights.items()
        )
        if not same:
            raise ValueError(
                f"{run}: another network or other labels than {runs[-1]} has"
            )
    for name, value in weights.items():
        if value.is_floating_point():
            total = sum(state["evaluated"][name].double() for state in states)
            weights[name] = (total / len(states)).to(value.dtype)
    return {name: last[name] for name in KEPT} | {"evaluated": weights}


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
