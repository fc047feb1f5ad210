"""Score continuous recordings with a run's network, by any engine of the runtime.

The network is folded and made a graph as by `export`, and written to a model file that the
runtime loads. So the scores are those of the exported model, in the arithmetic asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from streamsed.config import PostConfig
from streamsed.inference.model import Model
from streamsed.inference.selection import EngineRequest
from streamsed.progress import track
from train.evaluation.continuous.kept_scores import KeptScores, ScoredBy
from train.evaluation.continuous.recording_scores import BatchScores, model_scores
from train.evaluation.continuous.recordings import (
    ScoredRecording,
    count_continuous,
    draw_continuous,
    score_continuous,
)
from train.export.engine_check import CheckSet
from train.export.exporter import describe, make_graphs
from train.export.fold_batch_norm import fold
from train.export.model_file import write_archive
from train.fit.checkpoint import TrainedNetwork
from train.folder_lock import hold_folder
from train.mixing.continuous import ContinuousMixer, Recording
from train.mixing.soundbank import Soundbank


@dataclass(frozen=True, slots=True)
class Drawing:
    """Which continuous recordings are drawn; see `draw_continuous`.

    Parameters
    ----------
    n : int
    duration : float
        Seconds.
    seed : int
    """

    n: int
    duration: float
    seed: int


class RunScorer:
    """Scores continuous recordings with a network.

    Parameters
    ----------
    trained : TrainedNetwork
        The network.
    request : EngineRequest
        The engine.
    """

    def __init__(self, trained: TrainedNetwork, request: EngineRequest) -> None:
        self._trained, self._request = trained, request

    def score(
        self, bank: Soundbank, drawing: Drawing, folder: Path | None = None
    ) -> list[ScoredRecording]:
        """Draw the recordings of a bank and score those that were not scored before.

        Parameters
        ----------
        bank : Soundbank
            What they are mixed from.
        drawing : Drawing
            Which.
        folder : Path, optional
            Where scores are kept; an engine or precision of "auto" is then that of the
            scores there.

        Raises
        ------
        ValueError
            The engine is not available, the kept scores come from something else, or
            another process is keeping scores in the folder.
        """
        if folder is None:
            return self._score_all(bank, drawing, None)
        with hold_folder(folder, option="--scored"):
            kept = KeptScores(folder)
            kept.begin(ScoredBy(self._settle_engine(kept), digest(self._trained)))
            recordings = self._score_all(bank, drawing, kept)
            kept.check_length(len(recordings))
        return recordings

    def _score_all(
        self, bank: Soundbank, drawing: Drawing, kept: KeptScores | None
    ) -> list[ScoredRecording]:
        mixer = ContinuousMixer(bank)
        total = count_continuous(mixer, n=drawing.n)
        scored = self._each(mixer, drawing, kept)
        return list(track(scored, "scoring", total=total, unit="recordings"))

    def _each(
        self, mixer: ContinuousMixer, drawing: Drawing, kept: KeptScores | None
    ) -> Iterator[ScoredRecording]:
        drawn = draw_continuous(
            mixer, n=drawing.n, duration=drawing.duration, seed=drawing.seed
        )
        for index, (part, recording) in enumerate(drawn):
            scored = None if kept is None else kept.find(index, part, recording)
            if scored is None:
                scored = self._score(part, recording)
                if kept is not None:
                    kept.append(scored)
            yield scored

    def _score(self, part: str, recording: Recording) -> ScoredRecording:
        trained = self._trained
        (scored,) = score_continuous(
            [(part, recording)],
            self._batch_scores,
            trained.labels,
            trained.config.frontend,
            scaling=trained.scaling,
        )
        return scored

    def _settle_engine(self, kept: KeptScores) -> str:
        """Replace "auto" by the engine of kept scores or, without any, the fastest."""
        wanted = self._request.engine, self._request.precision
        if "auto" in wanted:
            found = (kept.engine or self._model.chosen.name).split()
            engine, precision = (
                there if asked == "auto" else asked
                for asked, there in zip(wanted, found, strict=True)
            )
            self._request = replace(self._request, engine=engine, precision=precision)
        return f"{self._request.engine} {self._request.precision}"

    @cached_property
    def _batch_scores(self) -> BatchScores:
        return model_scores(self._model)

    @cached_property
    def _model(self) -> Model:
        return load_in_engine(self._trained, self._request)


def load_in_engine(trained: TrainedNetwork, request: EngineRequest) -> Model:
    """Load a network as the runtime loads the model file of it.

    8-bit arithmetic learns its ranges from the example scene, as in `export` without
    `--soundbank`.

    Raises
    ------
    ValueError
        The engine is not available or gives other scores, or a weight is not finite in 16
        bits.
    """
    network = fold(trained.network)
    check_set = CheckSet.of_the_scene(trained.config.frontend)
    in_8_bits = request.precision == "int8"
    graphs = make_graphs(network, check_set, in_8_bits=in_8_bits)
    info = describe(trained, "run", PostConfig(), {}, {})
    example = torch.from_numpy(check_set.segments[:1])[:, None]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.pt"
        write_archive(path, network, info, example, graphs)
        return Model.load(
            path,
            device=request.device,
            engine=request.engine,
            precision=request.precision,
        )


def digest(trained: TrainedNetwork) -> str:
    """Return SHA-256 of all that a network's scores depend on, in hexadecimal digits."""
    found = hashlib.sha256()
    settings = {
        "labels": trained.labels,
        "frontend": trained.config.frontend.to_dict(),
        "scaling": repr(trained.scaling),
        "network": repr(trained.config.network),
    }
    found.update(json.dumps(settings, sort_keys=True).encode())
    for name, value in sorted(trained.network.state_dict().items()):
        found.update(name.encode())
        found.update(value.contiguous().numpy().tobytes())
    return found.hexdigest()
