"""Export: a trained run to one model file that describes itself.

The file is a TorchScript archive whose extra file `streamsed.json` holds the labels, the
front-end's settings, thresholds, scores and provenance (see `streamsed.model.ModelInfo`).
It is accepted only after it was read back and agreed with the network it came from.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from streamsed.artefact import INFO_NAME, ModelInfo
from streamsed.config import FrontendConfig, PostConfig, StreamConfig
from train.checkpoint import TrainedNetwork
from train.provenance import current_commit
from train.scaling import Triple

TOLERANCE = 1e-5
"""Largest difference between the file's scores and the network's."""


def export_model(
    trained: TrainedNetwork,
    output: Path,
    *,
    name: str,
    segments: Tensor,
    post: PostConfig | None = None,
    scores: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> ModelInfo:
    """Write a model file and check it.

    Parameters
    ----------
    trained : TrainedNetwork
        From `train.checkpoint.load_trained`.
    output : Path
        The file; replaced only by one that passed the check.
    name : str
        What the model is called.
    segments : float32 (n, 1, T, n_mels)
        Normalised segments that the file is checked on.
    post : PostConfig, optional
        Thresholds to ship.
    scores, provenance : mapping, optional
        What it scored on which data; what trained it on which data.

    Returns
    -------
    ModelInfo
        What the file says of itself.

    Raises
    ------
    ValueError
        The file's scores differ from the network's by more than `TOLERANCE`, or its input
        is scaled as the runtime cannot.
    """
    if trained.scaling.name != Triple.name:
        raise ValueError(
            f"scaling={trained.scaling.name} must be triple, which is the runtime's"
        )
    info = describe(trained, name, post or PostConfig(), scores or {}, provenance or {})
    output.parent.mkdir(parents=True, exist_ok=True)
    draft = output.with_suffix(".part")
    example = segments[:1].contiguous()
    with warnings.catch_warnings():
        # TorchScript is deprecated upstream, and is what the runtime loads.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        # Unchecked here, because the reloaded file is compared below.
        traced = torch.jit.trace(trained.network, example, check_trace=False)  # type: ignore[no-untyped-call]
        frozen = torch.jit.freeze(traced.eval())
        extra = {INFO_NAME: json.dumps(info.to_dict(), indent=1)}
        torch.jit.save(frozen, str(draft), _extra_files=extra)
        reloaded = torch.jit.load(str(draft))  # type: ignore[no-untyped-call]
    difference = largest_difference(trained.network, reloaded, segments)
    if not difference <= TOLERANCE:
        draft.unlink()
        raise ValueError(f"difference={difference} must be at most {TOLERANCE}")
    draft.replace(output)
    return ModelInfo.read(output)


def describe(
    trained: TrainedNetwork,
    name: str,
    post: PostConfig,
    scores: Mapping[str, Any],
    provenance: Mapping[str, Any],
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
    return ModelInfo(
        name=name,
        labels=trained.labels,
        frontend=config.frontend,
        stream=StreamConfig(),
        post=post,
        scores_at_export=scores,
        training=training,
        parameters=sum(p.numel() for p in trained.network.parameters()),
        gmac=count_gmac(trained.network, config.frontend),
    )


def largest_difference(
    network: nn.Module, reloaded: torch.jit.ScriptModule, segments: Tensor
) -> float:
    """Compare both outputs of a network and its file, segment by segment."""
    largest = 0.0
    with torch.inference_mode():
        for segment in torch.split(segments, 1):
            pairs = zip(network(segment), reloaded(segment), strict=True)
            largest = max(largest, *(float((a - b).abs().max()) for a, b in pairs))
    return largest


def count_gmac(network: nn.Module, frontend: FrontendConfig) -> float:
    """Count the billions of multiplications that one segment takes."""
    x = torch.zeros(1, 1, frontend.segment_frames, frontend.n_mels)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x)
    return round(float(counter.get_total_flops()) / 2e9, 3)
