"""Run a network: segments in, scores out, with the fastest engine that is correct.

One segment is scored per call: the bits of a matrix product depend on the number of rows,
and a stream must give the same events as the file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from streamsed.inference.cpu import available_cores
from streamsed.inference.engine import DeviceError, Engine
from streamsed.inference.engine_factory import make_engine
from streamsed.inference.model_file import ModelFile, ModelInfo, find_model
from streamsed.inference.onnx_weights import Probe, has_graph, has_probe, read_probe
from streamsed.inference.selection import (
    Candidate,
    EngineRequest,
    candidates,
    unavailable,
)
from streamsed.terminal import counted

PROBE_SLACK = 2.0
"""Factor by which an engine may differ more from the network than at export."""

PROBE_FLOOR = 1e-4
"""Mean difference of scores that is always accepted."""

UNMEASURED = {"fp32": 1e-3, "bf16": 0.25, "int8": 0.25}
"""Mean difference accepted for an engine that was not measured at export."""

MAX_REASON = 300
"""Characters of an engine's error message that are kept."""

ROUNDING = 1e-5
"""A mean of scores may exceed 1 by this much."""


class SegmentScores(NamedTuple):
    """The network's output for one segment.

    Parameters
    ----------
    scores : float32 (n_score_frames, n_labels)
        In [0, 1] (`f_s` of the report).
    region : float32 (n_score_frames,)
        The self-mask's probability that there is any event, in [0, 1] (`f_p`).
    """

    scores: NDArray[np.float32]
    region: NDArray[np.float32]


class Model:
    """A loaded network and its description.

    Parameters
    ----------
    info : ModelInfo
        Description of the model file.
    engine : Engine
        Engine that runs the network.
    chosen : Candidate
        Name of the engine and its precision.
    rejected : sequence of Candidate
        Other engines, with the reason why they were not chosen.
    sha256 : str
        SHA-256 of the file, in hexadecimal digits.

    Examples
    --------
    >>> from streamsed import Model, scale_segment
    >>> model = Model.load("default")
    >>> model.info.labels[:4]
    ('Alarm_bell_ringing', 'Blender', 'Cat', 'Dishes')
    >>> decibels = np.full((1024, 128), -100, dtype=np.float32)  # ten seconds of silence
    >>> features = scale_segment(decibels, model.info.frontend)
    >>> scores, region = model.score(features)
    >>> scores.shape, region.shape
    ((128, 10), (128,))
    """

    def __init__(
        self,
        info: ModelInfo,
        engine: Engine,
        chosen: Candidate,
        rejected: Sequence[Candidate] = (),
        *,
        sha256: str = "",
    ) -> None:
        self.info = info
        self.chosen = chosen
        self.rejected = rejected
        self.sha256 = sha256
        self._engine = engine

    @classmethod
    def load(
        cls,
        model: str | os.PathLike[str] | ModelFile,
        *,
        device: str = "auto",
        engine: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        trust: bool = False,
        sha256: str | None = None,
        n_parallel: int | None = None,
    ) -> Self:
        """Load a shipped model by name or any model file by path.

        Parameters
        ----------
        model : str, path or ModelFile
            A name from `shipped_models`, a path, or an open file.
        device, engine, precision, threads, trust
            See `streamsed.inference.selection.EngineRequest`. "auto" takes the fastest engine that is
            installed and answers as the network did when it was exported.
        sha256 : str or None
            Required SHA-256 of the file.
        n_parallel : int or None
            Segments that will be scored at once by threads of the caller; None depends on
            the number of cores. Use 1 in a process that shares the machine with others.

        Raises
        ------
        FileNotFoundError
            There is no such model.
        ValueError
            The file is not a model or is damaged, or the engine is not available.
        """
        request = EngineRequest(device, engine, precision, threads, trust)
        file = model
        if not isinstance(file, ModelFile):
            file = ModelFile.open(find_model(file), sha256=sha256)
        if not (has_graph(file, "fp32") or trust or file.origin):
            raise ValueError(
                f"{file.path}: an older kind of model file, which contains code that "
                "could do anything; export it again, or use --trust-model if you know "
                "who made it"
            )
        known = list(candidates(file, request))
        usable = [each for each in known if not each.rejected_because]
        rejected = [each for each in known if each.rejected_because]
        if not usable:
            raise unavailable(request, rejected)
        probe = _read_probe(file)
        failed: list[Candidate] = []
        for i, candidate in enumerate(usable):
            slower = [
                replace(each, rejected_because="slower here")
                for each in usable[i + 1 :]
            ]
            try:
                loaded = cls(
                    file.info,
                    make_engine(
                        candidate, file, threads=threads, n_parallel=n_parallel
                    ),
                    candidate,
                    [*rejected, *failed, *slower],
                    sha256=file.sha256,
                )
                loaded._check(probe)
            except ValueError as error:
                if isinstance(error, DeviceError) and request.device == "cuda":
                    raise  # the file is not at fault
                reason = " ".join(str(error).split())[:MAX_REASON]
                failed.append(replace(candidate, rejected_because=reason))
                if candidate.precision == "fp32" and candidate.device == "cpu":
                    break  # if fp32 fails, it is not the engine's fault
            else:
                return loaded
        reasons = "; ".join(f"{each.name}: {each.rejected_because}" for each in failed)
        raise ValueError(
            f"{file.path}: its scores differ from those at export ({reasons}); export it "
            "again, or try another engine"
        )

    @property
    def place(self) -> str:
        """Device and engine, for people."""
        threads = self._engine.threads
        shared = (
            "" if self._engine.place == "cuda" else f", {counted(threads, 'thread')}"
        )
        return f"{self._engine.place} ({self.chosen.name}{shared})"

    @property
    def n_parallel(self) -> int:
        """Number of segments to score at once, in threads of the caller, for best speed."""
        if self._engine.place == "cuda":
            return 1
        return max(1, available_cores() // self._engine.threads)

    def score(self, features: NDArray[np.float32]) -> SegmentScores:
        """Score one segment; may be called from several threads.

        Parameters
        ----------
        features : float32 (segment_frames, n_mels)
            In [0, 1], from `streamsed.pipeline.frontend.scale_segment`.

        Returns
        -------
        SegmentScores
            One row per score frame.

        Raises
        ------
        ValueError
            The network cannot run on such a segment, or its scores do not have the shape
            of the model's labels and score frames.
        """
        frontend = self.info.frontend
        shape = frontend.segment_frames, frontend.n_mels
        if features.shape != shape:
            raise ValueError(f"features must have shape {shape}, not {features.shape}")
        try:
            result = SegmentScores(*self._engine.run(features))
        except ValueError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ValueError(
                f"the model {self.info.name} failed on a segment ({reason}); export it "
                "again, or try another device"
            ) from error
        expected = frontend.segment_score_frames, len(self.info.labels)
        if result.scores.shape != expected or result.region.shape != expected[:1]:
            raise ValueError(
                f"the model {self.info.name} gave scores of shape {result.scores.shape} "
                f"instead of {expected} (score frames, labels); export it again"
            )
        return SegmentScores(*(self._in_range(values) for values in result))

    def _in_range(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return scores from 0 to 1; values rounded to above 1 are clipped."""
        least, most = float(values.min()), float(values.max())
        if least >= 0 and most <= 1:
            return values
        if not (least >= 0 and most <= 1 + ROUNDING):  # true for NaN as well
            wrong = least if not least >= 0 else most
            raise ValueError(
                f"the model {self.info.name} gave a score of {wrong:g}, outside 0 to 1, "
                f"on {self.chosen.name}; export it again, or try another engine"
            )
        return np.minimum(values, np.float32(1))

    def probe_difference(self, probe: Probe) -> float:
        """Return the mean difference from the scores of the original network."""
        scores = self.score(probe.features).scores
        return float(np.abs(scores - probe.scores).mean())

    def _check(self, probe: Probe | None) -> None:
        """Raise ValueError if the scores of this engine differ from those at export.

        Older files have no probe; then it only has to run.
        """
        if probe is None:
            frontend = self.info.frontend
            shape = frontend.segment_frames, frontend.n_mels
            self.score(np.zeros(shape, np.float32))
            return
        record = self.info.engines.get(self.chosen.name, {})
        limit = UNMEASURED[self.chosen.precision]
        if "probe_difference" in record:
            limit = PROBE_SLACK * record["probe_difference"] + PROBE_FLOOR
        difference = self.probe_difference(probe)
        if not difference <= limit:
            raise ValueError(
                f"scores differ by {difference:.2g} from the network's, more than the "
                f"{limit:.2g} allowed"
            )


def _read_probe(file: ModelFile) -> Probe | None:
    if not has_probe(file):
        return None
    try:
        return read_probe(file)
    except ValueError as error:
        raise ValueError(
            f"{file.path}: damaged model file ({error}); copy or export it again"
        ) from error
