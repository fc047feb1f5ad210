"""Convolutions and pooling: their windows and output shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streamsed.inference.graph.shapes import Call
from streamsed.inference.graph.tensor_types import Shape, checked_shape

MAX_WINDOW = 4096
"""Maximum of kernels, strides, dilations and pads."""


class Window(NamedTuple):
    """The window of a convolution or pooling, by dimension."""

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    before: list[int]
    after: list[int]

    @classmethod
    def of(cls, call: Call, kernel: Sequence[int]) -> Window:
        """Read the attributes of a call.

        Raises
        ------
        ValueError
            One is out of bounds or does not match the input.
        """
        rank = len(call.shape(0)) - 2
        ones = [1] * rank
        pads = call.integers("pads", [0] * (2 * rank))
        window = cls(
            call.integers("kernel_shape", kernel),
            call.integers("strides", ones),
            call.integers("dilations", ones),
            pads[:rank],
            pads[rank:],
        )
        if call.attributes.get("auto_pad", "NOTSET") != "NOTSET":
            raise ValueError("auto_pad must be NOTSET")
        for numbers, least in zip(window, (1, 1, 1, 0, 0), strict=True):
            if len(numbers) != rank or not all(
                least <= n <= MAX_WINDOW for n in numbers
            ):
                raise ValueError(f"a window of {numbers} is out of bounds")
        if rank not in (1, 2):
            raise ValueError("a window must have one or two dimensions")
        return window

    def over(self, sizes: Sequence[int]) -> list[int]:
        """Return the number of window positions, by dimension."""
        return [
            (size + before + after - dilation * (kernel - 1) - 1) // stride + 1
            for size, kernel, stride, dilation, before, after in zip(
                sizes, *self, strict=True
            )
        ]


def convolved(call: Call) -> Shape:
    """Return the output shape of `Conv`."""
    batch, channels, *sizes = call.shape(0)
    n_out, per_group, *kernel = call.shape(1)
    group = call.integer("group", 1)
    if group < 1 or channels != per_group * group or n_out % group:
        raise ValueError(f"{channels} channels must fit the weights {call.shape(1)}")
    window = Window.of(call, kernel)
    if window.kernel != kernel:
        raise ValueError("kernel_shape must fit the weights")
    if len(call.inputs) > 2 and call.shape(2) != (n_out,):
        raise ValueError("a bias must have a number for each channel")
    return checked_shape([batch, n_out, *window.over(sizes)])


def pooled(call: Call) -> Shape:
    """Return the output shape of pooling with a window."""
    batch, channels, *sizes = call.shape(0)
    window = Window.of(call, [])
    if call.integer("ceil_mode", 0) or call.integer("storage_order", 0):
        raise ValueError("ceil_mode and storage_order must be 0")
    pads = (*window.before, *window.after)
    if any(2 * pad > size for pad, size in zip(pads, 2 * window.kernel, strict=True)):
        raise ValueError("pads must be at most half of the kernel")
    if window.before != window.after:
        raise ValueError("a pool must have equal pads on both sides")
    return checked_shape([batch, channels, *window.over(sizes)])


def pooled_whole(call: Call) -> Shape:
    """Return the output shape of global pooling."""
    batch, channels, *sizes = call.shape(0)
    return (batch, channels, *[1] * len(sizes))
