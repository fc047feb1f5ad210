"""Convert a capture's channels and sampling rate to the detector's, block by block."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from streamsed.exclusive import InUse, exclusive


class ChannelResampler:
    """Mix down and resample a stream; the result does not depend on the block sizes.

    Parameters
    ----------
    capture_rate, sample_rate : int
        Hz, in and out.
    channel : int or None
        Channel to use, counted from 1; None is the mean of all.
    """

    def __init__(
        self, capture_rate: int, sample_rate: int, *, channel: int | None = None
    ) -> None:
        self._in_use = InUse(
            "ChannelResampler"
        )  # soxr crashes if two threads use one stream
        self._channel = channel
        self._resampler = None
        if capture_rate != sample_rate:
            self._resampler = soxr.ResampleStream(
                capture_rate, sample_rate, num_channels=1, dtype="float32"
            )

    @exclusive
    def push(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take float32 (n_samples, n_channels), return float32 (n_resampled,)."""
        if self._channel is None:
            mono = block.mean(axis=1, dtype=np.float32)
        else:
            mono = np.ascontiguousarray(block[:, self._channel - 1])
        return self._resample(mono, last=False)

    @exclusive
    def flush(self) -> NDArray[np.float32]:
        """Return the samples that remain in the resampler, float32 (n_resampled,)."""
        return self._resample(np.empty(0, np.float32), last=True)

    def _resample(
        self, mono: NDArray[np.float32], *, last: bool
    ) -> NDArray[np.float32]:
        if self._resampler is None:
            return mono
        resampled: NDArray[np.float32] = self._resampler.resample_chunk(mono, last=last)
        return resampled
