"""The model file: a TorchScript archive with the graphs for other engines inside."""

from __future__ import annotations

import copy
import json
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from streamsed.atomic_write import replacing
from streamsed.inference.archive import Archive
from streamsed.inference.model_file import (
    INFO_NAME,
    SEAL,
    ModelFile,
    ModelInfo,
    seal_of,
)
from streamsed.inference.onnx_weights import PROBE, WEIGHTS, Probe, graph_name
from streamsed.inference.trust import note_exported
from streamsed.strict_json import read_json
from train.export.onnx_graph import without_weights
from train.export.operating_points import Tuned

if TYPE_CHECKING:
    import onnx


MAX_DIFFERENCE = 1e-3
"""Of a score, in 32 bits: sums in another order."""


@dataclass(frozen=True, slots=True)
class Graphs:
    """What other engines need.

    Parameters
    ----------
    models : mapping
        The network as ONNX, by precision.
    probe : Probe
        A segment with the network's answer.
    """

    models: Mapping[str, onnx.ModelProto]
    probe: Probe


def write_archive(
    path: Path, network: nn.Module, info: ModelInfo, example: Tensor, graphs: Graphs
) -> None:
    """Write a model file.

    Parameters
    ----------
    path : Path
        The file.
    network : nn.Module
        From `train.export.fold_batch_norm`.
    info : ModelInfo
        What the file says of itself.
    example : float32 (1, 1, T, n_mels)
        A segment.
    graphs : Graphs
        For the other engines.
    """
    copied = copy.deepcopy(network)  # its weights are halved below
    extra: dict[str, str | bytes] = {INFO_NAME: json.dumps(info.to_dict(), indent=1)}
    with warnings.catch_warnings():
        # TorchScript is deprecated upstream, and is what the runtime loads.
        warnings.filterwarnings("ignore", message="`torch.jit")
        # Unchecked here, because the written file is compared with the network.
        traced = torch.jit.trace(copied, example, check_trace=False)  # type: ignore[no-untyped-call]
        for parameter in traced.parameters():
            if parameter.dim() > 1:  # the runtime makes them float32 again
                parameter.data = parameter.data.half()
        torch.jit.save(traced, str(path))
        records = _records(path)
        weights: dict[str, NDArray[np.float16]] = {}
        for precision, model in graphs.models.items():
            extra[graph_name(precision)], own = without_weights(model, records)
            weights |= own
        extra[WEIGHTS] = json.dumps(
            [
                {"name": name, "record": records[w.tobytes()], "shape": list(w.shape)}
                for name, w in weights.items()
            ]
        )
        extra[PROBE] = graphs.probe.to_bytes()
        torch.jit.save(traced, str(path), _extra_files=extra)
        _leave_out_lines(path)
        seal(path)
        _check_program(path, graphs.probe)


def _leave_out_lines(path: Path) -> None:
    """Leave the lines of source that TorchScript's errors would name out of a file."""
    with (
        replacing(path) as scratch,
        zipfile.ZipFile(path) as old,
        zipfile.ZipFile(scratch, "w") as new,
    ):
        for entry in old.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                new.writestr(entry, old.read(entry))


def seal(path: Path) -> None:
    """Write into a model file what it holds, so that it is refused once it was altered."""
    archive = Archive.open(path)
    description = read_json(archive.read(f"extra/{INFO_NAME}"))
    _copy_with_description(path, path, description)


def with_operating_points(path: Path, output: Path, tuned: Tuned) -> ModelInfo:
    """Write a model file again with other operating points, and nothing else changed.

    Parameters
    ----------
    path : Path
        The model file.
    output : Path
        May be the same.
    tuned : Tuned
        Points, recall curves and figures. The settings that the file uses by itself stay:
        its engines were checked with them.

    Returns
    -------
    ModelInfo
        What the new file says of itself.

    Raises
    ------
    ValueError
        The file is no model, or points or curves name other labels.
    """
    file = ModelFile.open(path)
    description = read_json(file.archive.read(f"extra/{INFO_NAME}"))
    description["operating_points"] = [each.to_dict() for each in tuned.points]
    description["recall_curves"] = [each.to_dict() for each in tuned.recall]
    if tuned.figures:
        description["scores_at_export"]["continuous"] = tuned.figures
    ModelInfo.from_dict(description)
    _copy_with_description(path, output, description)
    written = ModelFile.open(output)
    note_exported(written.sha256, output)
    return written.info


def _copy_with_description(
    path: Path, output: Path, description: dict[str, Any]
) -> None:
    """Write a model file with another description, sealed."""
    description[SEAL] = seal_of(Archive.open(path), description)
    with (
        replacing(output) as scratch,
        zipfile.ZipFile(path) as old,
        zipfile.ZipFile(scratch, "w") as new,
    ):
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith(f"/extra/{INFO_NAME}"):
                content = json.dumps(description, indent=1).encode()
            copied = zipfile.ZipInfo(
                entry.filename
            )  # of no date: equal files, equal sums
            new.writestr(copied, content, entry.compress_type)


def _check_program(path: Path, probe: Probe) -> None:
    """Raise ValueError if the program in a file answers otherwise than the network.

    The runtime builds the network from the graph; other programs may run this one.
    """
    program = torch.jit.load(str(path)).float()  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        scores = program(torch.from_numpy(probe.features)[None, None])[0][0]
    difference = float((scores - torch.from_numpy(probe.scores)).abs().max())
    if not difference <= MAX_DIFFERENCE:
        raise ValueError(
            f"difference={difference:.2g} of a score by TorchScript must be at most "
            f"{MAX_DIFFERENCE}"
        )


def _records(path: Path) -> dict[bytes, str]:
    """Return the records of an archive by what they hold."""
    with zipfile.ZipFile(path) as archive:
        return {
            archive.read(name): name.split("/", 1)[1] for name in archive.namelist()
        }
