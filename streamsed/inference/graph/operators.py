"""The supported operators, and the shapes of their outputs.

`OPERATORS` is the complete list. To add an operator, add a line here, with its permitted
inputs and attributes and the function that infers its shape, and a line in
`streamsed.inference.graph.torch_operators`, which computes it; a test compares the two
lists with each other and with the results of ONNX Runtime.

Shapes are inferred before anything is computed, so that a graph of a few bytes cannot use
more memory or time than `streamsed.inference.graph.check` allows.

References
----------
https://onnx.ai/onnx/operators, opset 20.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from streamsed.inference.graph.shapes import (
    Call,
    along,
    cast,
    combined,
    concatenated,
    expanded,
    flattened,
    gemm,
    multiplied,
    normalised,
    quantized,
    reduced,
    reshaped,
    same,
    sliced,
    squeezed,
    transposed,
    unsqueezed,
)
from streamsed.inference.graph.tensor_types import (
    FLOAT,
    FLOAT16,
    INT8,
    INT32,
    UINT8,
    Shape,
    TensorType,
)
from streamsed.inference.graph.windows import convolved, pooled, pooled_whole


class Operator(NamedTuple):
    """Permitted inputs of an operator, and the shape of its output.

    Parameters
    ----------
    shape : callable
        Maps a call to the shape of its output.
    n_inputs : (int, int)
        Minimum and maximum number of tensor inputs.
    n_constants : int
        Number of lists of integers that may follow, or scalars of `Clip`.
    attributes : frozenset of str
        Permitted attributes.
    """

    shape: Callable[[Call], Shape]
    n_inputs: tuple[int, int]
    n_constants: int = 0
    attributes: frozenset[str] = frozenset()


def _names(names: str) -> frozenset[str]:
    return frozenset(names.split())


_WINDOW = _names("auto_pad dilations kernel_shape pads strides")
_REDUCE = Operator(reduced, (1, 1), 1, _names("keepdims noop_with_empty_axes"))
_UNARY = Operator(same, (1, 1))
_BINARY = Operator(combined, (2, 2))
_SEVERAL = Operator(combined, (1, 16))
_SCALES = Operator(quantized, (3, 3), 0, _names("axis saturate"))

OPERATORS: dict[str, Operator] = {
    # Layers of convolutional networks.
    "Conv": Operator(convolved, (2, 3), 0, _WINDOW | {"group"}),
    "BatchNormalization": Operator(
        normalised, (5, 5), 0, _names("epsilon momentum training_mode")
    ),
    "MaxPool": Operator(pooled, (1, 1), 0, _WINDOW | _names("ceil_mode storage_order")),
    "AveragePool": Operator(
        pooled, (1, 1), 0, _WINDOW | _names("ceil_mode count_include_pad")
    ),
    "GlobalAveragePool": Operator(pooled_whole, (1, 1)),
    "Gemm": Operator(gemm, (2, 3), 0, _names("alpha beta transA transB")),
    "MatMul": Operator(multiplied, (2, 2)),
    # Elementwise.
    "Relu": _UNARY,
    "Sigmoid": _UNARY,
    "Tanh": _UNARY,
    "Exp": _UNARY,
    "Log": _UNARY,
    "Sqrt": _UNARY,
    "Abs": _UNARY,
    "Neg": _UNARY,
    "Erf": _UNARY,
    "Identity": _UNARY,
    "HardSwish": _UNARY,
    "HardSigmoid": Operator(same, (1, 1), 0, _names("alpha beta")),
    "LeakyRelu": Operator(same, (1, 1), 0, _names("alpha")),
    "Elu": Operator(same, (1, 1), 0, _names("alpha")),
    "Softplus": _UNARY,
    "Softmax": Operator(along, (1, 1), 0, _names("axis")),
    "Clip": Operator(combined, (1, 3)),
    "Add": _BINARY,
    "Sub": _BINARY,
    "Mul": _BINARY,
    "Div": _BINARY,
    "Pow": _BINARY,
    "Max": _SEVERAL,
    "Min": _SEVERAL,
    # Reductions.
    "ReduceMean": _REDUCE,
    "ReduceMax": _REDUCE,
    "ReduceMin": _REDUCE,
    "ReduceSum": _REDUCE,
    # Changes of shape.
    "Unsqueeze": Operator(unsqueezed, (1, 1), 1),
    "Squeeze": Operator(squeezed, (1, 1), 1),
    "Transpose": Operator(transposed, (1, 1), 0, _names("perm")),
    "Reshape": Operator(reshaped, (1, 1), 1, _names("allowzero")),
    "Flatten": Operator(flattened, (1, 1), 0, _names("axis")),
    "Expand": Operator(expanded, (1, 1), 1),
    "Concat": Operator(concatenated, (1, 16), 0, _names("axis")),
    "Slice": Operator(sliced, (1, 1), 4),
    # 16-bit weights and 8-bit arithmetic.
    "Cast": Operator(cast, (1, 1), 0, _names("to saturate")),
    "QuantizeLinear": _SCALES,
    "DequantizeLinear": _SCALES,
}
"""By their names in ONNX."""

_WHOLE = frozenset({UINT8, INT8, INT32})


def output_type(operator: str, call: Call) -> TensorType:
    """Return the type of an operator's output.

    Raises
    ------
    ValueError
        The inputs or attributes are not permitted.
    """
    kinds = [each.dtype for each in call.inputs]
    expected: list[frozenset[int]] = [frozenset({FLOAT})] * len(kinds)
    given = FLOAT
    if operator == "Cast":
        expected = [frozenset({FLOAT, FLOAT16})]
    elif operator == "QuantizeLinear":
        expected[2] = frozenset({UINT8, INT8})
        given = kinds[2]
    elif operator == "DequantizeLinear":
        expected[0] = expected[2] = _WHOLE & {kinds[0]}
    if not all(kind in known for kind, known in zip(kinds, expected, strict=True)):
        raise ValueError(f"inputs of the kinds {kinds} do not suit it")
    return TensorType(given, OPERATORS[operator].shape(call))


def multiplications(operator: str, call: Call, output: Shape) -> int:
    """Return the number of multiplications of an operator; 0 if it is negligible."""
    if operator == "Conv":
        return math.prod(output) * math.prod(call.shape(1)[1:])
    if operator in ("MatMul", "Gemm"):
        inner = call.shape(0)[0 if call.integer("transA", 0) else -1]
        return math.prod(output) * inner
    if operator in ("MaxPool", "AveragePool"):
        return math.prod(output) * math.prod(call.integers("kernel_shape", []))
    return 0
