"""Read an ONNX model into plain values, field by field; other fields are rejected.

Engines parse graphs with large C++ libraries, each with its own interpretation of unusual
ones. So only the few fields that an exporter writes are accepted, each at most once unless
it is a list: no external data, functions, subgraphs or sparse tensors.

References
----------
onnx.proto3 of ONNX 1.17, for the numbers of the fields.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsed.inference.graph.fields import MessageFields, decode_text
from streamsed.inference.graph.tensor_types import (
    DTYPES,
    FLOAT,
    INT64,
    TensorType,
    checked_shape,
)
from streamsed.inference.graph.wire import read_numbers

MAX_NODES = 10_000
MAX_LIST = 64
"""Maximum number of values of an attribute."""

Attribute = int | float | str | tuple[int, ...] | tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """An operator with its inputs ("" for an omitted one) and outputs by name."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class GraphMessage:
    """A graph as it was written, not yet checked for consistency."""

    opset: int
    nodes: list[Node]
    tensors: dict[str, NDArray[np.generic]]
    inputs: dict[str, TensorType]
    outputs: dict[str, TensorType]
    others: dict[str, TensorType]


def read_model(encoded: bytes) -> GraphMessage:
    """Read an ONNX model.

    Parameters
    ----------
    encoded : bytes
        A `ModelProto`, without the tensors stored elsewhere in the model file.

    Raises
    ------
    ValueError
        It is not such a message, or has a field, size or name that is not allowed.
    """
    model = MessageFields(memoryview(encoded), "model")
    opsets = [_opset(each) for each in model.messages(8)]
    if len(opsets) != 1:
        raise ValueError("its graph must use the operators of ONNX alone")
    graph = MessageFields(
        model.messages(7)[0] if 7 in model else memoryview(b""), "graph"
    )
    if sum(len(graph.all(number)) for number in (1, 5, 13)) > 3 * MAX_NODES:
        raise ValueError(f"its graph has more than {MAX_NODES} nodes")
    tensors = dict(map(_tensor, graph.messages(5)))
    inputs, outputs, others = (
        dict(map(_value_info, graph.messages(number))) for number in (11, 12, 13)
    )
    if len(tensors) < len(graph.all(5)) or len(outputs) < len(graph.all(12)):
        raise ValueError("its graph has two values of one name")
    nodes = [_node(each) for each in graph.messages(1)]
    return GraphMessage(opsets[0], nodes, tensors, inputs, outputs, others)


def _opset(encoded: memoryview) -> int:
    opset = MessageFields(encoded, "opset")
    if opset.text(1):
        raise ValueError("its graph must use the operators of ONNX alone")
    return opset.number(2)


def _node(encoded: memoryview) -> Node:
    node = MessageFields(encoded, "node")
    if node.text(7):
        raise ValueError("its graph must use the operators of ONNX alone")
    inputs, outputs = (
        tuple(decode_text(bytes(each), "node") for each in node.messages(number))
        for number in (1, 2)
    )
    attributes = dict(map(_attribute, node.messages(5)))
    if len(attributes) < len(node.all(5)) or len(inputs) > MAX_LIST:
        raise ValueError("its graph has a node with too many inputs or attributes")
    return Node(node.text(4), inputs, outputs, attributes)


def _attribute(encoded: memoryview) -> tuple[str, Attribute]:
    attribute = MessageFields(encoded, "attribute")
    name, kind = attribute.text(1), attribute.number(20)
    value: Attribute
    if kind == 1:
        (value,) = attribute.floats(2) or (0.0,)
    elif kind == 2:
        value = attribute.number(3)
    elif kind == 3:
        value = attribute.text(4)
    elif kind == 6:
        value = attribute.floats(7)
    elif kind == 7:
        value = tuple(read_numbers(attribute.all(8)))
    else:
        raise ValueError(f"its graph has an attribute of another kind ({kind})")
    if isinstance(value, tuple) and len(value) > MAX_LIST:
        raise ValueError("its graph has an attribute that is too long")
    numbers = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(n, str) or math.isfinite(n) for n in numbers):
        raise ValueError("its graph has an attribute that is not finite")
    return name, value


def _tensor(encoded: memoryview) -> tuple[str, NDArray[np.generic]]:
    tensor = MessageFields(encoded, "tensor")
    name, kind = tensor.text(8), tensor.number(2)
    shape = checked_shape(read_numbers(tensor.all(1)))
    if kind not in DTYPES or not name:
        raise ValueError(f"its graph has a tensor of another kind ({kind})")
    return name, _filled(tensor, name, TensorType(kind, shape))


def _filled(tensor: MessageFields, name: str, type_: TensorType) -> NDArray[np.generic]:
    """Return a tensor's values, after checking their number against its shape."""
    dtype, size = DTYPES[type_.dtype], math.prod(type_.shape)
    places = [number for number in (4, 5, 7, 9) if number in tensor]
    if len(places) != 1:
        raise ValueError(f"its tensor {name!r} must have its numbers in one place")
    values: NDArray[np.generic]
    if places == [9]:
        (raw,) = tensor.messages(9)
        if len(raw) != size * dtype.itemsize:
            raise ValueError(
                f"its tensor {name!r} has not as many bytes as its shape says"
            )
        values = np.frombuffer(raw, dtype)
    elif places == [4] and type_.dtype == FLOAT:
        values = np.array(tensor.floats(4), dtype)
    elif places == [{INT64: 7}.get(type_.dtype, 5)] and dtype.kind in "iu":
        wide = np.array(read_numbers(tensor.all(places[0])), np.int64)
        values = wide.astype(dtype)
        if (values != wide).any():
            raise ValueError(f"its tensor {name!r} has a number that is out of range")
    else:
        raise ValueError(f"its tensor {name!r} has its numbers in a place for others")
    if len(values) != size:
        raise ValueError(
            f"its tensor {name!r} has not as many numbers as its shape says"
        )
    if dtype.kind == "f" and not np.isfinite(values.astype(np.float32)).all():
        raise ValueError(f"its tensor {name!r} must be finite")
    return values.reshape(type_.shape)


def _value_info(encoded: memoryview) -> tuple[str, TensorType]:
    info = MessageFields(encoded, "value")
    kinds = [MessageFields(each, "type") for each in info.messages(2)]
    if len(kinds) != 1 or 1 not in kinds[0]:
        raise ValueError("its graph has a value that is no tensor")
    tensor = MessageFields(kinds[0].messages(1)[0], "tensor type")
    sizes = []
    for shape in tensor.messages(2):
        for dim in MessageFields(shape, "shape").messages(1):
            sizes.append(MessageFields(dim, "dimension").number(1))
    return info.text(1), TensorType(tensor.number(1), checked_shape(sizes))
