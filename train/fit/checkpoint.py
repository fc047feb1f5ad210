"""Checkpoints: what a run leaves on disk, always whole, and how it is read again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from streamsed.atomic_write import replacing
from streamsed.config import FrontendConfig
from streamsed.config.frontend import SEGMENT_SCALINGS
from train.config.train import TrainConfig
from train.datasets.scaling import Scaling, Triple, scaling_from_dict
from train.folder_lock import hold_folder
from train.networks.ensemble import Ensemble, ensemble_weights
from train.networks.factory import make_network

LAST = "last.pt"
"""Everything needed to continue training."""
BEST = "best-*.pt"
"""The best weights on validation, one file for each."""
N_BEST = 4
"""How many of them are kept (section 3 of the report)."""

AUXILIARY = "auxiliary."
"""Start of the names of the weights that tell other kinds of sounds apart, in training only."""
ENTRIES = ("config", "labels", "step")
"""What every checkpoint has."""

MAY_CHANGE = ("steps", "minutes", "threads")
"""Settings that may change when a run is resumed."""
OLD_NAMES = {"kept": "evaluated", "chance": "rng_state"}
OLD_SETTINGS = {"keep_average": "evaluate_average"}
"""What entries and settings of checkpoints were called up to version 0.1, and are now."""


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A network in evaluation mode, what it names and how it was trained.

    Parameters
    ----------
    network : nn.Module
        `Network`, `Crnn` or `Ensemble`, with the averaged weights, or the last ones (see `TrainConfig.evaluate_average`).
    labels : tuple of str
        Columns of its scores.
    config : TrainConfig
        How it was made and trained.
    step : int
        Steps taken.
    scaling : Scaling
        What its input must go through.
    f1_per_label : dict
        Event F1 on validation, from 0 to 1; empty if it was not measured.
    """

    network: nn.Module
    labels: tuple[str, ...]
    config: TrainConfig
    step: int
    scaling: Scaling = field(default_factory=Triple)
    f1_per_label: Mapping[str, float] = field(default_factory=dict)


@contextmanager
def lock_run(folder: Path) -> Iterator[None]:
    """Hold a run's folder; the system lets go of it when the process ends, however.

    Raises
    ------
    ValueError
        Another process holds it.
    """
    with hold_folder(folder, option="--run"):
        for scratch in folder.glob(".*.part"):  # of a process that was killed
            scratch.unlink()
        yield


def save_atomically(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint such that the file is a whole one at any moment.

    Raises
    ------
    OSError
        It cannot be written; the previous checkpoint is kept.
    """
    with replacing(path) as draft:
        try:
            torch.save(state, draft)
        except RuntimeError as error:  # torch's word for a disk that is full
            raise OSError(
                f"{path}: no room for a checkpoint ({error}); free some space and continue "
                "with --resume"
            ) from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint; one of an older version gets today's names.

    Raises
    ------
    ValueError
        There is none, or it is no checkpoint.
    """
    if not path.is_file():
        raise ValueError(
            f"{path.parent}: no trained run ({path.name} is missing); train it with "
            f"`python -m train fit --run {path.parent}`"
        )
    try:
        loaded: object = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises many kinds for a damaged file
        raise ValueError(
            f"{path}: not a checkpoint of `fit`, or damaged ({error})"
        ) from error
    state: dict[str, Any] = loaded if isinstance(loaded, dict) else {}
    lacking = [name for name in ENTRIES if name not in state]
    if lacking or not isinstance(state["config"], dict):
        raise ValueError(
            f"{path}: not a checkpoint of `fit`; missing: "
            f"{', '.join(lacking) or 'its settings'}"
        )
    _rename(state, OLD_NAMES)
    _rename(state["config"], OLD_SETTINGS)
    return state


def load_trained(run: Path, *, best: bool = True) -> TrainedNetwork:
    """Load the weights of a run: the best on validation, or the last.

    Raises
    ------
    ValueError
        The run has no checkpoint yet.
    """
    ranked = best_checkpoints(run)
    return _restore(ranked[0] if best and ranked else run / LAST)


def load_best(run: Path) -> list[TrainedNetwork]:
    """Load the checkpoints of lowest validation loss, the best first.

    Raises
    ------
    ValueError
        The run was not validated yet.
    """
    ranked = best_checkpoints(run)
    if not ranked:
        raise ValueError(f"{run}: no {BEST}; train the run with validation clips")
    return [_restore(path) for path in ranked]


def load_ensemble(run: Path) -> TrainedNetwork:
    """Join the checkpoints of lowest validation loss into one network (section 3).

    They are weighted by their event F1 on validation; see `load_best` for the errors.
    """
    best = load_best(run)
    weights = ensemble_weights([each.f1_per_label for each in best], best[0].labels)
    joined = Ensemble([each.network for each in best], weights).eval()
    return replace(best[0], network=joined, f1_per_label={})


def best_checkpoints(run: Path) -> list[Path]:
    """List the best checkpoints of a run, the best first.

    The best are those of lowest `rank`: the validation loss, or minus the F1 on held-out
    clips (see `train.evaluation.held_out_score`). Older checkpoints have the loss alone.
    """
    ranked = []
    for path in run.glob(BEST):
        state = read_checkpoint(path)
        ranked.append((state.get("rank", state["loss"]), path))
    return [path for _, path in sorted(ranked)]


def keep_best(state: dict[str, Any], run: Path) -> None:
    """Save a validated checkpoint if it is among the best; drop the one that it beats.

    Parameters
    ----------
    state : dict
        With `step`, and the `rank` or else the `loss` by which it is ranked, the lowest
        first.
    run : Path
        The run's folder.
    """
    save_atomically(state, run / BEST.replace("*", f"{state['step']:07d}"))
    for path in best_checkpoints(run)[N_BEST:]:
        path.unlink()


def _rename(entries: dict[str, Any], names: Mapping[str, str]) -> None:
    for old, new in names.items():
        if old in entries:
            entries[new] = entries.pop(old)


def refuse_other_settings(
    before: Mapping[str, Any],
    config: TrainConfig,
    path: Path,
    *,
    may_change: Collection[str] = MAY_CHANGE,
) -> None:
    """Raise a ValueError if a run is resumed with other settings than it was started with.

    Parameters
    ----------
    before : mapping
        The settings in its checkpoint.
    config : TrainConfig
        Those asked for now.
    path : Path
        The checkpoint.
    may_change : collection of str
        Settings that may differ.
    """
    began = TrainConfig.from_dict(before).to_dict()
    for name, value in config.to_dict().items():
        if name not in may_change and value != began[name]:
            key, now, then = _first_difference(name, value, began[name])
            raise ValueError(
                f"{key}: {now} differs from {then} in {path}; resume with the settings "
                "that the run was started with, or name another --run"
            )


def refuse_other_task(
    before: Mapping[str, Any],
    labels: tuple[str, ...],
    frontend: FrontendConfig,
    scaling: Scaling,
) -> None:
    """Raise a ValueError if a checkpoint's weights were learnt for other labels or features.

    Segments may have another length, and a scaling may have been fitted to other clips.
    """
    if tuple(before["labels"]) != labels:
        raise ValueError("its labels are others")
    learnt = TrainConfig.from_dict(before["config"]).frontend.to_dict()
    learnt["scaling"] = scaling_from_dict(before["scaling"]).name
    for name, now in {**frontend.to_dict(), "scaling": scaling.name}.items():
        if name != "segment_frames" and learnt[name] != now:
            raise ValueError(
                f"its weights were learnt on other features ({name}={learnt[name]}, not {now})"
            )


def _first_difference(name: str, now: Any, then: Any) -> tuple[str, Any, Any]:
    """Return the setting that differs, of a table the first one."""
    if isinstance(now, dict) and isinstance(then, dict):
        key = next(key for key in now if now[key] != then.get(key))
        return f"{name}.{key}", now[key], then.get(key)
    return name, now, then


def _restore(path: Path) -> TrainedNetwork:
    try:
        return _restored(read_checkpoint(path))
    except (AttributeError, KeyError, RuntimeError, TypeError) as error:
        raise ValueError(
            f"{path}: the network is not that of its settings "
            f"({type(error).__name__} {error})"
        ) from error


def _restored(state: Mapping[str, Any]) -> TrainedNetwork:
    config = TrainConfig.from_dict(state["config"])
    network = make_network(config, len(state["labels"]))
    weights = {  # the last layer of other kinds of sounds is for training only
        name: value
        for name, value in state["evaluated"].items()
        if not name.startswith(AUXILIARY)
    }
    network.load_state_dict(weights)
    scaling = scaling_from_dict(state["scaling"])
    if scaling.name in SEGMENT_SCALINGS:  # the runtime scales as the run did
        config = replace(
            config, frontend=replace(config.frontend, scaling=scaling.name)
        )
    return TrainedNetwork(
        network.eval(),
        tuple(state["labels"]),
        config,
        state["step"],
        scaling,
        state.get("f1_per_label", {}),
    )
