"""The model file: a TorchScript archive with the graphs for other engines inside."""

from __future__ import annotations

import copy
import json
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from streamsed.artefact import INFO_NAME, ModelInfo
from streamsed.graph import PROBE, WEIGHTS, Probe, graph_name
from train.onnx_graph import Float16s, without_weights

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class Graphs:
    """What other engines need.

    Parameters
    ----------
    bare : mapping
        Graphs without weights, by precision.
    weights : mapping
        The weights that they name.
    probe : Probe
        A segment with the network's answer.
    """

    bare: Mapping[str, bytes]
    weights: Float16s
    probe: Probe

    @classmethod
    def of(cls, models: Mapping[str, onnx.ModelProto], probe: Probe) -> Graphs:
        """Take the weights out of ONNX models of one network, by precision."""
        parts = {name: without_weights(model) for name, model in models.items()}
        weights = {k: v for _, own in parts.values() for k, v in own.items()}
        return cls({name: bare for name, (bare, _) in parts.items()}, weights, probe)


def write_archive(
    path: Path, network: nn.Module, info: ModelInfo, example: Tensor, graphs: Graphs
) -> None:
    """Write a model file.

    Parameters
    ----------
    path : Path
        The file.
    network : nn.Module
        From `train.fold`.
    info : ModelInfo
        What the file says of itself.
    example : float32 (1, 1, T, n_mels)
        A segment.
    graphs : Graphs
        For the other engines.

    Raises
    ------
    ValueError
        The graphs need a weight that TorchScript does not hold.
    """
    copied = copy.deepcopy(network)  # its weights are halved below
    extra: dict[str, str | bytes] = {INFO_NAME: json.dumps(info.to_dict(), indent=1)}
    with warnings.catch_warnings():
        # TorchScript is deprecated upstream, and is what the runtime loads.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        # Unchecked here, because the written file is compared with the network.
        traced = torch.jit.trace(copied, example, check_trace=False)  # type: ignore[no-untyped-call]
        for parameter in traced.parameters():
            if parameter.dim() > 1:  # the runtime makes them float32 again
                parameter.data = parameter.data.half()
        torch.jit.save(traced, str(path))
        extra[WEIGHTS] = json.dumps(list(_records(path, graphs.weights)))
        extra[PROBE] = graphs.probe.to_bytes()
        for precision, graph in graphs.bare.items():
            extra[graph_name(precision)] = graph
        torch.jit.save(traced, str(path), _extra_files=extra)


def _records(path: Path, weights: Float16s) -> Iterator[dict[str, object]]:
    """Find in which record of an archive each weight lies, by its bytes."""
    with zipfile.ZipFile(path) as archive:
        found = {
            archive.read(name): name.split("/", 1)[1] for name in archive.namelist()
        }
    for name, values in weights.items():
        if values.tobytes() not in found:
            raise ValueError(
                f"the weight {name} of the graph must be one of TorchScript's"
            )
        record = found[values.tobytes()]
        yield {"name": name, "record": record, "shape": list(values.shape)}
