"""The network at work: segments in, scores out, by the fastest engine that is right.

One segment is scored per call: a matrix product is not bit-stable when its row count
changes, and the events of a stream must equal those of the file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamsed.inference.cpu import available_cores
from streamsed.inference.engine import Engine
from streamsed.inference.model_file import ModelInfo, find_model
from streamsed.inference.onnx import Onnx
from streamsed.inference.onnx_weights import Probe, read_probe
from streamsed.inference.openvino import OpenVino
from streamsed.inference.selection import Candidate, EngineRequest, candidates
from streamsed.inference.torchscript import TorchScript

SHARED_GMAC = 10.0
"""Cost of a segment from which threads share it; a smaller one gains little by that."""

PROBE_SLACK = 2.0
"""Times farther from the network than at export that an engine may be on a machine."""

PROBE_FLOOR = 1e-4
"""Mean difference of scores that is let pass in any case."""


class SegmentScores(NamedTuple):
    """What the network says of one segment.

    Parameters
    ----------
    scores : float32 (n_score_frames, n_labels)
        In [0, 1] (`f_s` of the report).
    region : float32 (n_score_frames,)
        The self-mask's probability that anything sounds, in [0, 1] (`f_p`).
    """

    scores: NDArray[np.float32]
    region: NDArray[np.float32]


class Model:
    """A loaded network with its description.

    Parameters
    ----------
    info : ModelInfo
        What the file says of itself.
    engine : Engine
        What runs the network.
    chosen : Candidate
        Which engine that is.
    rejected : sequence of Candidate
        Other engines, each with what spoke against it.
    """

    def __init__(
        self,
        info: ModelInfo,
        engine: Engine,
        chosen: Candidate,
        rejected: Sequence[Candidate] = (),
    ) -> None:
        self.info = info
        self.chosen = chosen
        self.rejected = rejected
        self._engine = engine

    @classmethod
    def load(
        cls,
        name_or_path: str | os.PathLike[str],
        *,
        device: str = "auto",
        engine: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ) -> Model:
        """Load a shipped model by name or any model file by path.

        Parameters
        ----------
        name_or_path : str or path
            A name from `shipped_models`, or a file.
        device, engine, precision, threads
            See `streamsed.inference.selection.EngineRequest`. "auto" takes the fastest
            engine that is installed and answers as the network did when it was exported.

        Raises
        ------
        FileNotFoundError
            There is no such model.
        ValueError
            The file is not a model or is damaged, or what is wished for is not there.
        """
        request = EngineRequest(device, engine, precision, threads)
        path = find_model(name_or_path)
        info = ModelInfo.read(path)
        known = list(candidates(info, path, request))
        usable = [each for each in known if not each.rejected_because]
        rejected = [each for each in known if each.rejected_because]
        if not usable:
            reasons = "; ".join(f"{c.name}: {c.rejected_because}" for c in rejected)
            raise ValueError(
                f"engine={engine} with precision={precision} must be there "
                f"({reasons or 'no engine has both'}); try --engine auto"
            )
        for i, candidate in enumerate(usable[:-1]):
            slower = [
                replace(each, rejected_because="slower here")
                for each in usable[i + 1 :]
            ]
            try:
                made = _make(candidate, path, info, threads)
                model = cls(info, made, candidate, [*rejected, *slower])
                model._check_probe(path)
            except ValueError as error:
                rejected.append(replace(candidate, rejected_because=str(error)))
            else:
                return model
        return cls(info, _make(usable[-1], path, info, threads), usable[-1], rejected)

    @property
    def place(self) -> str:
        """Where the network runs and by what, for people."""
        threads = self._engine.threads
        shared = "" if self._engine.place == "cuda" else f", {threads} threads"
        return f"{self._engine.place} ({self.chosen.name}{shared})"

    @property
    def n_parallel(self) -> int:
        """Segments that are best scored at once, in threads of the caller."""
        if self._engine.place == "cuda":
            return 1
        return max(1, available_cores() // self._engine.threads)

    def score(self, features: NDArray[np.float32]) -> SegmentScores:
        """Score one segment; may be called from several threads.

        Parameters
        ----------
        features : float32 (segment_frames, n_mels)
            From `streamsed.pipeline.frontend.normalize`.

        Returns
        -------
        SegmentScores
            One row per score frame.

        Raises
        ------
        ValueError
            The network cannot run on such a segment, or gives scores of another shape
            than the model's labels and grid say.
        """
        frontend = self.info.frontend
        shape = frontend.segment_frames, frontend.n_mels
        if features.shape != shape:
            raise ValueError(f"a segment of {features.shape} must be of {shape}")
        try:
            result = SegmentScores(*self._engine.run(features))
        except ValueError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ValueError(
                f"model={self.info.name} must run on a segment of {features.shape} "
                f"and give scores and region ({reason}); export it again, or try "
                "another device"
            ) from error
        expected = frontend.segment_score_frames, len(self.info.labels)
        if result.scores.shape != expected or result.region.shape != expected[:1]:
            raise ValueError(
                f"model={self.info.name} must give scores of shape {expected} (one for "
                f"each of its labels), and gives {result.scores.shape}; export it again"
            )
        return result

    def probe_difference(self, probe: Probe) -> float:
        """Return the mean difference from the scores that the network itself gave."""
        scores = self.score(probe.features).scores
        return float(np.abs(scores - probe.scores).mean())

    def _check_probe(self, path: Path) -> None:
        """Raise ValueError if this engine answers otherwise here than at export."""
        record = self.info.engines.get(self.chosen.name)
        if record is None:  # from before models had probes
            return
        limit = PROBE_SLACK * record["probe_difference"] + PROBE_FLOOR
        difference = self.probe_difference(read_probe(path))
        if not difference <= limit:
            raise ValueError(
                f"its scores must be within {limit:.2g} of the network's here, and are "
                f"{difference:.2g} away"
            )


def _make(
    candidate: Candidate, path: Path, info: ModelInfo, threads: int | None
) -> Engine:
    precision = candidate.precision
    if candidate.engine == "torchscript":  # its threads are those of the whole process
        device = candidate.device
        return TorchScript(path, precision=precision, threads=threads, device=device)
    if threads is None:
        threads = 1 if info.gmac < SHARED_GMAC else available_cores()
    make = OpenVino if candidate.engine == "openvino" else Onnx
    return make(path, precision=precision, threads=threads)
