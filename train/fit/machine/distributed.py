"""Several processes that train one network, as `torchrun` starts them; or just one.

Each process has its own device and its share of every batch. Process 0 keeps the clock,
the logs and the checkpoints.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel


def check_device(device: str) -> bool:
    """Check the name of a device; return whether there is a CUDA device.

    Parameters
    ----------
    device : str
        "auto", "cpu" or "cuda".

    Raises
    ------
    ValueError
        There is no such device.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device={device} must be auto, cpu or cuda")
    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise ValueError("device=cuda: torch finds no CUDA device; use --device cpu")
    return has_cuda


def count_processes() -> int:
    """Return how many processes train together: those of torchrun, or one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


class Parallel:
    """One process among its peers.

    Parameters
    ----------
    device : str
        "cpu", "cuda", or "auto": CUDA if available.

    Attributes
    ----------
    rank, n_processes : int
        Which one of how many.
    device : torch.device
        Where this process computes.

    Raises
    ------
    ValueError
        There is no such device.
    """

    def __init__(self, device: str = "auto") -> None:
        has_cuda = check_device(device)
        self.rank = int(os.environ.get("RANK", "0"))
        self.n_processes = count_processes()
        name = "cpu"
        if device != "cpu" and has_cuda:
            name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        self.device = torch.device(name)
        if self.n_processes > 1 and not distributed.is_initialized():
            distributed.init_process_group("nccl" if name != "cpu" else "gloo")

    @property
    def is_first(self) -> bool:
        """Whether this process writes what there is to write."""
        return self.rank == 0

    def rng_state(self) -> list[Tensor]:
        """Return the state of torch's generators, that of the device last."""
        states = [torch.get_rng_state()]
        if self.device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self.device))
        return states

    def set_rng_state(self, states: Sequence[Tensor]) -> None:
        """Set torch's generators to what `rng_state` returned, here or on another device."""
        torch.set_rng_state(states[0])
        if self.device.type == "cuda" and len(states) > 1:
            torch.cuda.set_rng_state(states[1], self.device)

    def own_chance(self) -> AbstractContextManager[None]:
        """Let what is drawn meanwhile not change what is drawn afterwards."""
        devices = [self.device] if self.device.type == "cuda" else []
        return torch.random.fork_rng(devices)

    def wrap(self, network: nn.Module) -> Any:
        """Return something whose `logits` also averages gradients over all processes."""
        if self.n_processes == 1:
            return network
        return _Shared(network)

    def broadcast(self, value: float) -> float:
        """Return the first process's value in all of them."""
        if self.n_processes == 1:
            return value
        box: Tensor = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.broadcast(box, 0)
        return float(box)


class _Shared:
    """A network whose `logits` passes through DistributedDataParallel."""

    def __init__(self, network: nn.Module) -> None:
        self._parallel = DistributedDataParallel(_Logits(network))

    def logits(self, x: Tensor) -> Any:
        return self._parallel(x)


class _Logits(nn.Module):
    """A network whose `forward` is its `logits`, for DistributedDataParallel wraps that."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Any:
        """Compute the logits."""
        return self.network.logits(x)  # type: ignore[operator]
