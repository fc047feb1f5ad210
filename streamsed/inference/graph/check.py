"""A graph that may be run: every operator known, every shape worked out, all in bounds.

The order of a graph is checked as it is worked out: each node may use only what stands
before it, so there are no circles, and each name is given once.
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
"""Versions of ONNX's operators in which those of the list mean the same."""

MAX_NODES = 10_000
MAX_GMAC = 200.0
"""Billions of multiplications for a segment; the report's largest network takes 40."""
MAX_LIVE = 1 << 25
"""Numbers that are in memory at once beside the weights (128 MB as float32)."""
MAX_NUMBERS = 1 << 32
"""Numbers that all operators give together."""

_KINDS = {dtype: kind for kind, dtype in DTYPES.items()}

Tensors = Mapping[str, NDArray[np.generic]]


class Step(NamedTuple):
    """A node with what it is given, and the names that are of no use after it."""

    node: Node
    call: Call
    output: TensorType
    used_up: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """A network that is known to run in bounds.

    Parameters
    ----------
    encoded : bytes
        As it was read.
    input : str
        The name of the segment, float32 (1, 1, segment_frames, n_mels).
    outputs : (str, str)
        Names of scores (1, n_score_frames, n_labels) and region (1, n_score_frames).
    steps : sequence of Step
        In the order of their computation.
    tensors : mapping
        Weights and constants by name.
    elsewhere : mapping
        Those of them that are not in `encoded`.
    gmac : float
        Billions of multiplications for a segment.
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
    """Read a graph and work out all that it will do.

    Parameters
    ----------
    encoded : bytes
        An ONNX model.
    elsewhere : mapping
        Tensors that it names and does not hold.
    features : (segment_frames, n_mels)
        What it must take.
    scores : (n_score_frames, n_labels)
        What it must give, with a region (n_score_frames,) beside it.

    Raises
    ------
    ValueError
        It is no such graph, uses an operator that is not known, or asks for too much.
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
    """Work out every node of a graph in turn.

    Parameters
    ----------
    message : GraphMessage
        As it was read.
    tensors : mapping
        All that it has and names.

    Attributes
    ----------
    steps : list of Step
    gmac : float

    Raises
    ------
    ValueError
        A node is wrong or takes too much; the message says which and why.
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
    """Return the names that are of no use after each node."""
    last: dict[str, int] = {}
    for number, node in enumerate(message.nodes):
        for name in (*node.inputs, *node.outputs):
            last[name] = number
    used_up: dict[int, tuple[str, ...]] = {}
    for name, number in last.items():
        if name and name not in message.outputs:
            used_up[number] = (*used_up.get(number, ()), name)
    return used_up
