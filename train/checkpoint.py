"""Checkpoints: what a run leaves on disk, always whole, and how it is read again."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from train.config import TrainConfig
from train.network import Network

LAST = "last.pt"
"""Everything needed to go on training."""
BEST = "best.pt"
"""The averaged weights that scored best on validation."""


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A network in evaluation mode, what it names and how it was trained."""

    network: Network
    labels: tuple[str, ...]
    config: TrainConfig
    step: int


def make_network(config: TrainConfig, n_labels: int) -> Network:
    """Build the network of a configuration, in the layout that is fastest on a CPU."""
    network = Network(n_labels, width=config.width, stem_pools=config.stem_pools)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def save_atomically(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint such that the file is a whole one at any moment."""
    draft = path.with_suffix(".part")
    torch.save(state, draft)
    draft.replace(path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint.

    Raises
    ------
    ValueError
        There is none, or it is no checkpoint.
    """
    if not path.is_file():
        raise ValueError(f"run={path.parent} must hold {path.name}: train it first")
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises many kinds for a damaged file
        raise ValueError(f"checkpoint={path} must be undamaged ({error})") from error
    return state


def load_trained(run: Path, *, best: bool = True) -> TrainedNetwork:
    """Load the averaged weights of a run: the best on validation, or the last.

    Raises
    ------
    ValueError
        The run has no checkpoint yet.
    """
    has_best = best and (run / BEST).is_file()
    state = read_checkpoint(run / (BEST if has_best else LAST))
    config = TrainConfig(**state["config"])
    network = make_network(config, len(state["labels"]))
    network.load_state_dict(state["average"])
    return TrainedNetwork(network.eval(), tuple(state["labels"]), config, state["step"])


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Append to a CSV file; the first row brings the header."""
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row))
        if is_new:
            writer.writeheader()
        writer.writerow(row)
