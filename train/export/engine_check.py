"""Whether another engine or precision gives the events that the network gives.

What is compared: the largest difference of a score, and the share of events changed,
which is 1 - F1 (micro, the challenge's collars) of the engine's events against the
network's. Where the truth is known, event F1 must not fall either; alone it would not do,
for by luck it may rise while many events change. Starts of quiet streams are tried as well
(`starts`), since frames of one value are where a lower precision goes astray most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from streamsed.audio.decode import file_chunks
from streamsed.config import FrontendConfig, PostConfig
from streamsed.events import Event
from streamsed.inference.model import MAX_REASON, Model
from streamsed.inference.model_file import ModelFile
from streamsed.inference.onnx_weights import Probe, read_probe
from streamsed.inference.selection import (
    Candidate,
    EngineRequest,
    candidates,
    engine_order,
)
from streamsed.pipeline.frontend import scale_segment
from streamsed.progress import track
from streamsed.samples import Float32
from train.datasets.clip_features import log_mel
from train.evaluation.scoring import scores_to_events
from train.metrics.criteria import event_f1

TOLERANCE = 1e-3
"""Largest difference of a score in 32 bits: sums in another order."""

F1_DROP = 0.005
"""Macro event F1 that a lower precision may cost, where the truth is known."""

MAX_EVENTS_CHANGED = 0.05
"""Share of the events that it may change."""

MAX_START_DIFFERENCE = 0.3
"""Largest difference of a score that it may make at the start of a quiet stream."""
N_STARTS = 16
START_LEVEL = 0.3
"""What digital silence is where the maximum is 56 of 80 dB above it; 16 bits round it."""

SCENE = Path(__file__).parents[2] / "examples" / "scene.flac"
SCENE_STEP = 2.5
"""Seconds between the segments of the scene."""

ScoreFunction = Callable[[Float32], Float32]
"""A segment (T, n_mels) to its scores (H, K)."""


@dataclass(frozen=True, slots=True)
class CheckSet:
    """What a network is tried on.

    Parameters
    ----------
    segments : float32 (n, T, n_mels)
        Normalised.
    calibration : float32 (m, T, n_mels)
        Others, from which 8-bit arithmetic learns its ranges.
    reference : list of list of Event
        The true events of `segments`, where they are known; else empty.
    """

    segments: Float32
    calibration: Float32
    reference: Sequence[Sequence[Event]] = field(default_factory=list)

    @classmethod
    def of_the_scene(cls, config: FrontendConfig) -> CheckSet:
        """Take the example scene: real sound that is always at hand."""
        samples = np.concatenate(
            list(file_chunks(SCENE, sample_rate=config.sample_rate))
        )
        length = config.segment_frames * config.hop_length
        step = round(SCENE_STEP * config.sample_rate)
        starts = range(0, len(samples) - length // 2, step)
        frames = [log_mel(samples[start : start + length], config) for start in starts]
        segments = np.stack([scale_segment(each, config) for each in frames])
        return cls(segments, segments)


def starts(segments: Float32) -> Float32:
    """Make segments of streams that have just begun: a quarter of sound, then silence.

    The sound is so quiet that digital silence, which fills the rest, is above the floor of
    the scaling, as all is that is quieter than it.

    Parameters
    ----------
    segments : float32 (n, T, n_mels)
        Whole ones; at most `N_STARTS` are taken.

    Returns
    -------
    float32 (min(n, N_STARTS), T, n_mels)
    """
    begun = np.maximum(segments[:N_STARTS], np.float32(START_LEVEL))
    begun[:, begun.shape[1] // 4 :] = START_LEVEL
    return begun


class EngineCheck:
    """The network's own answers to a set of segments.

    Parameters
    ----------
    network : nn.Module
        In 32 bits, evaluation mode.
    check_set : CheckSet
        What it is asked.
    labels, post, config
        How scores become events.
    """

    def __init__(
        self,
        network: nn.Module,
        check_set: CheckSet,
        *,
        labels: Sequence[str],
        post: PostConfig,
        config: FrontendConfig,
    ) -> None:
        self.scores = [network_score(network)(each) for each in check_set.segments]
        self._starts = starts(check_set.segments)
        self._start_scores = [network_score(network)(each) for each in self._starts]
        self._check_set = check_set
        self._labels, self._post, self._config = labels, post, config
        self._events = [self._to_events(scores) for scores in self.scores]
        self._f1 = self._macro_f1(self._events)

    def compare(self, score: ScoreFunction, *, exact: bool) -> dict[str, Any]:
        """Compare an engine with the network.

        Parameters
        ----------
        score : callable
            The engine.
        exact : bool
            Whether it works in 32 bits: then its scores decide, not its events.

        Returns
        -------
        dict
            As in `ModelInfo.engines`, without the probe's difference.
        """
        found = [score(segment) for segment in self._check_set.segments]
        events = [self._to_events(scores) for scores in found]
        at_starts = _difference(map(score, self._starts), self._start_scores)
        difference = max(_difference(found, self.scores), at_starts)
        record: dict[str, Any] = {
            "max_difference": difference,
            "events_changed": self._changed(events),
        }
        record["accepted"] = bool(
            difference <= TOLERANCE
            if exact
            else record["events_changed"] <= MAX_EVENTS_CHANGED
            and at_starts <= MAX_START_DIFFERENCE
        )
        if self._check_set.reference:
            record["event_f1_macro"] = self._macro_f1(events)
            if not exact:
                lost = self._f1 - record["event_f1_macro"]
                record["accepted"] &= bool(lost <= F1_DROP)
        return record

    def _to_events(self, scores: Float32) -> list[Event]:
        return scores_to_events(scores, self._labels, self._post, self._config)

    def _changed(self, events: Sequence[Sequence[Event]]) -> float:
        if not any(events) and not any(self._events):
            return 0.0
        return 1.0 - event_f1(self._events, events, self._labels).micro

    def _macro_f1(self, events: Sequence[Sequence[Event]]) -> float:
        if not self._check_set.reference:
            return 0.0
        return event_f1(self._check_set.reference, events, self._labels).macro


def _difference(found: Iterable[Float32], expected: Iterable[Float32]) -> float:
    """Return the largest difference of a score."""
    pairs = zip(found, expected, strict=True)
    return float(np.max([np.abs(a - b).max() for a, b in pairs]))


def network_score(network: nn.Module) -> ScoreFunction:
    """Return what scores one segment with a network."""

    def score(segment: Float32) -> Float32:
        with torch.inference_mode():
            scores: Float32 = network(torch.from_numpy(segment)[None, None])[0][
                0
            ].numpy()
        return scores

    return score


def choose_probe(network: nn.Module, segments: Float32) -> Probe:
    """Take the segment whose scores vary most, and the network's answer to it."""
    score = network_score(network)
    liveliest = max(segments, key=lambda segment: float(score(segment).std()))
    features = np.rint(liveliest * 255).astype(np.float32) / np.float32(255)
    return Probe(features, score(features))


def compare_engines(
    path: Path, check: EngineCheck
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Try a model file with every engine and precision that this machine has.

    Yields
    ------
    name : str
        Such as "openvino int8".
    record : dict
        As in `ModelInfo.engines`; of a lower precision that fails, why.

    Raises
    ------
    ValueError
        An engine in 32 bits fails, or is not within `TOLERANCE` of the network.
    """
    file = ModelFile.open(path)
    probe = read_probe(file)
    order = sorted(engine_order())
    for engine, precision in track(
        order, "trying engines", total=len(order), unit="engines"
    ):
        (candidate,) = candidates(file, EngineRequest("cpu", engine, precision))
        if candidate.rejected_because:  # not installed, or not for this processor
            continue
        exact = precision == "fp32"
        try:
            record = _try(file, candidate, check, probe)
        except ValueError as error:
            reason = " ".join(str(error).removeprefix(f"{file.path}: ").split())
            if exact:
                raise ValueError(
                    f"{engine} in fp32 fails on the network ({reason}); repair or remove "
                    "that engine, and export again"
                ) from error
            record = {"accepted": False, "failed": reason[:MAX_REASON]}
        if exact and not record["accepted"]:
            raise ValueError(
                f"{engine} in fp32: difference={record['max_difference']:.2g} of a score "
                f"must be at most {TOLERANCE}"
            )
        yield candidate.name, record


def _try(
    file: ModelFile, candidate: Candidate, check: EngineCheck, probe: Probe
) -> dict[str, Any]:
    """Compare an engine with the network; raise a ValueError if it fails."""
    model = Model.load(
        file,
        device=candidate.device,
        engine=candidate.engine,
        precision=candidate.precision,
    )
    record = check.compare(
        lambda segment: model.score(segment).scores,
        exact=candidate.precision == "fp32",
    )
    return {**record, "probe_difference": model.probe_difference(probe)}
