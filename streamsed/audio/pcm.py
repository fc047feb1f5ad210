"""Raw PCM from a pipe, such as another program's output."""

from __future__ import annotations

import os
import select
from typing import Any, BinaryIO

import numpy as np

from streamsed.audio.decode import MAX_RATE, MIN_RATE
from streamsed.audio.resample import ChannelResampler
from streamsed.audio.source import Piece
from streamsed.exclusive import InUse, exclusive
from streamsed.samples import MAX_AMPLITUDE, peak_of

PCM_FORMATS: dict[str, tuple[np.dtype[Any], float]] = {
    "s16": (np.dtype("<i2"), 1 / 32768),
    "f32": (np.dtype("<f4"), 1.0),
}
"""Raw sample formats by name: their dtype and the factor to full scale 1."""


MAX_CHANNELS = 1024
"""As many as libsndfile reads."""


class PcmSource:
    """Read raw little-endian PCM from a pipe, such as another program's output.

    Parameters
    ----------
    stream : binary file
        A pipe, a terminal's redirection or a file.
    capture_rate, n_channels : int
        Hz and interleaved channels of what comes.
    format_name : str
        One of `PCM_FORMATS`.
    sample_rate : int
        Hz of what goes on.
    channel : int or None
        As for `ChannelResampler`.
    """

    lossless = True

    def __init__(
        self,
        stream: BinaryIO,
        *,
        capture_rate: int,
        n_channels: int,
        format_name: str,
        sample_rate: int,
        channel: int | None = None,
    ) -> None:
        if format_name not in PCM_FORMATS:
            raise ValueError(
                f"--encoding={format_name} must be one of {', '.join(PCM_FORMATS)}"
            )
        if not MIN_RATE <= capture_rate <= MAX_RATE:
            raise ValueError(
                f"--rate={capture_rate} must be from {MIN_RATE} to {MAX_RATE} Hz"
            )
        if not max(1, channel or 0) <= n_channels <= MAX_CHANNELS or (channel or 1) < 1:
            raise ValueError(
                f"--channels={n_channels} must be from 1 to {MAX_CHANNELS}, and at least "
                "--channel"
            )
        self._in_use = InUse("PcmSource")
        self.name = "standard input"
        self.capture_rate = capture_rate
        self._descriptor = stream.fileno()
        self._dtype, self._scale = PCM_FORMATS[format_name]
        self._n_channels = n_channels
        self._resampler = ChannelResampler(capture_rate, sample_rate, channel=channel)
        self._rest = b""
        self._ended = False

    @exclusive
    def read(self) -> list[Piece] | None:
        """Return what the pipe holds, without waiting for more."""
        if self._ended:
            return None
        if not select.select([self._descriptor], [], [], 0)[0]:
            return []
        data = os.read(self._descriptor, 1 << 16)
        if not data:
            self._ended = True
            return [Piece(self._resampler.flush())]
        data = self._rest + data
        width = self._dtype.itemsize * self._n_channels
        whole = len(data) // width * width
        self._rest = data[whole:]
        values = np.frombuffer(data[:whole], self._dtype).astype(np.float32)
        block = (values * np.float32(self._scale)).reshape(-1, self._n_channels)
        peak = peak_of(block)
        if not peak <= MAX_AMPLITUDE:  # true for NaN as well
            raise ValueError(
                f"standard input must be raw PCM of finite samples, and holds {peak:g}; "
                "check --encoding, --rate and --channels against what is sent"
            )
        return [Piece(self._resampler.push(block), peak=peak)]

    def notices(self) -> list[str]:
        """Return nothing: a pipe says nothing of itself."""
        return []

    def close(self) -> None:
        """Leave standard input as it is."""
