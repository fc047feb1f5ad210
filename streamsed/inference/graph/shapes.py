"""Infer the output shapes of operators from their input shapes.

Each function raises ValueError if the inputs do not match.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from streamsed.inference.graph.messages import Attribute
from streamsed.inference.graph.tensor_types import (
    FLOAT,
    Shape,
    TensorType,
    checked_shape,
)


class Call(NamedTuple):
    """A node with what is known before the computation.

    Parameters
    ----------
    inputs : sequence of TensorType
        The inputs that are tensors.
    constants : sequence of (list of int or None)
        The inputs that are lists of integers: axes, shapes, indices; None if omitted.
    attributes : mapping
        Attributes of the node.
    """

    inputs: Sequence[TensorType]
    constants: Sequence[list[int] | None]
    attributes: dict[str, Attribute]

    def shape(self, i: int) -> Shape:
        """Return the shape of an input."""
        return self.inputs[i].shape

    def integer(self, name: str, default: int) -> int:
        """Return an integer attribute."""
        value = self.attributes.get(name, default)
        if not isinstance(value, int):
            raise ValueError(f"{name} must be a whole number")  # noqa: TRY004 - of a file
        return value

    def integers(self, name: str, default: Sequence[int]) -> list[int]:
        """Return an attribute that is a list of integers."""
        value = self.attributes.get(name, tuple(default))
        if not isinstance(value, tuple) or not all(isinstance(n, int) for n in value):
            raise ValueError(f"{name} must be whole numbers")
        return [int(n) for n in value]

    def real(self, name: str, default: float) -> float:
        """Return a numeric attribute."""
        value = self.attributes.get(name, default)
        if isinstance(value, str | tuple):
            raise ValueError(f"{name} must be a number")  # noqa: TRY004 - of a file
        return float(value)


def broadcast(*shapes: Shape) -> Shape:
    """Return the shape of several tensors combined elementwise.

    Raises
    ------
    ValueError
        The shapes do not match.

    Examples
    --------
    >>> broadcast((8, 1, 6), (5, 1))
    (8, 5, 6)
    """
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    sizes = []
    for column in zip(*padded, strict=True):
        wide = {size for size in column if size != 1}
        if len(wide) > 1:
            raise ValueError(f"shapes {shapes} must fit each other")
        sizes.append(wide.pop() if wide else 1)
    return checked_shape(sizes)


def axis_of(axis: int, rank: int) -> int:
    """Return an axis counted from the front.

    Raises
    ------
    ValueError
        There is no such axis.
    """
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} must be one of {rank}")
    return axis % rank


def same(call: Call) -> Shape:
    """Return the shape of the input."""
    return call.shape(0)


def along(call: Call) -> Shape:
    """Return the shape of the input, which must have the axis."""
    axis_of(call.integer("axis", -1), len(call.shape(0)))
    return call.shape(0)


def combined(call: Call) -> Shape:
    """Return the shape of inputs combined elementwise."""
    return broadcast(*(each.shape for each in call.inputs))


def normalised(call: Call) -> Shape:
    """Return the output shape of `BatchNormalization`."""
    channels = call.shape(0)[1:2]
    if call.integer("training_mode", 0) or any(
        each.shape != channels for each in call.inputs[1:]
    ):
        raise ValueError("BatchNormalization must have a number for each channel")
    return call.shape(0)


def reduced_axes(call: Call) -> list[int]:
    """Return the axes that a reduction runs over, counted from the front."""
    rank = len(call.shape(0))
    axes = call.constants[0] if call.constants else None
    if axes is None:
        if call.integer("noop_with_empty_axes", 0):
            raise ValueError("noop_with_empty_axes must be 0")
        axes = list(range(rank))
    found = sorted({axis_of(axis, rank) for axis in axes})
    if not found:
        raise ValueError("a reduction must have axes")
    return found


def reduced(call: Call) -> Shape:
    """Return the output shape of a reduction."""
    axes, keep = reduced_axes(call), call.integer("keepdims", 1)
    sizes = [1 if i in axes else n for i, n in enumerate(call.shape(0))]
    return tuple(n for i, n in enumerate(sizes) if keep or i not in axes)


def multiplied(call: Call) -> Shape:
    """Return the output shape of `MatMul`."""
    a, b = call.shape(0), call.shape(1)
    if len(a) < 2 or len(b) < 2 or a[-1] != b[-2]:
        raise ValueError(f"matrices of {a} and {b} must fit each other")
    return checked_shape([*broadcast(a[:-2], b[:-2]), a[-2], b[-1]])


def gemm(call: Call) -> Shape:
    """Return the output shape of `Gemm`."""
    a, b = call.shape(0), call.shape(1)
    a = a[::-1] if call.integer("transA", 0) else a
    b = b[::-1] if call.integer("transB", 0) else b
    if len(a) != 2 or len(b) != 2 or a[1] != b[0]:
        raise ValueError(f"matrices of {a} and {b} must fit each other")
    if len(call.inputs) > 2 and broadcast(call.shape(2), (a[0], b[1])) != (a[0], b[1]):
        raise ValueError("C must fit the product")
    return a[0], b[1]


def _required(call: Call, i: int = 0) -> list[int]:
    numbers = call.constants[i] if i < len(call.constants) else None
    if numbers is None:
        raise ValueError("axes or sizes must be given")
    return numbers


def inserted_axes(call: Call) -> list[int]:
    """Return where `Unsqueeze` puts axes of length 1, in rising order."""
    axes = _required(call)
    rank = len(call.shape(0)) + len(axes)
    return sorted({axis_of(axis, rank) for axis in axes})


def unsqueezed(call: Call) -> Shape:
    """Return the output shape of `Unsqueeze`."""
    sizes = list(call.shape(0))
    for axis in inserted_axes(call):
        sizes.insert(axis, 1)
    return checked_shape(sizes)


def dropped_axes(call: Call) -> list[int]:
    """Return the axes of length 1 that `Squeeze` removes."""
    shape = call.shape(0)
    axes = sorted({axis_of(axis, len(shape)) for axis in _required(call)})
    if any(shape[axis] != 1 for axis in axes):
        raise ValueError(f"axes {axes} of {shape} must have length 1")
    return axes


def squeezed(call: Call) -> Shape:
    """Return the output shape of `Squeeze`."""
    axes = dropped_axes(call)
    return tuple(n for i, n in enumerate(call.shape(0)) if i not in axes)


def transposed(call: Call) -> Shape:
    """Return the output shape of `Transpose`."""
    shape = call.shape(0)
    order = call.integers("perm", range(len(shape))[::-1])
    if sorted(order) != list(range(len(shape))):
        raise ValueError(f"perm={order} must name each axis once")
    return tuple(shape[axis] for axis in order)


def reshaped(call: Call) -> Shape:
    """Return the output shape of `Reshape`."""
    shape, asked = call.shape(0), list(_required(call))
    if call.integer("allowzero", 0) and 0 in asked:
        raise ValueError("a shape of allowzero must have no zero")
    for i, size in enumerate(asked):
        if size == 0 and i < len(shape):
            asked[i] = shape[i]
    if asked.count(-1) == 1:
        rest = math.prod(size for size in asked if size != -1)
        asked[asked.index(-1)] = math.prod(shape) // rest if rest else 0
    sizes = checked_shape(asked)
    if math.prod(sizes) != math.prod(shape):
        raise ValueError(f"{shape} cannot be given the shape {asked}")
    return sizes


def flattened(call: Call) -> Shape:
    """Return the output shape of `Flatten`."""
    shape, axis = call.shape(0), call.integer("axis", 1)
    if not 0 <= axis <= len(shape):
        raise ValueError(f"axis={axis} must be from 0 to {len(shape)}")
    return checked_shape([math.prod(shape[:axis]), math.prod(shape[axis:])])


def expanded(call: Call) -> Shape:
    """Return the output shape of `Expand`."""
    return broadcast(call.shape(0), checked_shape(_required(call)))


def concatenated(call: Call) -> Shape:
    """Return the output shape of `Concat`."""
    first = call.shape(0)
    axis = axis_of(call.integer("axis", 0), len(first))
    for each in call.inputs:
        others = [n for i, n in enumerate(each.shape) if i != axis]
        if others != [n for i, n in enumerate(first) if i != axis]:
            raise ValueError("shapes must be equal but for one axis")
    sizes = list(first)
    sizes[axis] = sum(each.shape[axis] for each in call.inputs)
    return checked_shape(sizes)


def slices(call: Call) -> list[slice]:
    """Return the slice that `Slice` takes along each axis."""
    shape, starts, ends = call.shape(0), _required(call, 0), _required(call, 1)
    axes = call.constants[2] if len(call.constants) > 2 else None
    steps = call.constants[3] if len(call.constants) > 3 else None
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    taken = [slice(0, n, 1) for n in shape]
    if not len(starts) == len(ends) == len(axes) == len(steps) or min(steps) < 1:
        raise ValueError("starts, ends, axes and steps must fit each other")
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        i = axis_of(axis, len(shape))
        taken[i] = slice(*slice(start, end, step).indices(shape[i]))
    return taken


def sliced(call: Call) -> Shape:
    """Return the output shape of `Slice`."""
    return checked_shape([len(range(s.start, s.stop, s.step)) for s in slices(call)])


def cast(call: Call) -> Shape:
    """Return the output shape of `Cast`, which must be to 32 bits."""
    if call.integer("to", 0) != FLOAT:
        raise ValueError("Cast must be to floats of 32 bits")
    return call.shape(0)


def quantized(call: Call) -> Shape:
    """Return the output shape of an 8-bit operator."""
    shape, scale, zero = call.shape(0), call.shape(1), call.shape(2)
    axis = (
        axis_of(call.integer("axis", 1), len(shape)) if scale not in ((), (1,)) else 0
    )
    if scale != zero or (scale not in ((), (1,)) and scale != (shape[axis],)):
        raise ValueError("scales and zeros must be one, or one for each channel")
    return shape
