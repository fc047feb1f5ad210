"""The supported operators, computed by torch.

Each entry turns a node into a function of its tensors; axes and windows are computed once,
when the network is built. 8-bit operators are not supported: torch runs the graph in 32 or
16 bits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from streamsed.inference.graph.shapes import (
    Call,
    dropped_axes,
    expanded,
    flattened,
    inserted_axes,
    reduced_axes,
    reshaped,
    slices,
)
from streamsed.inference.graph.tensor_types import Shape
from streamsed.inference.graph.windows import Window

Compute = Callable[..., Tensor]


def _conv(call: Call) -> Compute:
    window = Window.of(call, call.shape(1)[2:])
    group = call.integer("group", 1)
    convolve = functional.conv1d if len(window.kernel) == 1 else functional.conv2d
    even = window.before == window.after
    pads = window.before if even else [0] * len(window.before)

    def compute(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if not even:
            x = functional.pad(x, _around(window))
        return convolve(x, weight, bias, window.strides, pads, window.dilations, group)

    return compute


def _around(window: Window) -> list[int]:
    """Return pads in torch's order: last dimension first, before and after it."""
    pairs = zip(window.before[::-1], window.after[::-1], strict=True)
    return [pad for pair in pairs for pad in pair]


def _max_pool(call: Call) -> Compute:
    window = Window.of(call, [])
    pool = functional.max_pool1d if len(window.kernel) == 1 else functional.max_pool2d
    settings = (window.kernel, window.strides, window.before, window.dilations)
    return lambda x: pool(x, *settings)


def _average_pool(call: Call) -> Compute:
    window = Window.of(call, [])
    pool = functional.avg_pool1d if len(window.kernel) == 1 else functional.avg_pool2d
    count_pad = bool(call.integer("count_include_pad", 0))
    settings = (window.kernel, window.strides, window.before, False, count_pad)
    return lambda x: pool(x, *settings)


def _global_average_pool(call: Call) -> Compute:
    axes = list(range(2, len(call.shape(0))))
    return lambda x: x.mean(axes, keepdim=True)


def _batch_norm(call: Call) -> Compute:
    epsilon = call.real("epsilon", 1e-5)
    return lambda x, scale, shift, mean, variance: functional.batch_norm(
        x, mean, variance, scale, shift, training=False, eps=epsilon
    )


def _gemm(call: Call) -> Compute:
    alpha, beta = call.real("alpha", 1.0), call.real("beta", 1.0)
    turned_a, turned_b = call.integer("transA", 0), call.integer("transB", 0)

    def compute(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
        a = a.t() if turned_a else a
        b = b if turned_b else b.t()
        if c is None:
            return alpha * functional.linear(a, b)
        if (alpha, beta) == (1.0, 1.0) and c.dim() == 1:
            return functional.linear(a, b, c)
        return torch.addmm(c, a, b.t(), beta=beta, alpha=alpha)

    return compute


def _hard_sigmoid(call: Call) -> Compute:
    alpha, beta = call.real("alpha", 0.2), call.real("beta", 0.5)
    return lambda x: torch.clamp(alpha * x + beta, 0.0, 1.0)


def _leaky_relu(call: Call) -> Compute:
    alpha = call.real("alpha", 0.01)
    return lambda x: functional.leaky_relu(x, alpha)


def _elu(call: Call) -> Compute:
    alpha = call.real("alpha", 1.0)
    return lambda x: functional.elu(x, alpha)


def _softmax(call: Call) -> Compute:
    axis = call.integer("axis", -1)
    return lambda x: torch.softmax(x, axis)


def _reduce(reduction: Callable[..., Tensor]) -> Callable[[Call], Compute]:
    def make(call: Call) -> Compute:
        axes, keep = reduced_axes(call), bool(call.integer("keepdims", 1))
        return lambda x: reduction(x, axes, keepdim=keep)

    return make


def _unsqueeze(call: Call) -> Compute:
    axes = inserted_axes(call)

    def compute(x: Tensor) -> Tensor:
        for axis in axes:
            x = x.unsqueeze(axis)
        return x

    return compute


def _squeeze(call: Call) -> Compute:
    axes = tuple(dropped_axes(call))
    return lambda x: x.squeeze(axes)


def _transpose(call: Call) -> Compute:
    order = call.integers("perm", range(len(call.shape(0)))[::-1])
    return lambda x: x.permute(order)


def _reshape(shape_of: Callable[[Call], Shape]) -> Callable[[Call], Compute]:
    def make(call: Call) -> Compute:
        shape = shape_of(call)
        return lambda x: x.reshape(shape)

    return make


def _expand(call: Call) -> Compute:
    shape = expanded(call)
    return lambda x: x.expand(shape)


def _concat(call: Call) -> Compute:
    axis = call.integer("axis", 0)
    return lambda *tensors: torch.cat(tensors, axis)


def _slice(call: Call) -> Compute:
    taken = tuple(slices(call))
    return lambda x: x[taken]


def _several(pair: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Call], Compute]:
    def compute(first: Tensor, *others: Tensor) -> Tensor:
        for each in others:
            first = pair(first, each)
        return first

    return lambda _: compute


def _plain(function: Compute) -> Callable[[Call], Compute]:
    return lambda _: function


def _clip(x: Tensor, least: Tensor | None = None, most: Tensor | None = None) -> Tensor:
    return x if least is None else torch.clamp(x, least, most)


TORCH_OPERATORS: dict[str, Callable[[Call], Compute]] = {
    "Conv": _conv,
    "BatchNormalization": _batch_norm,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average_pool,
    "Gemm": _gemm,
    "MatMul": _plain(torch.matmul),
    "Relu": _plain(torch.relu),
    "Sigmoid": _plain(torch.sigmoid),
    "Tanh": _plain(torch.tanh),
    "Exp": _plain(torch.exp),
    "Log": _plain(torch.log),
    "Sqrt": _plain(torch.sqrt),
    "Abs": _plain(torch.abs),
    "Neg": _plain(torch.neg),
    "Erf": _plain(torch.erf),
    "Identity": _plain(lambda x: x),
    "HardSwish": _plain(functional.hardswish),
    "HardSigmoid": _hard_sigmoid,
    "LeakyRelu": _leaky_relu,
    "Elu": _elu,
    "Softplus": _plain(functional.softplus),
    "Softmax": _softmax,
    "Clip": _plain(_clip),
    "Add": _plain(torch.add),
    "Sub": _plain(torch.sub),
    "Mul": _plain(torch.mul),
    "Div": _plain(torch.div),
    "Pow": _plain(torch.pow),
    "Max": _several(torch.maximum),
    "Min": _several(torch.minimum),
    "ReduceMean": _reduce(torch.mean),
    "ReduceMax": _reduce(torch.amax),
    "ReduceMin": _reduce(torch.amin),
    "ReduceSum": _reduce(torch.sum),
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Reshape": _reshape(reshaped),
    "Flatten": _reshape(flattened),
    "Expand": _expand,
    "Concat": _concat,
    "Slice": _slice,
    "Cast": _plain(lambda x: x),  # weights are cast when the network is built
}
"""By their names in ONNX; each creates its function from a call."""
