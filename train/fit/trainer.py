"""The training loop, to be read from top to bottom.

A run has a folder with its checkpoints (see `train.fit.checkpoint`), `log.csv` with the
losses and `validation.csv` with the scores. An interrupted run continues as if it
had not been: example `i` of a data set is always the same; the optimiser, the average, the
clock, torch's generators and the losses not yet logged are in the checkpoint; later log
entries are written again. Scenes are the exception, as they are made of variants that
earlier ones left (`train.mixing.variants.Variants`): a run on them continues with others.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from streamsed.progress import report
from train.config.train import TrainConfig
from train.datasets.clip_features import Example
from train.datasets.evaluation_set import EvaluationSet
from train.datasets.held_out import HeldOut
from train.datasets.scaling import Scaling, Triple
from train.fit.batches import endless_batches
from train.fit.checkpoint import (
    LAST,
    keep_best,
    lock_run,
    read_checkpoint,
    refuse_other_settings,
    refuse_other_task,
    save_atomically,
)
from train.fit.clock import Clock
from train.fit.machine.distributed import Parallel
from train.fit.run_log import RunLog
from train.fit.train_step import Learner, Objective
from train.fit.validation import Validation

LOG_EVERY = 50
"""Steps between rows of `log.csv`."""


class Trainer:
    """One run: what learns, and how far it is.

    Parameters
    ----------
    config : TrainConfig
        Settings.
    labels : tuple of str
        What the network learns to name.
    objective : Objective
        The loss.
    folder : Path
        Folder of the run; created if it does not exist.
    scaling : Scaling
        What the inputs went through; kept with the weights.
    device : str
        See `train.fit.machine.distributed.Parallel`.
    tensorboard : bool
        See `train.fit.run_log.RunLog`.
    n_auxiliary : int
        Other kinds of sounds that are learnt in addition to the labels.
    compiled : bool
        See `train.fit.train_step.Learner`.
    """

    def __init__(
        self,
        config: TrainConfig,
        labels: tuple[str, ...],
        objective: Objective,
        folder: Path,
        *,
        scaling: Scaling | None = None,
        device: str = "auto",
        tensorboard: bool = False,
        n_auxiliary: int = 0,
        compiled: bool = False,
    ) -> None:
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.config, self.labels = config, labels
        self.folder = folder
        self.scaling = scaling or Triple(top_db=config.frontend.top_db)
        folder.mkdir(parents=True, exist_ok=True)
        self.parallel = Parallel(device)
        self.log = RunLog(folder, tensorboard=tensorboard and self.parallel.is_first)
        if config.batch_size % self.parallel.n_processes:
            raise ValueError(
                f"batch_size={config.batch_size} must be a multiple of the "
                f"{self.parallel.n_processes} processes"
            )
        self.learner = Learner(
            config,
            len(labels),
            objective,
            self.parallel,
            n_auxiliary=n_auxiliary,
            compiled=compiled,
        )
        self.clock = Clock(config, self.parallel)
        self._validated = 0.0  # progress at the last validation
        self._rows: list[dict[str, float]] = []  # losses since the last row of the log

    def fit(
        self,
        dataset: Dataset[Example],
        validation: EvaluationSet | None = None,
        *,
        held_out: HeldOut | None = None,
        save_every: float = 120.0,
        n_workers: int = 1,
    ) -> None:
        """Train to the end, from where it is; from its first step on it can be resumed.

        Parameters
        ----------
        dataset : Dataset
            Endless; example `i` is always the same.
        validation : EvaluationSet, optional
            What the network is measured on.
        held_out : HeldOut, optional
            What its checkpoints are chosen by; the validation loss if left out.
        save_every : float
            Seconds between two checkpoints.
        n_workers : int
            Processes that make examples.

        Raises
        ------
        FloatingPointError
            A loss is not finite; the message names the examples.
        ValueError
            Another process trains in this folder.
        """
        with lock_run(self.folder) if self.parallel.is_first else nullcontext():
            self._fit(dataset, validation, held_out, save_every, n_workers)

    def _fit(
        self,
        dataset: Dataset[Example],
        validation: EvaluationSet | None,
        held_out: HeldOut | None,
        save_every: float,
        n_workers: int,
    ) -> None:
        clock = self.clock
        batches = endless_batches(
            dataset, self.config, self.parallel, step=clock.step, n_workers=n_workers
        )
        saved = clock.elapsed
        if self.parallel.is_first:
            self.log.rewind(clock.step)
        if clock.step == 0:
            self.save()
        clock.start()
        with clock.task() as training:
            while clock.progress < 1.0:
                asked = time.monotonic()
                batch = next(batches)
                waited = time.monotonic() - asked
                losses = self.learner.learn(
                    batch, step=clock.step, progress=clock.progress
                )
                clock.tick()
                self._rows.append({**losses, "waited": waited})
                if clock.step % LOG_EVERY == 0 or clock.progress >= 1.0:
                    self._log()
                if validation and clock.is_due(self._validated):
                    self.validate(validation, held_out)
                if clock.elapsed - saved >= save_every:
                    self.save()
                    saved = clock.elapsed
                if self.parallel.is_first:
                    training.update(clock.done, f"loss {losses['total']:.4f}")
        if validation and self._validated < 1.0:
            self.validate(validation, held_out)
        self.save()

    def validate(self, data: EvaluationSet, held_out: HeldOut | None = None) -> float:
        """Score the network, log it, keep it among the best; return its loss.

        The best are those of lowest validation loss, or of highest F1 on held-out clips.
        """
        self._validated = self.clock.progress
        if not self.parallel.is_first:
            return math.nan
        with self.parallel.own_chance():
            found = self._measure(data, held_out)
        row = {**self.clock.to_row(), **found.to_row()}
        self.log.add("validation", row)
        text = f"step {self.clock.step}: validation loss {found.loss:.4f}, event F1 "
        text += f"{found.f1.macro:.1%} macro, {found.f1.micro:.1%} micro"
        report("validation", text, **row)
        keep_best({**self._state(), **found.to_checkpoint()}, self.folder)
        return found.loss

    def _measure(self, data: EvaluationSet, held_out: HeldOut | None) -> Validation:
        total = 0.0
        for batch in data.batches(self.config.frontend, self.config.batch_size):
            # By clip, not by batch: the last batch may have fewer.
            total += len(batch["x"]) * float(self._validation_losses(batch)["total"])
        with self.learner.autocast():
            return Validation.of(
                self.learner.evaluated,
                data,
                held_out,
                self.config.frontend,
                loss=total / len(data.segments),
            )

    @torch.no_grad()
    def _validation_losses(self, batch: Example) -> dict[str, torch.Tensor]:
        return self.learner.losses(self.learner.evaluated, batch, self.clock.progress)

    def _log(self) -> None:
        """Write the means of the last steps."""
        means = _means(self._rows)
        self._rows.clear()
        if not self.parallel.is_first:
            return
        row: dict[str, Any] = self.clock.to_row()
        row["learning_rate"] = f"{self.config.rate_at(self.clock.progress):.2e}"
        row |= {name: f"{mean:.5f}" for name, mean in means.items()}
        self.log.add("log", row)
        report("losses", step=self.clock.step, **means)

    def _state(self) -> dict[str, Any]:
        """Collect what every checkpoint holds."""
        return {
            "config": self.config.to_dict(),
            "labels": list(self.labels),
            "scaling": self.scaling.to_dict(),
            "step": self.clock.step,
            "elapsed": self.clock.elapsed,
            "evaluated": self.learner.evaluated.state_dict(),
        }

    def save(self) -> None:
        """Write `last.pt`."""
        if not self.parallel.is_first:
            return
        resumable = {
            "rng_state": self.parallel.rng_state(),
            "validated": self._validated,
            "rows": self._rows,
        }
        state = {**self._state(), **self.learner.state(), **resumable}
        save_atomically(state, self.folder / LAST)

    def begin_with(self, run: Path) -> None:
        """Begin with the averaged weights of another run instead of random ones.

        Raises
        ------
        ValueError
            There is none, or its labels, its features or its network are others.
        """
        state = read_checkpoint(run / LAST)
        try:
            frontend = self.config.frontend
            refuse_other_task(state, self.labels, frontend, self.scaling)
            self.learner.begin_with(state["evaluated"])
        except ValueError as error:
            raise ValueError(f"--init {run}: {error}") from error

    def resume(self) -> None:
        """Go on from `last.pt`.

        Raises
        ------
        ValueError
            There is none, it holds weights alone, or it belongs to a run with other labels,
            kinds of sounds or settings; length and threads may change.
        """
        path = self.folder / LAST
        state = read_checkpoint(path)
        refuse_other_settings(state["config"], self.config, path)
        try:
            if tuple(state["labels"]) != self.labels:
                raise ValueError("was trained with other labels; name another --run")
            self.learner.load(state)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        self.parallel.set_rng_state(state["rng_state"])
        self.clock.step, self.clock.elapsed = state["step"], state["elapsed"]
        # The run may be longer now, so that this was less of it.
        self._validated = min(state["validated"], self.clock.progress)
        self._rows = state["rows"]


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
