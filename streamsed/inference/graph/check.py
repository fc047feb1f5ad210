"""Check a graph before it is run: known operators, inferred shapes, bounded resources.

Nodes are checked in order: each may only use values computed before it, so there are no
cycles, and each name is assigned once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamsed.inference.graph.messages import MAX_LIST, GraphMessage, Node, read_model
from streamsed.inference.graph.operators import (
    OPERATORS,
    multiplications,
    output_type,
)
from streamsed.inference.graph.shapes import Call
from streamsed.inference.graph.tensor_types import (
    DTYPES,
    FLOAT,
    INT64,
    Shape,
    TensorType,
)

OPSETS = range(18, 24)
"""Versions of the ONNX operator set in which all supported operators are the same."""

MAX_NODES = 10_000
MAX_GMAC = 200.0
"""Billions of multiplications per segment; the report's largest network needs 40."""
MAX_LIVE = 1 << 25
"""Values in memory at once besides the weights (128 MB as float32)."""
MAX_NUMBERS = 1 << 32
"""Total number of values in all outputs."""

_KINDS = {dtype: kind for kind, dtype in DTYPES.items()}

Tensors = Mapping[str, NDArray[np.generic]]


class Step(NamedTuple):
    """A node, its call, and the names that are not used after it."""

    node: Node
    call: Call
    output: TensorType
    used_up: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """A network that was checked to run within bounds.

    Parameters
    ----------
    encoded : bytes
        The bytes it was read from.
    input : str
        The name of the segment, float32 (1, 1, segment_frames, n_mels).
    outputs : (str, str)
        Names of scores (1, n_score_frames, n_labels) and region (1, n_score_frames).
    steps : sequence of Step
        In the order of computation.
    tensors : mapping
        Weights and constants by name.
    elsewhere : mapping
        Those that are not contained in `encoded`.
    gmac : float
        Billions of multiplications per segment.
    """

    encoded: bytes
    input: str
    outputs: tuple[str, str]
    steps: Sequence[Step]
    tensors: Tensors
    elsewhere: Tensors
    gmac: float


def check_graph(
    encoded: bytes, elsewhere: Tensors, *, features: Shape, scores: Shape
) -> Graph:
    """Read a graph, infer all shapes and check the bounds.

    Parameters
    ----------
    encoded : bytes
        An ONNX model.
    elsewhere : mapping
        Tensors that it refers to but does not contain.
    features : (segment_frames, n_mels)
        Required shape of its input.
    scores : (n_score_frames, n_labels)
        Required shape of its output, in addition to a region (n_score_frames,).

    Raises
    ------
    ValueError
        It is not such a graph, uses an unknown operator, or exceeds a limit.
    """
    message = read_model(encoded)
    if message.opset not in OPSETS:
        raise ValueError(
            f"its graph is of ONNX's operators {message.opset}, which must be from "
            f"{OPSETS.start} to {OPSETS.stop - 1}"
        )
    if len(message.nodes) > MAX_NODES:
        raise ValueError(f"its graph has more than {MAX_NODES} nodes")
    if not message.tensors.keys().isdisjoint(elsewhere):
        raise ValueError("its graph has two values of one name")
    tensors = {**message.tensors, **elsewhere}
    taken = [TensorType(FLOAT, (1, 1, *features))]
    given = [TensorType(FLOAT, (1, *scores)), TensorType(FLOAT, (1, scores[0]))]
    if list(message.inputs.values()) != taken or message.inputs.keys() & tensors.keys():
        raise ValueError(
            f"its graph must take a segment of {features} and nothing else"
        )
    if list(message.outputs.values()) != given:
        raise ValueError(f"its graph must give scores of {scores} and a region")
    walk = Walk(message, tensors)
    (segment,) = message.inputs
    first, second = message.outputs
    return Graph(
        encoded, segment, (first, second), walk.steps, tensors, elsewhere, walk.gmac
    )


class Walk:
    """Check every node of a graph in turn.

    Parameters
    ----------
    message : GraphMessage
        The bytes it was read from.
    tensors : mapping
        All tensors that it contains or refers to.

    Attributes
    ----------
    steps : list of Step
    gmac : float

    Raises
    ------
    ValueError
        A node is invalid or exceeds a limit.
    """

    def __init__(self, message: GraphMessage, tensors: Tensors) -> None:
        self._tensors = tensors
        self._types = dict(message.inputs)
        for name, values in tensors.items():
            self._types[name] = TensorType(_KINDS[values.dtype], values.shape)
        self.steps: list[Step] = []
        self.gmac = 0.0
        self._live = self._n_numbers = 0
        last_use = _last_use(message)
        for number, node in enumerate(message.nodes):
            try:
                self._add(node, last_use.get(number, ()))
            except ValueError as error:
                raise ValueError(
                    f"its graph's node {number} ({node.operator[:40]!r}): {error}"
                ) from None
        declared = {**message.others, **message.outputs}
        for name, type_ in declared.items():
            if (
                self._types.get(name, None if name in message.outputs else type_)
                != type_
            ):
                raise ValueError(
                    f"its graph's {name[:40]!r} is not of the kind it says"
                )

    def _add(self, node: Node, used_up: tuple[str, ...]) -> None:
        call = self._call(node)
        output = output_type(node.operator, call)
        (name,) = node.outputs
        self._types[name] = output
        size = math.prod(output.shape)
        self._n_numbers += size
        self._live += size
        self.gmac += multiplications(node.operator, call, output.shape) / 1e9
        if self._live > MAX_LIVE or self._n_numbers > MAX_NUMBERS:
            raise ValueError("it takes too much memory")
        if self.gmac > MAX_GMAC:
            raise ValueError(f"it takes more than {MAX_GMAC:g} GMAC a segment")
        self.steps.append(Step(node, call, output, used_up))
        self._live -= sum(
            math.prod(self._types[each].shape)
            for each in used_up
            if each not in self._tensors
        )

    def _call(self, node: Node) -> Call:
        operator = OPERATORS.get(node.operator)
        if operator is None:
            raise ValueError(f"is none of {', '.join(OPERATORS)}")
        if len(node.outputs) != 1 or node.outputs[0] in {*self._types, ""}:
            raise ValueError("must give one value of a new name")
        if not operator.attributes >= node.attributes.keys():
            raise ValueError(
                f"must have no attributes but {sorted(operator.attributes)}"
            )
        fewest, most = operator.n_inputs
        if not fewest <= len(node.inputs) <= most + operator.n_constants:
            raise ValueError(f"must have {fewest} to {most} inputs")
        names, constants = node.inputs[:most], node.inputs[most:]
        if not all(name in self._types for name in names):
            raise ValueError("must use only what stands before it")
        return Call(
            [self._types[name] for name in names],
            [self._constant(name) for name in constants],
            dict(node.attributes),
        )

    def _constant(self, name: str) -> list[int] | None:
        if not name:
            return None
        values = self._tensors.get(name)
        if values is None or _KINDS[values.dtype] != INT64 or values.size > MAX_LIST:
            raise ValueError(
                "axes, sizes and indices must be whole numbers of the file"
            )
        if values.ndim != 1:  # OpenVINO (2026.4) would crash
            raise ValueError("axes, sizes and indices must be a list")
        return [int(value) for value in values]


def _last_use(message: GraphMessage) -> dict[int, tuple[str, ...]]:
    """Return the names that are not used after each node."""
    last: dict[str, int] = {}
    for number, node in enumerate(message.nodes):
        for name in (*node.inputs, *node.outputs):
            last[name] = number
    used_up: dict[int, tuple[str, ...]] = {}
    for name, number in last.items():
        if name and name not in message.outputs:
            used_up[number] = (*used_up.get(number, ()), name)
    return used_up
