"""Where live sound comes from, piece by piece.

A source is asked again and again with `read`, and answers at once: a list of what came
since, empty if nothing did, None after the end. Every sample of the source's time line is
in exactly one piece: heard, or missing. Missing samples are zeros of the exact number, so
that times stay true, and say why they are missing.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import soxr
from numpy.typing import NDArray

from streamsed.audio import file_chunks
from streamsed.samples import MAX_AMPLITUDE, peak_of

PCM_FORMATS: dict[str, tuple[np.dtype[Any], float]] = {
    "s16": (np.dtype("<i2"), 1 / 32768),
    "f32": (np.dtype("<f4"), 1.0),
}
"""Raw sample formats by name: their dtype and the factor to full scale 1."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some successive samples of a source.

    Parameters
    ----------
    samples : float32 (n_samples,)
        Mono, at the rate that was asked for; zeros where they are missing.
    missing : str
        Why they are missing, or "" for sound that was heard.
    peak : float
        Largest size of a sample as it was captured, before mixing and resampling.
    """

    samples: NDArray[np.float32]
    missing: str = ""
    peak: float = 0.0


class Source(Protocol):
    """What `Listener` listens to."""

    name: str
    """For people."""
    capture_rate: int
    """Hz, before resampling."""
    lossless: bool
    """Whether the source waits when nobody reads."""

    def read(self) -> list[Piece] | None:
        """Return what came since the last call, or None after the end."""

    def notices(self) -> list[str]:
        """Return sentences about the source that people should read, each once."""

    def close(self) -> None:
        """Let go of the device or file."""


class Mixer:
    """Mix down and resample a capture, statefully: any block sizes, the same samples.

    Parameters
    ----------
    capture_rate, sample_rate : int
        Hz, in and out.
    channel : int or None
        Which channel to take, counted from 1; None is the mean of all.
    """

    def __init__(
        self, capture_rate: int, sample_rate: int, *, channel: int | None = None
    ) -> None:
        self._channel = channel
        self._resampler = None
        if capture_rate != sample_rate:
            self._resampler = soxr.ResampleStream(
                capture_rate, sample_rate, num_channels=1, dtype="float32"
            )

    def push(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take float32 (n_samples, n_channels), return float32 (n_resampled,)."""
        if self._channel is None:
            mono = block.mean(axis=1, dtype=np.float32)
        else:
            mono = np.ascontiguousarray(block[:, self._channel - 1])
        return self._resample(mono, last=False)

    def flush(self) -> NDArray[np.float32]:
        """Return what the resampler still holds, float32 (n_resampled,)."""
        return self._resample(np.empty(0, np.float32), last=True)

    def _resample(
        self, mono: NDArray[np.float32], *, last: bool
    ) -> NDArray[np.float32]:
        if self._resampler is None:
            return mono
        resampled: NDArray[np.float32] = self._resampler.resample_chunk(mono, last=last)
        return resampled


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
        As for `Mixer`.
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
        if not 1 <= capture_rate <= 768_000:
            raise ValueError(f"--rate={capture_rate} must be from 1 to 768000 Hz")
        if n_channels < 1 or not 1 <= (channel or 1) <= n_channels:
            raise ValueError(
                f"--channels={n_channels} must be positive and at least --channel"
            )
        self.name = "standard input"
        self.capture_rate = capture_rate
        self._descriptor = stream.fileno()
        self._dtype, self._scale = PCM_FORMATS[format_name]
        self._n_channels = n_channels
        self._mixer = Mixer(capture_rate, sample_rate, channel=channel)
        self._rest = b""
        self._ended = False

    def read(self) -> list[Piece] | None:
        """Return what the pipe holds, without waiting for more."""
        if self._ended:
            return None
        if not select.select([self._descriptor], [], [], 0)[0]:
            return []
        data = os.read(self._descriptor, 1 << 16)
        if not data:
            self._ended = True
            return [Piece(self._mixer.flush())]
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
        return [Piece(self._mixer.push(block), peak=peak)]

    def notices(self) -> list[str]:
        """Return nothing: a pipe says nothing of itself."""
        return []

    def close(self) -> None:
        """Leave standard input as it is."""


class FileSource:
    """Play a recording at its own pace, as if it were heard now.

    Parameters
    ----------
    path : Path
        See `streamsed.audio.file_chunks`.
    sample_rate : int
        Hz.
    pace : float
        How many times faster than real; infinite plays as fast as it is read.
    """

    lossless = True

    def __init__(self, path: Path, *, sample_rate: int, pace: float = 1.0) -> None:
        self.name = path.name
        self.capture_rate = sample_rate
        self._rate = sample_rate * pace
        self._pieces = self._cut(file_chunks(path, sample_rate=sample_rate))
        self._next: NDArray[np.float32] | None = next(self._pieces, None)
        self._n_given = 0
        self._started: float | None = None

    def read(self) -> list[Piece] | None:
        """Return what would have been heard by now."""
        if self._started is None:
            self._started = time.monotonic()
        due = (time.monotonic() - self._started) * self._rate
        pieces = []
        while self._next is not None and self._n_given + len(self._next) <= due:
            pieces.append(Piece(self._next, peak=peak_of(self._next)))
            self._n_given += len(self._next)
            self._next = next(self._pieces, None)
            if self._rate == float("inf"):
                break  # one by one: there is no now to catch up with
        return pieces if pieces or self._next is not None else None

    def notices(self) -> list[str]:
        """Return nothing: a file says nothing of itself."""
        return []

    def close(self) -> None:
        """Let go of the file."""
        self._pieces.close()

    def _cut(
        self, chunks: Iterator[NDArray[np.float32]]
    ) -> Generator[NDArray[np.float32], None, None]:
        """Give pieces of 20 ms."""
        length = max(1, self.capture_rate // 50)
        for chunk in chunks:
            for start in range(0, len(chunk), length):
                yield chunk[start : start + length]
