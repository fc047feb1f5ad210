"""Networks as ONNX graphs: export, 8-bit quantisation, and graphs without their weights.

Packages of the `export` extra are imported where they are used: the other formats do
without them.
"""

from __future__ import annotations

import io
import logging
import os
import warnings
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from streamsed.inference.openvino import import_openvino

if TYPE_CHECKING:
    import onnx

INPUT, OUTPUTS = "features", ("scores", "region")
SMALL = 256
"""Numbers that a tensor may have to stay in the graph."""

_FLOAT32 = 1  # TensorProto.DataType

Float16s = Mapping[str, NDArray[np.float16]]


def to_onnx(network: nn.Module, segment: torch.Tensor) -> onnx.ModelProto:
    """Export a network of `train.export.fold_batch_norm` for segments of one shape, (1, 1, T, n_mels)."""
    _quieten("torch.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own deprecations, while it exports
        program = torch.onnx.export(
            network,
            (segment,),
            dynamo=True,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            verbose=False,
        )
    if program is None:
        raise ValueError("the network must be one that torch.onnx can export")
    model: onnx.ModelProto = program.model_proto
    del (
        model.metadata_props[:],
        model.graph.metadata_props[:],
        model.graph.value_info[:],
    )
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    return model


def quantize(model: onnx.ModelProto, segments: NDArray[np.float32]) -> onnx.ModelProto:
    """Quantise the convolutions to 8 bits after training, by NNCF.

    The first convolution, which has at most three input channels, stays as it is: it costs
    little and sees features of which most are small. So does everything between
    convolutions, the temporal units, which are small and see sums of many, and YAMNet,
    whose narrow convolutions lose most: with it a fifth of all events changed.

    Parameters
    ----------
    model : onnx.ModelProto
        From `to_onnx`.
    segments : float32 (n, T, n_mels)
        To learn the ranges of the activations from.
    """
    os.environ.setdefault("NNCF_CI", "1")  # it would send statistics of its use home,
    import_openvino()  # and so would OpenVINO, which it imports
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):  # it draws bars
        warnings.simplefilter("ignore")
        import nncf

        nncf.set_log_level(logging.ERROR)
        shapes = {tensor.name: tensor.dims for tensor in model.graph.initializer}
        convs = [node for node in model.graph.node if node.op_type == "Conv"]
        quantized: onnx.ModelProto = nncf.quantize(
            _copy(model),
            nncf.Dataset([{INPUT: each[None, None]} for each in segments]),
            subset_size=len(segments),
            preset=nncf.QuantizationPreset.PERFORMANCE,
            ignored_scope=nncf.IgnoredScope(
                names=[
                    conv.name
                    for conv in convs
                    if not _pays(conv.input[1], shapes[conv.input[1]])
                ],
                types=sorted({node.op_type for node in model.graph.node} - {"Conv"}),
                validate=False,
            ),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                disable_bias_correction=True
            ),
        )
    return quantized


def requantize_from_floats(
    quantized: onnx.ModelProto, model: onnx.ModelProto
) -> onnx.ModelProto:
    """Let 8-bit weights be computed from the float weights, so that these serve both.

    Engines fold constants when they load a graph: it costs the file nothing but scales.
    """
    from onnx import helper

    quantized = _copy(quantized)
    graph = quantized.graph
    floats = _tensors(model)
    stored = _tensors(quantized)
    weight_of = {
        node.name: node.input[1] for node in model.graph.node if _is_conv(node)
    }
    scaled = {node.output[0]: node for node in graph.node if _is_scaling(node)}
    moved: list[str] = []
    front: list[Any] = []
    for conv in filter(_is_conv, graph.node):
        dequantize = scaled.get(conv.input[1])
        if dequantize is None:
            continue
        name, scale, zero = dequantize.input
        weight = weight_of[conv.name]
        if not _rounds_to(floats[weight], stored[scale], stored[name]):
            continue
        if weight not in stored:
            graph.initializer.append(_tensor(floats[weight], weight))
            stored[weight] = floats[weight]
        axis = {a.name: a.i for a in dequantize.attribute}.get("axis", 1)
        output = f"{name}_from_floats"
        front.append(
            helper.make_node(
                "QuantizeLinear", [weight, scale, zero], [output], axis=axis
            )
        )
        dequantize.input[0] = output
        moved.append(name)
    _drop(graph, moved)
    _put_first(graph, front)
    return quantized


def without_weights(
    model: onnx.ModelProto, available: Container[bytes]
) -> tuple[bytes, Float16s]:
    """Take the large 16-bit weights out of a graph.

    Parameters
    ----------
    model : onnx.ModelProto
        From `to_onnx` or `requantize_from_floats`.
    available : container of bytes
        The weights, as float16, that lie elsewhere; others stay in the graph.

    Returns
    -------
    graph : bytes
        An ONNX model that names tensors it does not hold; see `streamsed.inference.onnx_weights`.
    weights : mapping
        Those tensors, by name.
    """
    from onnx import helper

    bare = _copy(model)
    weights: dict[str, NDArray[np.float16]] = {}
    casts = []
    for name, values in _tensors(model).items():
        if values.dtype != np.float32 or values.size <= SMALL:
            continue
        halved = values.astype(np.float16)
        if (halved == values).all() and halved.tobytes() in available:
            stored = f"{name}.f16"
            weights[stored] = halved
            casts.append(helper.make_node("Cast", [stored], [name], to=_FLOAT32))
    _drop(bare.graph, [cast.output[0] for cast in casts])
    _put_first(bare.graph, casts)
    return bare.SerializeToString(), weights


def _pays(name: str, shape: Sequence[int]) -> bool:
    """Whether a convolution of these weights is worth computing in 8 bits."""
    is_first, is_temporal = shape[1] <= 3, tuple(shape[2:]) == (3, 1)
    return not (is_first or is_temporal or name.startswith("yamnet."))


def _is_conv(node: Any) -> bool:
    return bool(node.op_type == "Conv")


def _is_scaling(node: Any) -> bool:
    return bool(node.op_type == "DequantizeLinear")


def _rounds_to(
    values: NDArray[np.float32], scale: NDArray[np.float32], stored: NDArray[Any]
) -> bool:
    """Whether QuantizeLinear makes the stored numbers of the floats, channel by channel."""
    if stored.dtype != np.int8 or values.shape != stored.shape:
        return False
    steps = scale.reshape(-1, *[1] * (values.ndim - 1))
    return np.array_equal(np.clip(np.rint(values / steps), -128, 127), stored)


def _tensors(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    from onnx import numpy_helper

    return {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}


def _tensor(values: NDArray[Any], name: str) -> onnx.TensorProto:
    from onnx import numpy_helper

    return numpy_helper.from_array(values, name)


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copied = type(model)()
    copied.CopyFrom(model)
    return copied


def _drop(graph: onnx.GraphProto, names: Iterable[str]) -> None:
    """Remove initializers."""
    gone = set(names)
    kept = [each for each in graph.initializer if each.name not in gone]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _put_first(graph: onnx.GraphProto, nodes: Sequence[Any]) -> None:
    """Insert nodes before all others: a graph lists nodes in order of computation."""
    others = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *others])


def _quieten(name: str) -> None:
    """Limit a verbose logger to errors."""
    logging.getLogger(name).setLevel(logging.ERROR)
