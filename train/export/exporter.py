"""Export: a trained run to one file that describes itself, checked before it counts.

The runtime's format is a TorchScript archive with graphs for other engines inside (see
`train.export.model_file`, `streamsed.inference.onnx_weights`); `train.export.formats` has formats for other programs. A file is
accepted only after it was read back and agreed with the network it came from.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from streamsed.config import FrontendConfig, PostConfig, StreamConfig
from streamsed.config.frontend import SEGMENT_SCALINGS
from streamsed.inference.model_file import ModelFile, ModelInfo
from streamsed.inference.thresholds.operating_points import OperatingPoint
from streamsed.inference.thresholds.recall_curves import RecallCurves
from streamsed.inference.trust import note_exported
from train.config.train import TrainConfig
from train.export.engine_check import (
    CheckSet,
    EngineCheck,
    choose_probe,
    compare_engines,
)
from train.export.fold_batch_norm import fold
from train.export.formats import EXPORT_FORMATS
from train.export.model_file import Graphs, write_archive
from train.export.onnx_graph import quantize, requantize_from_floats, to_onnx
from train.fit.checkpoint import TrainedNetwork
from train.provenance import current_commit

ROUNDING = 0.01
"""Largest difference of a score that folding and 16-bit weights may make."""

TORCHSCRIPT = "torchscript"


def why_unexportable(config: TrainConfig, scaling: str) -> str | None:
    """Say why the runtime cannot run a network; None if it can.

    Parameters
    ----------
    config : TrainConfig
        How it was trained.
    scaling : str
        What its input goes through.

    Examples
    --------
    >>> why_unexportable(TrainConfig(), "triple")
    >>> why_unexportable(TrainConfig(), "single")
    'scaling=single must be one that the runtime has: triple, relative'
    """
    if config.system != "resnet":
        return f"system={config.system} must be resnet, which the runtime runs"
    if scaling not in SEGMENT_SCALINGS:
        choices = ", ".join(SEGMENT_SCALINGS)
        return f"scaling={scaling} must be one that the runtime has: {choices}"
    stream, segment = StreamConfig(), config.frontend.segment_duration
    try:
        stream.check(config.frontend)
    except ValueError:
        return (
            f"frontend.segment_frames={config.frontend.segment_frames} must be a segment of "
            f"{stream.settled:g} s at least, in which scores become final, not {segment:.3g} s"
        )
    return None


def refuse_unexportable(trained: TrainedNetwork, output: Path, to: str) -> None:
    """Raise a ValueError if a network cannot be exported so, whatever its scores.

    Parameters
    ----------
    trained, output, to
        See `export_model`.

    Raises
    ------
    ValueError
        The runtime does not support the network or its input scaling, or the output is a
        folder or its name does not match the format.
    """
    if output.is_dir():
        raise ValueError(f"--output {output}: a folder; name a file")
    reason = why_unexportable(trained.config, trained.scaling.name)
    if reason is not None:
        raise ValueError(reason)
    suffix = EXPORT_FORMATS[to].suffix if to != TORCHSCRIPT else output.suffix
    if output.suffix != suffix:
        raise ValueError(f"--output {output} must end in {suffix} for --to {to}")


def export_model(
    trained: TrainedNetwork,
    output: Path,
    *,
    name: str,
    check_set: CheckSet,
    to: str = TORCHSCRIPT,
    post: PostConfig | None = None,
    scores: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    operating_points: Sequence[OperatingPoint] = (),
    recall_curves: Sequence[RecallCurves] = (),
) -> ModelInfo:
    """Write a network in one of the formats and check it.

    Parameters
    ----------
    trained : TrainedNetwork
        From `train.fit.checkpoint.load_trained`.
    output : Path
        The file; replaced only by one that passed the check.
    name : str
        What the model is called.
    check_set : CheckSet
        What the file is checked on.
    to : str
        "torchscript", which the runtime reads, or one of `EXPORT_FORMATS`.
    post : PostConfig, optional
        Thresholds to ship.
    scores, provenance : mapping, optional
        What it scored on which data; what trained it on which data.
    operating_points : sequence of OperatingPoint
        Thresholds for other sensitivities and settlings to ship.
    recall_curves : sequence of RecallCurves
        What is found at other thresholds, to ship.

    Returns
    -------
    ModelInfo
        What the file says of itself.

    Raises
    ------
    ValueError
        The file's scores differ from the network's by more than arithmetic explains, or
        see `refuse_unexportable`.
    """
    refuse_unexportable(trained, output, to)
    info = describe(
        trained,
        name,
        post or PostConfig(),
        scores or {},
        provenance or {},
        operating_points,
        recall_curves,
    )
    network = fold(trained.network)
    x = torch.from_numpy(check_set.segments)[:, None]
    difference = largest_difference(trained.network, network, x)
    if not difference <= ROUNDING:
        raise ValueError(
            f"difference={difference} of a score by 16-bit weights must be at most "
            f"{ROUNDING}"
        )
    check = EngineCheck(
        network, check_set, labels=info.labels, post=info.post, config=info.frontend
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent) as folder:
        draft = Path(folder) / output.name
        if to == TORCHSCRIPT:
            info = _write_model(draft, network, info, check_set, check)
        else:
            _write_form(to, draft, network, info, x[:1], check)
        for part in draft.parent.iterdir():  # OpenVINO writes two files
            part.replace(output.parent / part.name)
    return info


def _write_model(
    path: Path,
    network: nn.Module,
    info: ModelInfo,
    check_set: CheckSet,
    check: EngineCheck,
) -> ModelInfo:
    """Write the runtime's format, check it with every engine, and add the results."""
    example = torch.from_numpy(check_set.segments[:1])[:, None]
    graphs = make_graphs(network, check_set)
    write_archive(path, network, info, example, graphs)
    info = replace(info, engines=dict(compare_engines(path, check)))
    write_archive(path, network, info, example, graphs)
    file = ModelFile.open(path)
    note_exported(file.sha256, path)
    return file.info


def make_graphs(
    network: nn.Module, check_set: CheckSet, *, in_8_bits: bool = True
) -> Graphs:
    """Make what a model file holds for all engines, from a folded network.

    Parameters
    ----------
    network : nn.Module
        From `train.export.fold_batch_norm`.
    check_set : CheckSet
        Its most lively segment becomes the probe.
    in_8_bits : bool
        Whether to make the 8-bit graph too, which takes longest.
    """
    model = to_onnx(network, torch.from_numpy(check_set.segments[:1])[:, None])
    models = {"fp32": model}
    if in_8_bits:
        quantized = quantize(model, check_set.calibration)
        models["int8"] = requantize_from_floats(quantized, model)
    return Graphs(models, choose_probe(network, check_set.segments))


def _write_form(
    to: str,
    path: Path,
    network: nn.Module,
    info: ModelInfo,
    example: Tensor,
    check: EngineCheck,
) -> None:
    export_format = EXPORT_FORMATS[to]
    export_format.write(path, network, info, example)
    loaded = export_format.load(path)
    record = check.compare(loaded.score, exact=True)
    if not record["accepted"] or loaded.info != info:
        raise ValueError(
            f"difference={record['max_difference']} of a score in the format {to} must be "
            f"smaller, or its description is another"
        )


def describe(
    trained: TrainedNetwork,
    name: str,
    post: PostConfig,
    scores: Mapping[str, Any],
    provenance: Mapping[str, Any],
    operating_points: Sequence[OperatingPoint] = (),
    recall_curves: Sequence[RecallCurves] = (),
) -> ModelInfo:
    """Collect what a model file says of itself."""
    config = trained.config
    training: dict[str, Any] = {
        "steps": trained.step,
        "clips": trained.step * config.batch_size,
        "commit": current_commit(),
        **config.to_dict(),
        **provenance,
    }
    training["steps"] = trained.step
    # JSON knows no infinity, which clips no gradient either.
    training["clip_norm"] = min(config.clip_norm, sys.float_info.max)
    info = ModelInfo(
        name=name,
        labels=trained.labels,
        frontend=config.frontend,
        stream=StreamConfig(),
        post=post,
        scores_at_export=scores,
        training=training,
        parameters=sum(p.numel() for p in trained.network.parameters()),
        gmac=count_gmac(trained.network, config.frontend),
        operating_points=tuple(operating_points),
        recall_curves=tuple(recall_curves),
    )
    # As a file gives it back: JSON knows no tuples.
    return ModelInfo.from_dict(json.loads(json.dumps(info.to_dict())))


def largest_difference(network: nn.Module, other: nn.Module, segments: Tensor) -> float:
    """Compare both outputs of two networks, segment by segment."""
    largest = 0.0
    with torch.inference_mode():
        for segment in torch.split(segments, 1):
            pairs = zip(network(segment), other(segment), strict=True)
            largest = max(largest, *(float((a - b).abs().max()) for a, b in pairs))
    return largest


def count_gmac(network: nn.Module, frontend: FrontendConfig) -> float:
    """Count the billions of multiplications that one segment takes."""
    x = torch.zeros(1, 1, frontend.segment_frames, frontend.n_mels)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x)
    return round(float(counter.get_total_flops()) / 2e9, 3)
