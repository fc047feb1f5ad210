"""One step of learning: a network, its average, its optimiser and their arithmetic."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import nn

from train.config.train import TrainConfig
from train.datasets.clip_features import Example
from train.fit.checkpoint import AUXILIARY
from train.fit.machine.distributed import Parallel
from train.fit.machine.memory import largest_fit
from train.fit.weight_average import update_average
from train.networks.factory import make_network

Objective = Callable[[Any, Any, Example, float], dict[str, torch.Tensor]]
"""`(network, average, batch, progress)` to scalars: `total` and its parts."""

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def compile_in_place(network: nn.Module) -> None:
    """Compile the network's feature extractor."""
    network.__dict__["features"] = torch.compile(network.features)  # type: ignore[arg-type]


class Learner:
    """What learns, and how.

    Parameters
    ----------
    config : TrainConfig
        Settings.
    n_labels : int
        What the network learns to name.
    objective : Objective
        The loss.
    parallel : Parallel
        The device, and the other processes.
    n_auxiliary : int
        Other kinds of sounds that it learns.
    compiled : bool
        Compile the network: pays where a run takes more than some minutes of a GPU.
    """

    def __init__(
        self,
        config: TrainConfig,
        n_labels: int,
        objective: Objective,
        parallel: Parallel,
        *,
        n_auxiliary: int = 0,
        compiled: bool = False,
    ) -> None:
        self.config, self.objective, self.parallel = config, objective, parallel
        network = make_network(config, n_labels, n_auxiliary=n_auxiliary)
        self.network = network.to(parallel.device)
        self._shared = parallel.wrap(self.network)  # first: it levels the processes
        self.average = copy.deepcopy(self.network).eval()
        if compiled:
            compile_in_place(self.network)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=0.0, weight_decay=config.weight_decay
        )
        needs_scaler = config.precision == "fp16"  # small gradients would vanish
        self.scaler = torch.amp.GradScaler(parallel.device.type, enabled=needs_scaler)

    @property
    def evaluated(self) -> nn.Module:
        """The network that is validated, kept and exported, in evaluation mode."""
        return self.average if self.config.evaluate_average else self.network.eval()

    def learn(self, batch: Example, *, step: int, progress: float) -> dict[str, float]:
        """Take a step of AdamW and move the average along.

        Parameters
        ----------
        batch : Example
            Clips.
        step : int
            Steps taken before.
        progress : float
            How much of the run is over, from 0 to 1.

        Returns
        -------
        dict of str to float
            The losses.

        Raises
        ------
        FloatingPointError
            A loss is not finite; the message names the examples.
        ValueError
            Memory is too small for the batch; the message says which would fit.
        """
        with suppress(torch.OutOfMemoryError):
            return self._learn(batch, step, progress)
        # Only here, after the error, is the memory of the step free again.

        def attempt(n_clips: int) -> None:
            part = {name: value[:n_clips] for name, value in batch.items()}
            losses = self.losses(self.network, part, progress)
            losses["total"].backward()  # type: ignore[no-untyped-call]

        n_clips, n_processes = len(batch["x"]), self.parallel.n_processes
        self.optimizer.zero_grad()
        fits = n_processes * largest_fit(attempt, n_clips // 2)
        raise ValueError(
            f"batch_size={self.config.batch_size} must fit into the memory of "
            f"{self.parallel.device}: "
            + (f"{fits} does" if fits else "not even one clip does")
            + f"; start again with --set batch_size={max(fits, 1)} or a smaller width"
        )

    def _learn(self, batch: Example, step: int, progress: float) -> dict[str, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate_at(progress)
        self.network.train()
        losses = self.losses(self._shared, batch, progress)
        loss = float(losses["total"].detach())
        if not math.isfinite(loss):
            first = step * self.config.batch_size
            raise FloatingPointError(
                f"loss={loss} of step {step} (examples {first} to "
                f"{first + self.config.batch_size - 1}) must be finite"
            )
        self.optimizer.zero_grad()
        self.scaler.scale(losses["total"]).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        update_average(
            self.average,
            self.network,
            decay=self.config.ema_decay,
            step=step + 1,
            tail=self.config.ema_tail,
        )
        return {name: float(value.detach()) for name, value in losses.items()}

    def losses(
        self, network: Any, batch: Example, progress: float
    ) -> dict[str, torch.Tensor]:
        """Compute the losses of a batch on the device, in the precision of the run."""
        device = self.parallel.device
        batch = {k: v.to(device, non_blocking=True) for k, v in batch.items()}
        batch["x"] = batch["x"].contiguous(memory_format=torch.channels_last)
        with self.autocast():
            return self.objective(network, self.average, batch, progress)

    def autocast(self) -> torch.autocast:
        """Compute what follows in the precision of the run."""
        dtype = DTYPES[self.config.precision]
        device = self.parallel.device.type
        return torch.autocast(device, dtype, enabled=dtype != torch.float32)

    def state(self) -> dict[str, Any]:
        """Return all that a resumed run needs to learn on as before."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def begin_with(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Take the weights of another network; its layer of other kinds is left out.

        Raises
        ------
        ValueError
            The network is another one.
        """
        own = self.network.state_dict()
        taken = {k: v for k, v in weights.items() if not k.startswith(AUXILIARY)}
        wanted = {k: v.shape for k, v in own.items() if not k.startswith(AUXILIARY)}
        if wanted != {k: v.shape for k, v in taken.items()}:
            raise ValueError("its network is another one: other layers or sizes")
        for network in (self.network, self.average):
            network.load_state_dict({**own, **taken})

    def load(self, state: dict[str, Any]) -> None:
        """Take up a state, which may hold more.

        Raises
        ------
        ValueError
            It holds less, or its network is another one.
        """
        if not state.keys() >= self.state().keys():
            raise ValueError(
                "holds weights alone, without what training needs to go on; begin another "
                "run with them by --init"
            )
        try:
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
        except RuntimeError as error:
            raise ValueError(
                "was trained with other kinds of sounds; resume with the soundbanks that "
                "the run was started with, or name another --run"
            ) from error
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
