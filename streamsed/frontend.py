"""Samples to log-mel frames to normalised segments: what the model sees.

Three things live here, each the only one of its kind in the project (training uses them
too):

- `Frontend` turns samples into decibel mel frames on the recording's own grid: frame `i`
  is centred on sample `i * hop_length`, whatever the sizes of the chunks.
- `Segmenter` cuts the endless row of frames into the model's 10 s segments, one every
  `step`, and normalises each.
- `normalize` is the report's triple normalisation of one segment (eq. 1).

How the segments of a stream lie, for a step of S and a latency below one segment::

    frames    |---------------- 1024 ----------------|----S----|----S----|-- rest --|
    partial   [S]       (padded at the end to 1024 with digital silence)
    partial   [ 2S ]
    whole     [------------- segment 0 --------------]
    whole               [------------- segment 1 --------------]
    whole                         [------------- segment 2 --------------]
    last                                        [--------- ends with the recording --]

Partial segments are scored only if the latency asks for scores before the first whole
segment exists. All ends but the last lie on the score-frame grid, as do all starts.

References
----------
Kiyokawa et al., "Sound event detection with ResNet and self-mask module for DCASE 2019
task 4", section 2.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsed import _core
from streamsed.config import FrontendConfig

MAX_AMPLITUDE = 1e6
"""Samples beyond this cannot be audio (full scale is 1); squared, they would overflow."""


class Frontend:
    """Turn samples into log-mel frames, each computed once (section 2.1).

    Decibels are `10 * log10(max(power, amin))`, the Slaney mel spectrogram of librosa's
    defaults; the floor below the maximum belongs to the segment, see `normalize`.

    Parameters
    ----------
    config : FrontendConfig
        Sampling frequency, window, hop and mel bands.

    Examples
    --------
    >>> frontend = Frontend()
    >>> frames = frontend.push(np.zeros(44100, dtype=np.float32))
    >>> frames.shape, frontend.flush().shape
    ((100, 128), (3, 128))
    """

    def __init__(self, config: FrontendConfig | None = None) -> None:
        self.config = config or FrontendConfig()
        self._log_mel = _core.LogMel(
            sample_rate=self.config.sample_rate,
            n_fft=self.config.n_fft,
            win_length=self.config.win_length,
            hop_length=self.config.hop_length,
            n_mels=self.config.n_mels,
            fmin=self.config.fmin,
            fmax=self.config.fmax,
            amin=self.config.amin,
        )

    @property
    def latency(self) -> int:
        """Samples after a frame's centre that must arrive before the frame leaves."""
        return self._log_mel.latency

    @property
    def n_samples(self) -> int:
        """Samples pushed since the start or the last `reset`."""
        return self._log_mel.n_samples

    def push(self, chunk: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next samples and return the frames that they complete.

        Parameters
        ----------
        chunk : float32 (n_samples,)
            Mono samples, full scale 1; any length, 0 included.

        Returns
        -------
        float32 (n_frames, n_mels)
            Decibels; `n_frames` may be 0.

        Raises
        ------
        TypeError
            `chunk` is not float32.
        ValueError
            `chunk` is not one-dimensional, or holds a NaN, an infinity or a value that
            cannot be audio.
        RuntimeError
            The recording was flushed; `reset` starts another.
        """
        if chunk.size:
            peak = max(float(chunk.max()), -float(chunk.min()))
            if not peak <= MAX_AMPLITUDE:  # true for NaN as well
                raise ValueError(
                    f"samples up to {peak} must be finite and at most "
                    f"{MAX_AMPLITUDE:g} in size (full scale is 1)"
                )
        return self._log_mel.push(chunk)

    def flush(self) -> NDArray[np.float32]:
        """End the recording: zeros follow it; return the frames still owed.

        Returns
        -------
        float32 (n_frames, n_mels)
            Decibels; in all, `1 + n_samples // hop_length` frames came out.
        """
        return self._log_mel.flush()

    def reset(self) -> None:
        """Forget everything, as if newly made."""
        self._log_mel.reset()


def normalize(
    frames: NDArray[np.float32], *, top_db: float = FrontendConfig().top_db
) -> NDArray[np.float32]:
    """Scale a segment to [0, 1] by the report's triple normalisation (eq. 1).

    Nothing stays below the segment's maximum minus `top_db`; then the product of three
    min-max scalings: of each frame over the mel bands, of each band over time, and of the
    whole. What has no range scales to 0.

    Parameters
    ----------
    frames : float32 (n_frames, n_mels)
        Decibels.
    top_db : float
        dB.

    Returns
    -------
    float32 (n_frames, n_mels)
        In [0, 1].

    Examples
    --------
    >>> x = normalize(np.array([[-60, -20], [-60, -40]], dtype=np.float32))
    >>> x.tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    return _core.triple_norm(frames, top_db)


@dataclass(frozen=True, slots=True)
class Segment:
    """The model's view at one moment, placed on the recording's score-frame grid.

    Parameters
    ----------
    features : float32 (segment_frames, n_mels)
        Normalised, in [0, 1].
    start, end : int
        Score frames `start` to `end` (exclusive) of the recording are in it; where these
        are fewer than a segment holds, the rest at the end is padding.
    """

    features: NDArray[np.float32]
    start: int
    end: int


class Segmenter:
    """Cut log-mel frames into normalised segments, one every `step` (section 2.1).

    Parameters
    ----------
    config : FrontendConfig
        The sizes of segment and score frame, and the floors.
    step : int
        Score frames from one segment to the next.
    partial : bool
        Whether to give segments before the first whole one is complete.
    """

    def __init__(self, config: FrontendConfig, *, step: int, partial: bool) -> None:
        if not 1 <= step <= config.segment_score_frames:
            raise ValueError(
                f"step={step} must be from 1 to {config.segment_score_frames} score frames"
            )
        self._config = config
        self._step = step
        self._partial = partial
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

    def reset(self) -> None:
        """Forget everything, as if newly made."""
        self._flushed = False
        self._filled = 0  # rows of the buffer in use; the last is frame n_frames - 1
        self._n_frames = 0
        self._last_end = 0  # score frames; where the last segment ended
        self.n_skipped = 0  # segments left out in a hurry
        self._next_end = self._first_end()

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
                    yield self._segment(end)

    def flush(self) -> Iterator[Segment]:
        """End the recording: give the segment that ends with it, if not yet given."""
        self._flushed = True
        end = -(-self._n_frames // self._config.subsampling)
        if end > self._last_end:
            yield self._segment(end)

    def _first_end(self) -> int:
        whole = self._config.segment_score_frames
        return min(self._step, whole) if self._partial else whole

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

    def _segment(self, end: int) -> Segment:
        """Normalise the last segment's worth of frames, padded after the newest."""
        config = self._config
        start = max(0, end - config.segment_score_frames)
        n_held = self._n_frames - start * config.subsampling
        held = self._buffer[self._filled - n_held : self._filled]
        if n_held < config.segment_frames:
            frames = np.full(
                (config.segment_frames, config.n_mels), self._silence, dtype=np.float32
            )
            frames[:n_held] = held
        else:
            frames = held
        self._last_end = end
        return Segment(normalize(frames, top_db=config.top_db), start, end)
