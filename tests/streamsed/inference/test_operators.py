"""Operators: the shape that is worked out, and torch's numbers, are ONNX Runtime's own."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from streamsed.inference.graph.check import Graph, Walk
from streamsed.inference.graph.messages import read_model
from streamsed.inference.graph.operators import OPERATORS
from streamsed.inference.graph.torch_network import TorchNetwork
from streamsed.inference.graph.torch_operators import TORCH_OPERATORS
from streamsed.inference.onnx import import_onnxruntime

onnxruntime = import_onnxruntime()
RNG = np.random.default_rng(0)
MAP = (1, 4, 9, 6)


def floats(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def whole(*numbers):
    return np.array(numbers, np.int64)


EIGHT_BITS = (np.float32(0.02), np.uint8(128))
PER_CHANNEL = (np.full(4, 0.03, np.float32), np.zeros(4, np.int8))

# Operator, attributes, constants behind the input; each more than once where it has forms.
CASES = [
    ("Conv", {"pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}, [floats(5, 4, 3, 3)]),
    ("Conv", {"strides": [2, 1], "group": 2}, [floats(6, 2, 1, 1), floats(6)]),
    ("Conv", {"dilations": [2, 1], "pads": [2, 0, 2, 1]}, [floats(5, 4, 3, 2)]),
    (
        "BatchNormalization",
        {"epsilon": 1e-3},
        [floats(4), floats(4), floats(4), np.abs(floats(4))],
    ),
    ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}, []),
    ("MaxPool", {"kernel_shape": [3, 1], "pads": [1, 0, 1, 0]}, []),
    ("AveragePool", {"kernel_shape": [3, 2], "pads": [1, 0, 1, 0]}, []),
    ("AveragePool", {"kernel_shape": [2, 2], "count_include_pad": 1}, []),
    ("GlobalAveragePool", {}, []),
    ("MatMul", {}, [floats(6, 3)]),
    *((name, {}, []) for name in ("Relu", "Sigmoid", "Tanh", "Exp", "Abs", "Neg")),
    *((name, {}, []) for name in ("Erf", "Identity", "HardSwish", "Softplus")),
    ("HardSigmoid", {"alpha": 1 / 6}, []),
    ("LeakyRelu", {"alpha": 0.2}, []),
    ("Elu", {"alpha": 0.7}, []),
    ("Softmax", {"axis": 1}, []),
    ("Clip", {}, [np.float32(-0.5), np.float32(0.5)]),
    ("Add", {}, [floats(4, 1, 6)]),
    ("Sub", {}, [floats(1, 4, 9, 1)]),
    ("Mul", {}, [np.float32(2)]),
    ("Div", {}, [np.float32(3)]),
    ("Pow", {}, [np.float32(2)]),
    ("Max", {}, [floats(9, 6), floats(6)]),
    ("Min", {}, [floats(9, 6)]),
    ("ReduceMean", {"keepdims": 0}, [whole(2, 3)]),
    ("ReduceMax", {}, [whole(-1)]),
    ("ReduceMin", {"keepdims": 0}, [whole(1)]),
    ("ReduceSum", {}, []),
    ("Unsqueeze", {}, [whole(0, -1)]),
    ("Squeeze", {}, [whole(0)]),
    ("Transpose", {"perm": [0, 2, 1, 3]}, []),
    ("Reshape", {}, [whole(0, -1, 6)]),
    ("Reshape", {"allowzero": 1}, [whole(1, -1, 6)]),
    ("Flatten", {"axis": 2}, []),
    ("Expand", {}, [whole(3, 4, 9, 6)]),
    ("Concat", {"axis": -1}, [floats(1, 4, 9, 2)]),
    ("Slice", {}, [whole(1, -3), whole(8, 100), whole(2, 3), whole(2, 1)]),
    ("Slice", {}, [whole(1), whole(1 << 40), whole(2)]),
    ("QuantizeLinear", {}, EIGHT_BITS),
    ("QuantizeLinear", {"axis": 1}, PER_CHANNEL),
]
ON_MATRICES = [
    ("Gemm", {"transB": 1}, [floats(3, 6), floats(3)]),
    ("Gemm", {"alpha": 0.5, "beta": 2.0, "transA": 1}, [floats(9, 4), floats(6, 1)]),
    ("Gemm", {}, [floats(6, 2)]),
    ("Sqrt", {}, []),
    ("Log", {}, []),
]


def build(operator, attributes, constants, shape):
    """A graph of one operator, between a value of the shape and the output."""
    names = [f"c{i}" for i in range(len(constants))]
    node = helper.make_node(operator, ["x", *names], ["y"], **attributes)
    nodes = [node]
    if operator == "QuantizeLinear":
        node.output[0] = "q"
        axis = {k: v for k, v in attributes.items() if k == "axis"}
        nodes.append(helper.make_node("DequantizeLinear", ["q", *names], ["y"], **axis))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "one", [x], [onnx.ValueInfoProto(name="y")])
    for name, values in zip(names, constants, strict=True):
        graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    return onnx.shape_inference.infer_shapes(model).SerializeToString()


@pytest.mark.parametrize(
    ("case", "shape"),
    [(case, MAP) for case in CASES] + [(case, (9, 6)) for case in ON_MATRICES],
    ids=lambda value: value[0] if isinstance(value[0], str) else None,
)
def test_an_operator_gives_what_onnx_runtime_gives(case, shape):
    operator, attributes, constants = case
    encoded = build(operator, attributes, constants, shape)
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    x = np.abs(x) if operator in ("Sqrt", "Log") else x
    session = onnxruntime.InferenceSession(encoded, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": x})

    message = read_model(encoded)
    walk = Walk(message, message.tensors)
    assert walk.steps[-1].output.shape == expected.shape
    if operator in TORCH_OPERATORS:
        graph = Graph(encoded, "x", ("y", "y"), walk.steps, message.tensors, {}, 0.0)
        network = TorchNetwork(graph, device="cpu", dtype=torch.float32)
        found, _ = network(torch.from_numpy(x))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_every_operator_is_tried_and_every_one_of_floats_is_computed():
    tried = {operator for operator, *_ in (*CASES, *ON_MATRICES)}
    assert OPERATORS.keys() - tried == {"Cast", "DequantizeLinear"}  # tried with others
    eight_bits = {"QuantizeLinear", "DequantizeLinear"}
    assert OPERATORS.keys() - TORCH_OPERATORS.keys() == eight_bits


def test_multiplications_are_counted_as_torch_counts_them():
    from torch.utils.flop_counter import FlopCounterMode

    weights = floats(6, 2, 3, 3)
    encoded = build("Conv", {"group": 2, "pads": [1, 1, 1, 1]}, [weights], MAP)
    message = read_model(encoded)
    with FlopCounterMode(display=False) as counter:
        torch.nn.functional.conv2d(
            torch.zeros(MAP), torch.from_numpy(weights), padding=1, groups=2
        )
    found = Walk(message, message.tensors).gmac * 2e9
    assert found == pytest.approx(counter.get_total_flops())
