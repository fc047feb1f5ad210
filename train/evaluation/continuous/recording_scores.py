"""The scores of every segment of a long recording, kept so that the rest can be tried.

Running the network is what detection costs; everything behind it takes a hundredth of the
time. So a recording is scored once, segment by segment, and what follows, stitching at any
latency, thresholds, hysteresis, gaps, durations, and the updates that a listener gets,
is run again from the kept scores as often as one likes::

    samples > segments > network > RecordingScores   once: `score_recording`
    RecordingScores > stitcher > final scores        `final_scores`, a latency
    final scores > tracker > events                  `train.evaluation.scoring.scores_to_events`
    RecordingScores > the whole Detector > updates   `replay`, a latency and settings

`replay` feeds the kept scores to the runtime's own `Detector` in place of its model, so
that its events and updates are those of a stream, to the last bit.
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamsed.config import FrontendConfig, StreamConfig
from streamsed.inference.model import Model
from streamsed.pipeline.extractor import SegmentFeatures
from streamsed.pipeline.frontend import Frontend, scale_segment
from streamsed.progress import task
from train.datasets.scaling import Scaling

Float32 = NDArray[np.float32]
BatchScores = Callable[[Float32], Float32]
"""Segments (n, T, n_mels) to their scores (n, H, K)."""

STEP = 0.25
"""Seconds between the segments that are kept."""
_UNREADABLE = (zipfile.BadZipFile, zlib.error, ValueError, EOFError)

BATCH = 16
"""Segments scored at once."""


@dataclass(frozen=True, slots=True)
class RecordingScores:
    """What a network says of every segment of a recording.

    Parameters
    ----------
    scores : float32 or float16 (n_segments, H, K)
        In [0, 1]; rows past a segment's end belong to padding.
    ends : int64 (n_segments,)
        Score frames of the recording at which each segment ends (exclusive), rising.
    n_samples : int
        Length of the recording.
    labels : tuple of str
        The columns.
    frontend : FrontendConfig
        The grid.
    """

    scores: NDArray[np.floating]
    ends: NDArray[np.int64]
    n_samples: int
    labels: tuple[str, ...]
    frontend: FrontendConfig

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.n_samples / self.frontend.sample_rate

    def time_of(self, n_score_frames: int) -> float:
        """Return after how many seconds so many score frames are known."""
        config = self.frontend
        needed = n_score_frames * config.score_frame_length + _context(config)
        return min(needed, self.n_samples) / config.sample_rate

    def save(self, path: Path) -> None:
        """Write everything to an .npz file."""
        about = {"labels": list(self.labels), "frontend": self.frontend.to_dict()}
        with path.open("wb") as file:
            np.savez(
                file,
                scores=self.scores,
                ends=self.ends,
                n_samples=np.int64(self.n_samples),
                about=np.array(json.dumps(about)),
            )

    @classmethod
    def load(cls, path: Path) -> RecordingScores:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            The file holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                return cls(
                    file["scores"],
                    file["ends"],
                    int(file["n_samples"]),
                    tuple(about["labels"]),
                    FrontendConfig.from_dict(about["frontend"]),
                )
        except (*_UNREADABLE, KeyError, TypeError) as error:
            raise ValueError(f"{path}: not the scores of a recording") from error

    def select(self, stream: StreamConfig) -> Iterator[tuple[SegmentFeatures, Float32]]:
        """Give those segments, in their order, that a stream of these settings scores.

        Yields
        ------
        segment : SegmentFeatures
            Without features; `early` where it counts for no final score.
        scores : float32 (H, K)

        Raises
        ------
        ValueError
            A segment was not kept: the step must be a multiple of the kept one.
        """
        config = self.frontend
        step, _ = stream.in_score_frames(config)
        whole = config.segment_score_frames
        partial = stream.settle_score_frames(config) < whole
        rows = {int(end): row for row, end in enumerate(self.ends)}
        nothing = np.empty((0, config.n_mels), np.float32)
        ends = segment_ends(self.n_samples, config, step=step, partial=True)
        early = [] if partial else [end for end in ends if end < whole]
        counting = segment_ends(self.n_samples, config, step=step, partial=partial)
        if early and early[-1] == counting[0] and not self._on_grid(early[-1], step):
            early.pop()  # the recording ends there, off the grid
        for end, is_early in [(e, True) for e in early] + [
            (e, False) for e in counting
        ]:
            if end not in rows:
                raise ValueError(
                    f"step={stream.step} must be a multiple of the step at which the "
                    "recording was scored"
                )
            start = max(0, end - config.segment_score_frames)
            scores = self.scores[rows[end]].astype(np.float32)
            yield SegmentFeatures(nothing, start, end, is_early), scores

    def _on_grid(self, end: int, step: int) -> bool:
        """Tell whether a stream scores here before it knows that the recording ends."""
        n_frames = 1 + self.n_samples // self.frontend.hop_length
        return end % step == 0 and end <= n_frames // self.frontend.subsampling


@cache
def _context(config: FrontendConfig) -> int:
    """Return how many samples past a score frame its last frame reaches."""
    return Frontend(config).latency - config.hop_length


def segment_ends(
    n_samples: int, config: FrontendConfig, *, step: int, partial: bool
) -> list[int]:
    """List where the segments of a recording end, as `streamsed.pipeline.segmenter` lays them.

    Parameters
    ----------
    n_samples : int
        Length of the recording.
    config : FrontendConfig
        The grid.
    step : int
        Score frames from one to the next.
    partial : bool
        Whether there are some before the first whole one.

    Returns
    -------
    list of int
        Score frames, exclusive; the last is that of the recording.
    """
    n_frames = 1 + n_samples // config.hop_length
    n_complete, whole = n_frames // config.subsampling, config.segment_score_frames
    first = list(range(step, whole, step)) if partial else []
    ends = [
        end
        for end in [*first, *range(whole, n_complete + 1, step)]
        if end <= n_complete
    ]
    last = math.ceil(n_frames / config.subsampling)
    return ends if ends and ends[-1] == last else [*ends, last]


def score_recording(
    samples: Float32,
    score: BatchScores,
    labels: tuple[str, ...],
    config: FrontendConfig,
    *,
    step: float = STEP,
    scaling: Scaling | None = None,
    dtype: type[np.floating] = np.float32,
) -> RecordingScores:
    """Score all segments of a recording that a stream might ask for.

    Parameters
    ----------
    samples : float32 (n_samples,)
        Mono, at `config.sample_rate`.
    score : callable
        From segments (n, T, n_mels), at most 16, to scores (n, H, K); see `model_scores`.
    labels : tuple of str
        The columns of its scores.
    config : FrontendConfig
        The front-end.
    step : float
        Seconds between segments.
    scaling : Scaling, optional
        From decibels to what it sees; that of `config` if left out.
    dtype : type
        In which the scores are kept; float16 halves their 14 MB for ten minutes, and then
        they are no longer the network's to the last bit.
    """
    scale = scaling or (lambda segment: scale_segment(segment, config))
    frontend = Frontend(config)
    frames = np.concatenate([frontend.push(samples), frontend.flush()])
    in_frames, _ = StreamConfig(step=step, latency=max(step, 1.0)).in_score_frames(
        config
    )
    ends = segment_ends(samples.size, config, step=in_frames, partial=True)
    kept = []
    with task("scoring", len(ends), "segments") as scoring:
        for first in range(0, len(ends), BATCH):
            batch = [_segment(frames, e, config) for e in ends[first : first + BATCH]]
            scores = score(np.stack([scale(segment) for segment in batch]))
            kept.append(np.asarray(scores, dtype))
            scoring.advance(len(batch))
    return RecordingScores(
        np.concatenate(kept), np.array(ends), samples.size, labels, config
    )


def _segment(frames: Float32, end: int, config: FrontendConfig) -> Float32:
    """Cut the segment that ends at a score frame, padded with digital silence."""
    start = max(0, end - config.segment_score_frames) * config.subsampling
    segment = frames[start : end * config.subsampling]
    if len(segment) == config.segment_frames:
        return segment
    silence = np.float32(10 * math.log10(config.amin))
    padding = config.segment_frames - len(segment)
    return np.pad(segment, ((0, padding), (0, 0)), constant_values=silence)


def model_scores(model: Model) -> BatchScores:
    """Give a model file as a function of segments, several of which it scores at once."""
    pool = ThreadPoolExecutor(model.n_parallel)
    return lambda batch: np.stack([one.scores for one in pool.map(model.score, batch)])
