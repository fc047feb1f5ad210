"""The first half of the detector: samples in, segments to be scored out.

    samples > Frontend > Segmenter > scale_segment > frames, segments, progress

The output is a sequence of three kinds of items, which the second half takes in this order
(its scores go to `streamsed.pipeline.post_processor`): new frames, for observers; segments,
to be scored; and the progress, whenever no segment before it is missing. The halves share
nothing else, so the first may run ahead in another thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamsed.config import FrontendConfig
from streamsed.exclusive import InUse, exclusive
from streamsed.pipeline.frontend import Frontend, scale_segment
from streamsed.pipeline.segmenter import Segment, Segmenter

Frames = NDArray[np.float32]


class Progress(NamedTuple):
    """How much of the recording was received.

    Parameters
    ----------
    n_samples : int
        Samples.
    n_score_frames : int
        Whole score frames.
    ended : bool
        Whether this is the end of the recording.
    """

    n_samples: int
    n_score_frames: int
    ended: bool = False


class SegmentFeatures(NamedTuple):
    """The network's input for one segment.

    Parameters
    ----------
    features : float32 (segment_frames, n_mels)
        Normalised, in [0, 1].
    start, end : int
        Score frames of the recording; see `Segment`.
    early : bool
        Whether it does not count for final scores; see `Segment`.
    """

    features: Frames
    start: int
    end: int
    early: bool = False


Extracted = Frames | SegmentFeatures | Progress


class SegmentExtractor:
    """Turn samples into segments to be scored.

    Parameters
    ----------
    config : FrontendConfig
        Frames and segments.
    step : int
        Score frames from one segment to the next.
    partial : bool
        Whether segments before the first whole one is complete count for final scores.
    early : bool
        Whether to yield such segments even if they do not count.
    """

    def __init__(
        self, config: FrontendConfig, *, step: int, partial: bool, early: bool = False
    ) -> None:
        self._in_use = InUse("SegmentExtractor")
        self._frontend = Frontend(config)
        self._segmenter = Segmenter(config, step=step, partial=partial, early=early)

    @property
    def latency(self) -> int:
        """Samples after a frame's centre that must arrive before the frame is returned."""
        return self._frontend.latency

    @property
    def n_due(self) -> int:
        """Samples until the next score frame is complete, at least 1."""
        config = self._frontend.config
        last = (self._segmenter.n_score_frames + 1) * config.subsampling - 1
        complete = last * config.hop_length + self._frontend.latency
        return max(1, complete - self._frontend.n_samples)

    @property
    def n_skipped(self) -> int:
        """Segments skipped because of `hurry` since the start of the recording."""
        return self._segmenter.n_skipped

    @exclusive
    def reset(self) -> None:
        """Return to the initial state."""
        self._frontend.reset()
        self._segmenter.reset()

    @exclusive
    def push(self, chunk: Frames, *, hurry: bool = False) -> Iterator[Extracted]:
        """Take the next samples and yield what they complete, lazily.

        Parameters
        ----------
        chunk : float32 (n_samples,)
            Any length.
        hurry : bool
            See `Segmenter.push`.

        Yields
        ------
        frames, SegmentFeatures or Progress
            Exhaust the iterator before the next call.

        Raises
        ------
        TypeError, ValueError, RuntimeError
            As `Frontend.push`.
        """
        config = self._frontend.config
        longest = config.segment_frames * config.hop_length
        for start in range(0, max(1, len(chunk)), longest):  # bounds the memory
            frames = self._frontend.push(chunk[start : start + longest])
            yield from self._cut(frames, hurry=hurry)

    @exclusive
    def flush(self) -> Iterator[Extracted]:
        """End the recording and yield the rest."""
        yield from self._cut(self._frontend.flush())
        yield from map(self._normalize, self._segmenter.flush())
        yield self._progress()._replace(ended=True)

    def run(self, chunks: Iterable[Frames]) -> Iterator[Extracted]:
        """Process a whole recording, from its first chunk to its end."""
        self.reset()
        for chunk in chunks:
            yield from self.push(chunk)
        yield from self.flush()

    def _cut(self, frames: Frames, *, hurry: bool = False) -> Iterator[Extracted]:
        yield frames  # even if there are none: observers then know their shape
        if len(frames):
            yield from map(self._normalize, self._segmenter.push(frames, hurry=hurry))
        yield self._progress()

    def _normalize(self, segment: Segment) -> SegmentFeatures:
        features = scale_segment(segment.frames, self._frontend.config)
        return SegmentFeatures(features, segment.start, segment.end, segment.early)

    def _progress(self) -> Progress:
        return Progress(self._frontend.n_samples, self._segmenter.n_score_frames)
