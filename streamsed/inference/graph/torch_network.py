"""Build a torch network from a checked graph; no code from the file is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from streamsed.inference.graph.check import Graph, Step
from streamsed.inference.graph.torch_operators import TORCH_OPERATORS

_IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "Relu": torch.relu_,
    "Sigmoid": torch.sigmoid_,
}
_FRESH = frozenset({"Conv", "BatchNormalization", "MaxPool", "Gemm", "Add", "Mul"})
"""Operators whose outputs do not share memory with their inputs."""


class _Step(NamedTuple):
    compute: Callable[..., Tensor]
    inputs: tuple[str, ...]
    output: str
    used_up: tuple[str, ...]


class TorchNetwork:
    """Run a graph with torch.

    Parameters
    ----------
    graph : Graph
        A float32 graph from `check_graph`.
    device : str
        Device of the weights and the computation.
    dtype : torch.dtype
        Data type of the weights and activations.

    Raises
    ------
    ValueError
        It uses 8-bit operators.
    """

    def __init__(self, graph: Graph, *, device: str, dtype: torch.dtype) -> None:
        self._graph = graph
        self._weights = {
            name: _channels_last(torch.from_numpy(values.copy()).to(device, dtype))
            for name, values in graph.tensors.items()
            if values.dtype.kind == "f"
        }
        made_by = {step.node.outputs[0]: step.node.operator for step in graph.steps}
        n_uses = Counter(name for step in graph.steps for name in step.node.inputs)
        self._steps = []
        for step in graph.steps:
            first = step.node.inputs[0]
            alone = n_uses[first] == 1 and first not in graph.outputs
            fresh = made_by.get(first) in _FRESH
            self._steps.append(self._step(step, in_place=alone and fresh))
        self._fold()

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Score segments.

        Parameters
        ----------
        x : (1, 1, segment_frames, n_mels)
            On `device`, of type `dtype`.

        Returns
        -------
        scores : (1, n_score_frames, n_labels)
        region : (1, n_score_frames)
        """
        values = {**self._weights, self._graph.input: x}
        for compute, inputs, output, used_up in self._steps:
            values[output] = compute(*[values[name] for name in inputs])
            for name in used_up:  # so that their memory is reused
                values.pop(name, None)
        scores, region = (values[name] for name in self._graph.outputs)
        return scores, region

    def _step(self, step: Step, *, in_place: bool) -> _Step:
        operator = step.node.operator
        if operator not in TORCH_OPERATORS:
            raise ValueError(f"torch runs no {operator}; use another engine")
        compute = TORCH_OPERATORS[operator](step.call)
        if in_place:
            compute = _IN_PLACE.get(operator, compute)
        inputs = step.node.inputs[: len(step.call.inputs)]
        return _Step(compute, inputs, step.node.outputs[0], step.used_up)

    def _fold(self) -> None:
        """Precompute what depends on weights alone, such as casts."""
        steps = []
        with torch.inference_mode():
            for step in self._steps:
                if all(name in self._weights for name in step.inputs):
                    values = [self._weights[name] for name in step.inputs]
                    self._weights[step.output] = _channels_last(step.compute(*values))
                else:
                    steps.append(step)
        self._steps = steps
        used = {name for step in steps for name in step.inputs} | {*self._graph.outputs}
        self._weights = {n: w for n, w in self._weights.items() if n in used}


def _channels_last(weight: Tensor) -> Tensor:
    """Return the weights of a 2-D convolution in channels-last memory format.

    `contiguous(memory_format=...)` would not change weights with one input channel, whose
    layout is ambiguous, and all later activations would be in the slower format.
    """
    if weight.dim() != 4:
        return weight.contiguous()
    _, channels, height, width = weight.shape
    strides = (channels * height * width, 1, width * channels, channels)
    laid = torch.empty_strided(
        weight.shape, strides, dtype=weight.dtype, device=weight.device
    )
    return laid.copy_(weight)
