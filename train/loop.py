"""The training loop, to be read from top to bottom.

A run lives in a folder: its checkpoints (see `train.checkpoint`), `log.csv` with the
losses and `validation.csv` with the scores. A run that was
interrupted goes on as if it had not been: example `i` of a data set is always the same,
and the optimiser, the average and the clock are in the checkpoint.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from streamsed.config import FrontendConfig, PostConfig
from train.average import update_average
from train.checkpoint import (
    BEST,
    LAST,
    append_row,
    make_network,
    read_checkpoint,
    save_atomically,
)
from train.config import TrainConfig
from train.dataset import Example
from train.evaluate import Recordings, network_scores, score_events

Objective = Callable[[Any, Any, Example, float], dict[str, Tensor]]
"""`(network, average, batch, progress)` to scalars: `total` and its parts."""

LOG_EVERY = 50
"""Steps between rows of `log.csv`."""
MAX_EXAMPLES = 2**40
"""Examples in a set that never ends."""
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Trainer:
    """One run: its network, its average, its optimiser and how far they are.

    Parameters
    ----------
    config : TrainConfig
        Settings.
    labels : tuple of str
        What the network learns to name.
    objective : Objective
        The loss.
    folder : Path
        Where the run lives; created if it is not there.
    """

    def __init__(
        self,
        config: TrainConfig,
        labels: tuple[str, ...],
        objective: Objective,
        folder: Path,
    ) -> None:
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.config, self.labels, self.objective = config, labels, objective
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.network = make_network(config, len(labels))
        self.average = copy.deepcopy(self.network).eval()
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=0.0, weight_decay=config.weight_decay
        )
        self.step = 0
        self.elapsed = 0.0
        self.best_f1 = -1.0

    @property
    def progress(self) -> float:
        """How much of the run is over, from 0 to 1."""
        if self.config.minutes is not None:
            return min(self.elapsed / (60.0 * self.config.minutes), 1.0)
        return min(self.step / self.config.steps, 1.0)

    def fit(
        self,
        dataset: Dataset[Example],
        validation: Recordings | None = None,
        *,
        validate_every: float = 420.0,
        save_every: float = 120.0,
        n_workers: int = 1,
    ) -> None:
        """Train to the end; validate and save every so many seconds, and at the end."""
        batches = self._batches(dataset, n_workers)
        start, offset = time.monotonic(), self.elapsed
        validated = saved = self.elapsed
        rows: list[dict[str, float]] = []
        while self.progress < 1.0:
            waited = time.monotonic()
            batch = next(batches)
            waited = time.monotonic() - waited
            losses = self._train_step(batch)
            self.elapsed = offset + time.monotonic() - start
            rows.append({**losses, "waited": waited})
            if self.step % LOG_EVERY == 0 or self.progress >= 1.0:
                self._log(rows)
                rows.clear()
            if validation and self.elapsed - validated >= validate_every:
                self.validate(validation)
                validated = self.elapsed
            if self.elapsed - saved >= save_every:
                self.save()
                saved = self.elapsed
        if validation:
            self.validate(validation)
        self.save()

    def _batches(self, dataset: Dataset[Example], n_workers: int) -> Iterator[Example]:
        """Go on with the example after the last one that was trained on."""
        first = self.step * self.config.batch_size
        loader = DataLoader(
            dataset,
            batch_size=self.config.batch_size,
            sampler=range(first, MAX_EXAMPLES),
            num_workers=n_workers,
            prefetch_factor=4 if n_workers else None,
        )
        return iter(loader)

    def _train_step(self, batch: Example) -> dict[str, float]:
        """Take one step of AdamW and move the average along."""
        rate = self.config.rate_at(self.progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        batch["x"] = batch["x"].contiguous(memory_format=torch.channels_last)
        with self._autocast():
            losses = self.objective(self.network, self.average, batch, self.progress)
        loss = float(losses["total"].detach())
        if not math.isfinite(loss):
            first = self.step * self.config.batch_size
            raise FloatingPointError(
                f"loss={loss} of step {self.step} (examples {first} to "
                f"{first + len(batch['x']) - 1}) must be finite"
            )
        self.optimizer.zero_grad()
        losses["total"].backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.step += 1
        update_average(
            self.average, self.network, decay=self.config.ema_decay, step=self.step
        )
        return {name: float(value.detach()) for name, value in losses.items()}

    def _autocast(self) -> torch.autocast:
        """Compute what follows in the precision of the run."""
        dtype = PRECISIONS[self.config.precision]
        return torch.autocast("cpu", dtype, enabled=dtype != torch.float32)

    def validate(self, data: Recordings) -> float:
        """Score the averaged network, log it, and keep the best; return macro F1."""
        frontend = FrontendConfig()
        with self._autocast():
            scores = list(network_scores(self.average, data.segments))
        result = score_events(scores, data, PostConfig(), frontend)
        row: dict[str, Any] = {
            "step": self.step,
            "minutes": round(self.elapsed / 60, 2),
            "macro": round(result.macro, 4),
            "micro": round(result.micro, 4),
        }
        row |= {label: round(f1, 4) for label, f1 in result.per_label.items()}
        append_row(self.folder / "validation.csv", row)
        print(f"validation {row}", flush=True)
        if result.macro > self.best_f1:
            self.best_f1 = result.macro
            save_atomically(self._state(resumable=False), self.folder / BEST)
        return result.macro

    def _log(self, rows: list[dict[str, float]]) -> None:
        """Write the means of the last steps and say how long it will take."""
        means = {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
        row: dict[str, Any] = {
            "step": self.step,
            "minutes": round(self.elapsed / 60, 2),
            "learning_rate": f"{self.config.rate_at(self.progress):.2e}",
        }
        row |= {name: f"{mean:.5f}" for name, mean in means.items()}
        append_row(self.folder / "log.csv", row)
        left = self.elapsed / max(self.progress, 1e-9) * (1.0 - self.progress)
        print(f"{row} left {left / 60:.1f} min", flush=True)

    def _state(self, *, resumable: bool) -> dict[str, Any]:
        """Collect what a checkpoint holds."""
        state: dict[str, Any] = {
            "config": self.config.to_dict(),
            "labels": list(self.labels),
            "step": self.step,
            "elapsed": self.elapsed,
            "best_f1": self.best_f1,
            "average": self.average.state_dict(),
        }
        if resumable:
            state["network"] = self.network.state_dict()
            state["optimizer"] = self.optimizer.state_dict()
        return state

    def save(self) -> None:
        """Write `last.pt`."""
        save_atomically(self._state(resumable=True), self.folder / LAST)

    def resume(self) -> None:
        """Go on from `last.pt`.

        Raises
        ------
        ValueError
            There is none, or it belongs to a run with other labels.
        """
        path = self.folder / LAST
        state = read_checkpoint(path)
        if tuple(state["labels"]) != self.labels:
            raise ValueError(f"labels={self.labels} must be those of {path}")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.elapsed = state["step"], state["elapsed"]
        self.best_f1 = state["best_f1"]
