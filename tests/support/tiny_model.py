"""Files of a tiny model: with a graph that every engine computes, and of an older kind.

Who uses the first needs no torch, whose import takes two seconds in every process.
"""

import json
import zipfile

import numpy as np
from archives import as_exported
from onnx import TensorProto, helper, numpy_helper

from streamsed.config import FrontendConfig, PostConfig, StreamConfig
from streamsed.inference.model_file import INFO_NAME, ModelInfo
from streamsed.inference.onnx import import_onnxruntime
from streamsed.inference.onnx_weights import PROBE, WEIGHTS, Probe, graph_name

LABELS = ("Speech", "Dog")
KERNEL = np.array([0.05, 0.2, 0.5, 0.2, 0.05], np.float32)
"""How much of the four score frames around it is in a score."""


def graph_of(n_labels):
    """The graph of a network that detects a band of the spectrum for each label.

    Each score sees two score frames to either side, and the mean of the whole segment: as
    with the real network, every score depends on everything in the segment.
    """
    constants = {
        "channel": np.array([1], np.int64),
        "split": np.array([1, 128, n_labels, 128 // n_labels], np.int64),
        "near": KERNEL * np.eye(n_labels, dtype=np.float32)[..., None],
        **{name: np.float32(name) for name in ("16", "3", "4")},
        "times": np.array([1], np.int64),
        "bands": np.array([3], np.int64),
        "all bands": np.array([2], np.int64),
    }

    def step(operator, given, output, **attributes):
        return helper.make_node(operator, given, [output], **attributes)

    def value(name, *shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        [
            step("AveragePool", ["features"], "pooled", kernel_shape=[8, 1], strides=[8, 1]),
            step("Squeeze", ["pooled", "channel"], "frames"),
            step("ReduceMax", ["frames", "all bands"], "region", keepdims=0),
            step("Reshape", ["frames", "split"], "parts"),
            step("ReduceMax", ["parts", "bands"], "loudest", keepdims=0),
            step("Transpose", ["loudest"], "by label", perm=[0, 2, 1]),
            step("Conv", ["by label", "near"], "blurred", pads=[2, 2], kernel_shape=[5]),
            step("Transpose", ["blurred"], "by time", perm=[0, 2, 1]),
            step("ReduceMean", ["loudest", "times"], "mean"),
            step("Mul", ["by time", "16"], "steep"),
            step("Mul", ["mean", "3"], "whole"),
            step("Add", ["steep", "whole"], "sum"),
            step("Sub", ["sum", "4"], "logits"),
            step("Sigmoid", ["logits"], "scores"),
        ],
        "tiny",
        [value("features", 1, 1, 1024, 128)],
        [value("scores", 1, 128, n_labels), value("region", 1, 128)],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    return model.SerializeToString()


def describe_tiny(labels, *, stream=None, post=None):
    """What the tiny models say of themselves."""
    return ModelInfo(
        name="tiny",
        labels=tuple(labels),
        frontend=FrontendConfig(),
        stream=stream or StreamConfig(),
        post=post or PostConfig(),
        scores_at_export={"event F1 (%)": 12.5},
        training={"preset": "tiny"},
        parameters=22,
        gmac=0.001,
    )


def write_tiny_model(path, labels=LABELS):
    """Write a model file without a program in it."""
    encoded = graph_of(len(labels))
    features = np.rint(np.random.default_rng(0).random((1024, 128)) * 255)
    features = features.astype(np.float32) / np.float32(255)
    session = import_onnxruntime().InferenceSession(encoded)
    ((scores,),) = session.run(["scores"], {"features": features[None, None]})
    members = {
        INFO_NAME: json.dumps(describe_tiny(labels).to_dict()),
        graph_name("fp32"): encoded,
        WEIGHTS: "[]",  # they are so few that they stand in the graph
        PROBE: Probe(features, scores).to_bytes(),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"tiny/extra/{name}", content)
    return as_exported(path)


def write_older_model(path, *, labels=LABELS, extra="streamsed.json", **info):
    """Write a file of the same network as a program of torch, as older exports did."""
    import torch

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.near = torch.nn.Conv1d(2, 2, 5, padding=2)
            with torch.no_grad():
                kernel = torch.from_numpy(KERNEL)
                self.near.weight[:] = kernel * torch.eye(2)[..., None]
                self.near.bias[:] = 0

        def forward(self, x):
            frames = torch.nn.functional.avg_pool2d(x, (8, 1))[:, 0]
            bands = frames.unflatten(2, (2, -1)).amax(3)
            logits = 16 * self.near(bands.transpose(1, 2)).transpose(1, 2) - 4
            logits = logits + 3 * bands.mean(1, keepdim=True)
            return torch.sigmoid(logits), frames.amax(2)

    changes = info.pop("changes", {})
    network = torch.jit.trace(Network().eval(), torch.zeros(1, 1, 1024, 128))
    text = json.dumps(describe_tiny(labels, **info).to_dict() | changes)
    torch.jit.save(network, str(path), _extra_files={extra: text})
    return as_exported(path)
