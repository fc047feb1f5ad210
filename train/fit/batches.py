"""Batches without end, from any step on, for each of the processes that train."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Dataset

from train.config.train import TrainConfig
from train.datasets.clip_features import Example
from train.datasets.scene_batches import SceneBatches, SceneDataset
from train.fit.machine.distributed import Parallel

MAX_EXAMPLES = 2**40
"""Examples in a set that never ends."""


def endless_batches(
    dataset: Dataset[Example],
    config: TrainConfig,
    parallel: Parallel,
    *,
    step: int,
    n_workers: int,
) -> Iterator[Example]:
    """Yield batches, beginning after the last example that was trained on.

    Parameters
    ----------
    dataset : Dataset
        Endless; example `i` is always the same.
    config : TrainConfig
        The size of a batch, of all processes together.
    parallel : Parallel
        Which examples of a batch are this process's, and where they go.
    step : int
        Steps taken so far.
    n_workers : int
        Processes that make examples.
    """
    if isinstance(dataset, SceneDataset):
        return iter(
            SceneBatches(
                dataset,
                parallel.device,
                n_workers=n_workers,
                first=step * config.batch_size,
            )
        )
    first = step * config.batch_size + parallel.rank
    loader = DataLoader(
        dataset,
        batch_size=config.batch_size // parallel.n_processes,
        sampler=range(first, MAX_EXAMPLES, parallel.n_processes),
        num_workers=n_workers,
        prefetch_factor=4 if n_workers else None,
        pin_memory=parallel.device.type == "cuda",
        generator=torch.Generator(),  # else starting it would draw from torch's own
    )
    return iter(loader)
