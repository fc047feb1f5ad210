"""The operators that a graph may use, and the shape that each gives.

`OPERATORS` is the whole list. To let another in: add its line here, with what its inputs
and attributes may be and the function that works its shape out, and its line in
`streamsed.inference.graph.torch_operators`, which computes it; a test holds the two lists
to each other and to ONNX Runtime's own results.

Shapes are worked out before anything is computed, so that a graph of a few bytes cannot ask
for more memory or time than `streamsed.inference.graph.check` allows.

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
    """What an operator may be given, and the shape of what it gives.

    Parameters
    ----------
    shape : callable
        A call to the shape of its output.
    n_inputs : (int, int)
        Tensors that it takes, fewest and most.
    n_constants : int
        Lists of whole numbers that may follow, or a scalar of a `Clip`.
    attributes : frozenset of str
        Those that it may have.
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
    # What convolutional networks are made of.
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
    # Number by number.
    "Relu": _UNARY,
    "Sigmoid": _UNARY,
    "Tanh": _UNARY,
    "Exp": _UNARY,
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
    # Over axes.
    "ReduceMean": _REDUCE,
    "ReduceMax": _REDUCE,
    "ReduceMin": _REDUCE,
    "ReduceSum": _REDUCE,
    # The same numbers in another shape.
    "Unsqueeze": Operator(unsqueezed, (1, 1), 1),
    "Squeeze": Operator(squeezed, (1, 1), 1),
    "Transpose": Operator(transposed, (1, 1), 0, _names("perm")),
    "Reshape": Operator(reshaped, (1, 1), 1, _names("allowzero")),
    "Flatten": Operator(flattened, (1, 1), 0, _names("axis")),
    "Expand": Operator(expanded, (1, 1), 1),
    "Concat": Operator(concatenated, (1, 16), 0, _names("axis")),
    "Slice": Operator(sliced, (1, 1), 4),
    # Weights of 16 bits, and arithmetic of 8.
    "Cast": Operator(cast, (1, 1), 0, _names("to saturate")),
    "QuantizeLinear": _SCALES,
    "DequantizeLinear": _SCALES,
}
"""By the name that ONNX gives them."""

_WHOLE = frozenset({UINT8, INT8, INT32})


def output_type(operator: str, call: Call) -> TensorType:
    """Return what an operator gives.

    Raises
    ------
    ValueError
        It cannot be given such inputs or attributes; the message says which.
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
    """Return how many multiplications an operator takes; 0 for those that hardly do."""
    if operator == "Conv":
        return math.prod(output) * math.prod(call.shape(1)[1:])
    if operator in ("MatMul", "Gemm"):
        inner = call.shape(0)[0 if call.integer("transA", 0) else -1]
        return math.prod(output) * inner
    if operator in ("MaxPool", "AveragePool"):
        return math.prod(output) * math.prod(call.integers("kernel_shape", []))
    return 0
