"""Runs that the fits of a job begin with, made small; a fit without one has random weights.

What `scripts.parts join` gives is such a run too, so that one job goes on where the last ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.parts import halve
from train.config.preset import load_preset
from train.config.train import TrainConfig
from train.fit.checkpoint import LAST, read_checkpoint, save_atomically


def read_runs(words: Sequence[str]) -> dict[str, Path]:
    """Read NAME=DIR.

    Raises
    ------
    ValueError
        A word is not of that form.

    Examples
    --------
    >>> read_runs(["full=runs/c"])["full"].as_posix()
    'runs/c'
    """
    for word in words:
        if not all(word.partition("=")):
            raise ValueError(f"--run {word}: must be NAME=DIR, such as full=runs/full")
    return {
        name: Path(path) for name, _, path in (each.partition("=") for each in words)
    }


def beginnings(settings: Mapping[str, Any]) -> list[str]:
    """List the fits of a job that begin with a run, if it is given."""
    return [name for name, fit in settings["fit"].items() if fit.get("init")]


def slim_runs(
    settings: Mapping[str, Any], runs: Mapping[str, Path], folder: Path
) -> None:
    """Write weights that fits of a job begin with, as 16-bit numbers.

    Parameters
    ----------
    settings : mapping
        Of scripts/accelerator.toml's form.
    runs : mapping of str to Path
        Runs by the names of the fits.
    folder : Path
        Is made: NAME/last.pt of each.

    Raises
    ------
    ValueError
        No fit begins with a run of that name, or the network of the fit is another.
    """
    wanted = beginnings(settings)
    if others := sorted(set(runs) - set(wanted)):
        raise ValueError(
            f"--run {', '.join(others)}: the fits of the job begin with runs named "
            f"{', '.join(wanted) or 'nothing'}"
        )
    for name, run in runs.items():
        fit = settings["fit"][name]
        network = load_preset(fit["preset"], fit["set"]).network
        state = read_checkpoint(run / LAST)
        theirs = TrainConfig.from_dict(state["config"]).network
        if network != theirs:
            raise ValueError(
                f"--run {name}={run}: its network is not that of fit.{name} "
                f"({theirs}, not {network})"
            )
        (folder / name).mkdir(parents=True)
        save_atomically(halve(state), folder / name / LAST)
