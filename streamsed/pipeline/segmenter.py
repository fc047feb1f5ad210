"""An endless row of log-mel frames to the network's 10 s segments, one every `step`.

How the segments of a stream lie, for a step of S and a latency below one segment::

    frames    |---------------- 1024 ----------------|----S----|----S----|-- rest --|
    partial   [S]       (padded at the end to 1024 with digital silence)
    partial   [ 2S ]
    whole     [------------- segment 0 --------------]
    whole               [------------- segment 1 --------------]
    whole                         [------------- segment 2 --------------]
    last                                        [--------- ends with the recording --]

Partial segments count like the others where scores settle before the first whole segment
exists. Otherwise they are *early*: good for reporting what sounds in the first ten
seconds, and replaced by the first whole segment. All ends but the last lie on the
score-frame grid, as do all starts.
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
    """What the model sees at one moment, placed on the recording's score-frame grid.

    Parameters
    ----------
    frames : float32 (segment_frames, n_mels)
        Decibels.
    start, end : int
        Score frames `start` to `end` (exclusive) of the recording are in it; where these
        are fewer than a segment holds, the rest at the end is padding.
    early : bool
        Whether it only serves to report early, and counts for no final score.
    """

    frames: NDArray[np.float32]
    start: int
    end: int
    early: bool = False


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
        Whether to give such segments even if they do not count.
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
        # The last segment_frames frames, and room for as many more before they move back.
        self._buffer = np.empty(
            (2 * config.segment_frames, config.n_mels), dtype=np.float32
        )
        self.reset()

    @property
    def latency(self) -> int:
        """Frames that a frame may wait for a segment once the first whole one is out."""
        return self._step * self._config.subsampling

    @property
    def n_score_frames(self) -> int:
        """Whole score frames received so far."""
        return self._n_frames // self._config.subsampling

    @exclusive
    def reset(self) -> None:
        """Forget everything, as if newly made."""
        self._flushed = False
        self._filled = 0  # rows of the buffer in use; the last is frame n_frames - 1
        self._n_frames = 0
        self._last_end = 0  # score frames; where the last segment that counts ended
        self.n_skipped = 0  # segments left out in a hurry
        self._next_end = self._first_end()

    @exclusive
    def push(
        self, frames: NDArray[np.float32], *, hurry: bool = False
    ) -> Iterator[Segment]:
        """Take the next frames and give the segments that they complete, one by one.

        The segments are made as they are asked for: exhaust the iterator before the next
        call.

        Parameters
        ----------
        frames : float32 (n_frames, n_mels)
            Decibels.
        hurry : bool
            Skip a segment if `frames` complete the next one too, and that one leaves no
            score frame unseen.

        Yields
        ------
        Segment
            In the order of their ends.

        Raises
        ------
        RuntimeError
            The recording was flushed; `reset` starts another.
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
        """End the recording: give the segment that ends with it, if not yet given."""
        self._flushed = True
        end = -(-self._n_frames // self._config.subsampling)
        if end > self._last_end:
            yield self._segment(end)

    def _first_end(self) -> int:
        whole = self._config.segment_score_frames
        return min(self._step, whole) if self._partial or self._early else whole

    def _following(self, end: int) -> int:
        """Return the end after `end`: the next step, but never past the first whole."""
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
        """Copy the last segment's worth of frames, padded after the newest."""
        config = self._config
        start = max(0, end - config.segment_score_frames)
        n_held = self._n_frames - start * config.subsampling
        held = self._buffer[self._filled - n_held : self._filled]
        frames = np.empty((config.segment_frames, config.n_mels), dtype=np.float32)
        frames[:n_held], frames[n_held:] = held, self._silence
        if not early:
            self._last_end = end
        return Segment(frames, start, end, early)
