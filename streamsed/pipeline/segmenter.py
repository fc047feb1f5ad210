"""Cut a stream of log-mel frames into the network's 10 s segments, one every `step`.

The segments of a stream, for a step of S and a latency below one segment::

    frames    |---------------- 1024 ----------------|----S----|----S----|-- rest --|
    partial   [S]       (padded at the end to 1024 with digital silence)
    partial   [ 2S ]
    whole     [------------- segment 0 --------------]
    whole               [------------- segment 1 --------------]
    whole                         [------------- segment 2 --------------]
    last                                        [--------- ends with the recording --]

Partial segments count like the others if scores are final before the first whole segment
exists. Otherwise they are *early*: used only to report events in the first ten seconds,
and replaced by the first whole segment. All starts, and all ends but the last, are on the
score-frame grid.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsed.config import FrontendConfig
from streamsed.exclusive import InUse, exclusive


@dataclass(frozen=True, slots=True)
class Segment:
    """One input of the model, and its position on the recording's score-frame grid.

    Parameters
    ----------
    frames : float32 (segment_frames, n_mels)
        Decibels.
    start, end : int
        Its score frames of the recording are `start` to `end` (exclusive); if these are
        fewer than in a whole segment, the rest is padding.
    early : bool
        Whether it is only used to report events early, not for final scores.
    """

    frames: NDArray[np.float32]
    start: int
    end: int
    early: bool


class Segmenter:
    """Cut log-mel frames into segments, one every `step` (section 2.1).

    Parameters
    ----------
    config : FrontendConfig
        The sizes of segment and score frame, and the level of silence.
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
        if not 1 <= step <= config.segment_score_frames:
            raise ValueError(
                f"step={step} must be from 1 to {config.segment_score_frames} score frames"
            )
        self._in_use = InUse("Segmenter")
        self._config = config
        self._step = step
        self._partial = partial
        self._early = early and not partial
        self._silence = np.float32(10 * math.log10(config.amin))
        # The last segment_frames frames, and room for as many more before they are moved.
        self._buffer = np.empty(
            (2 * config.segment_frames, config.n_mels), dtype=np.float32
        )
        self.reset()

    @property
    def latency(self) -> int:
        """Frames from a frame to the end of its first segment, after the first whole one."""
        return self._step * self._config.subsampling

    @property
    def n_score_frames(self) -> int:
        """Whole score frames received so far."""
        return self._n_frames // self._config.subsampling

    @exclusive
    def reset(self) -> None:
        """Return to the initial state."""
        self._flushed = False
        self._filled = 0  # rows of the buffer in use; the last is frame n_frames - 1
        self._n_frames = 0
        self._last_end = 0  # score frames; end of the last segment that counts
        self.n_skipped = 0  # segments skipped because of `hurry`
        self._next_end = self._first_end()

    @exclusive
    def push(
        self, frames: NDArray[np.float32], *, hurry: bool = False
    ) -> Iterator[Segment]:
        """Take the next frames and yield the segments that they complete.

        Segments are created lazily: exhaust the iterator before the next call.

        Parameters
        ----------
        frames : float32 (n_frames, n_mels)
            Decibels.
        hurry : bool
            Skip a segment if `frames` also complete the next one, and no score frame is
            left without a segment.

        Yields
        ------
        Segment
            In the order of their ends.

        Raises
        ------
        RuntimeError
            After `flush`, until `reset` is called.
        """
        if self._flushed:
            raise RuntimeError("push after flush: call reset to start a new recording")
        subsampling = self._config.subsampling
        whole = self._config.segment_score_frames
        while len(frames):
            due = self._next_end * subsampling - self._n_frames
            self._append(frames[:due])
            frames = frames[due:]
            if self._n_frames == self._next_end * subsampling:
                end, self._next_end = self._next_end, self._following(self._next_end)
                last_due = len(frames) < (self._next_end - end) * subsampling
                first_seen = self._next_end - self._config.segment_score_frames
                if hurry and not last_due and first_seen <= self._last_end:
                    self.n_skipped += 1
                else:
                    yield self._segment(end, early=self._early and end < whole)

    @exclusive
    def flush(self) -> Iterator[Segment]:
        """End the recording; yield the segment that ends with it, if still missing."""
        self._flushed = True
        end = -(-self._n_frames // self._config.subsampling)
        if end > self._last_end:
            yield self._segment(end)

    def _first_end(self) -> int:
        whole = self._config.segment_score_frames
        return min(self._step, whole) if self._partial or self._early else whole

    def _following(self, end: int) -> int:
        """Return the end after `end`: one step later, but not past the first whole one."""
        whole = self._config.segment_score_frames
        return min(end + self._step, whole) if end < whole else end + self._step

    def _append(self, frames: NDArray[np.float32]) -> None:
        keep = self._config.segment_frames
        if self._filled + len(frames) > len(self._buffer):
            self._buffer[:keep] = self._buffer[self._filled - keep : self._filled]
            self._filled = keep
        self._buffer[self._filled : self._filled + len(frames)] = frames
        self._filled += len(frames)
        self._n_frames += len(frames)

    def _segment(self, end: int, *, early: bool = False) -> Segment:
        """Copy the last segment of frames, padded at the end."""
        config = self._config
        start = max(0, end - config.segment_score_frames)
        n_held = self._n_frames - start * config.subsampling
        held = self._buffer[self._filled - n_held : self._filled]
        frames = np.empty((config.segment_frames, config.n_mels), dtype=np.float32)
        frames[:n_held], frames[n_held:] = held, self._silence
        if not early:
            self._last_end = end
        return Segment(frames, start, end, early)
