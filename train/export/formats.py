"""Export formats for other programs: ONNX, OpenVINO and torch.export.

The runtime needs none of them: its own format, the TorchScript archive, holds graphs for
every engine. TorchScript is deprecated upstream; `torch.export` is its heir, and written
here so that it is ready. Every format contains the description (`ModelInfo`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from streamsed.inference.model_file import INFO_NAME, ModelInfo
from streamsed.inference.onnx import import_onnxruntime
from streamsed.inference.openvino import core, import_openvino
from streamsed.samples import Float32
from train.export.onnx_graph import INPUT, to_onnx

KEY = "streamsed"
"""Key of the description in formats that contain no files."""


class Loaded(NamedTuple):
    """An exported network: its description, and a function that scores a segment (T, n_mels)."""

    info: ModelInfo
    score: Callable[[Float32], Float32]


class ExportFormat(NamedTuple):
    """How a format is written and loaded."""

    suffix: str
    write: Callable[[Path, nn.Module, ModelInfo, Tensor], None]
    load: Callable[[Path], Loaded]


def _write_onnx(
    path: Path, network: nn.Module, info: ModelInfo, example: Tensor
) -> None:
    import onnx

    model = to_onnx(network, example)
    model.metadata_props.add(key=KEY, value=json.dumps(info.to_dict()))
    onnx.save(model, str(path))


def _load_onnx(path: Path) -> Loaded:
    session = import_onnxruntime().InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )
    text = session.get_modelmeta().custom_metadata_map[KEY]

    def score(segment: Float32) -> Float32:
        scores: Float32 = session.run(None, {INPUT: segment[None, None]})[0][0]
        return scores

    return Loaded(ModelInfo.from_dict(json.loads(text)), score)


def _write_openvino(
    path: Path, network: nn.Module, info: ModelInfo, example: Tensor
) -> None:
    graph = to_onnx(network, example).SerializeToString()
    model = core().read_model(graph)
    model.set_rt_info(json.dumps(info.to_dict()), KEY)
    # Its weights are 16-bit numbers already; what is rounded here would be the biases.
    import_openvino().save_model(model, path, compress_to_fp16=False)


def _load_openvino(path: Path) -> Loaded:
    model = core().read_model(path)
    compiled = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    info = ModelInfo.from_dict(json.loads(model.get_rt_info(KEY).astype(str)))

    def score(segment: Float32) -> Float32:
        scores: Float32 = compiled([segment[None, None]])[0][0]
        return scores

    return Loaded(info, score)


class _Plain(nn.Module):
    """Answer with a plain tuple: torch.export cannot save a named one."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scores, region = self.network(x)
        return scores, region


def _write_torch_export(
    path: Path, network: nn.Module, info: ModelInfo, example: Tensor
) -> None:
    program = torch.export.export(_Plain(network), (example,))
    text = json.dumps(info.to_dict())
    torch.export.save(program, path, extra_files={INFO_NAME: text})


def _load_torch_export(path: Path) -> Loaded:
    extra = {INFO_NAME: ""}
    network = torch.export.load(path, extra_files=extra).module()

    def score(segment: Float32) -> Float32:
        with torch.no_grad():
            scores, _ = network(torch.from_numpy(segment)[None, None])
        answer: Float32 = scores[0].numpy()
        return answer

    return Loaded(ModelInfo.from_dict(json.loads(extra[INFO_NAME])), score)


EXPORT_FORMATS = {
    "onnx": ExportFormat(".onnx", _write_onnx, _load_onnx),
    "openvino": ExportFormat(".xml", _write_openvino, _load_openvino),
    "torch-export": ExportFormat(".pt2", _write_torch_export, _load_torch_export),
}
