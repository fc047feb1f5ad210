"""Raw PCM from a pipe, such as another program's output."""

from __future__ import annotations

import array
import fcntl
import os
import select
import termios
import time
from contextlib import suppress
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
"""Raw sample formats: dtype and the factor that scales to full scale 1."""

READ_SIZE = 1 << 16
"""Bytes to read at once, the usual capacity of a pipe."""
SHORTEST_WAIT = 0.005
"""Seconds between checks of a pipe that is written to in small pieces."""

MAX_CHANNELS = 1024
"""The maximum of libsndfile."""

HEAD = 4
"""Bytes by which an audio file is recognized."""

CONTAINERS = {
    b".snd": "AU",
    b"FORM": "AIFF",
    b"ID3\x02": "MP3",
    b"ID3\x03": "MP3",
    b"ID3\x04": "MP3",
    b"OggS": "Ogg",
    b"RF64": "WAV",
    b"RIFF": "WAV",
    b"RIFX": "WAV",
    b"caff": "CAF",
    b"fLaC": "FLAC",
    b"riff": "Wave64",
}
"""Formats by their first bytes; samples begin with given ones once in 2**32 streams."""


class PcmDecoder:
    r"""Turn raw little-endian PCM, as it comes, into pieces at the rate that goes on.

    Parameters
    ----------
    capture_rate, n_channels : int
        Hz and interleaved channels of what comes.
    format_name : str
        One of `PCM_FORMATS`.
    sample_rate : int
        Hz of what goes on.
    channel : int or None
        As for `ChannelResampler`.
    name : str
        Where it comes from, for the message of an error.

    Examples
    --------
    >>> decoder = PcmDecoder(8000, 1, "s16", sample_rate=8000)
    >>> decoder.push(b"\x00\x40\x00").samples  # one sample and half of another
    array([0.5], dtype=float32)
    """

    def __init__(
        self,
        capture_rate: int,
        n_channels: int,
        format_name: str,
        *,
        sample_rate: int,
        channel: int | None = None,
        name: str = "standard input",
    ) -> None:
        self._dtype, self._scale = PCM_FORMATS[format_name]
        self._n_channels = n_channels
        self._resampler = ChannelResampler(capture_rate, sample_rate, channel=channel)
        self._as_expected = f"-f {format_name}le -ac {n_channels} -ar {capture_rate}"
        self._name = name
        self._rest = b""
        self._head = b""  # the first bytes

    @property
    def width(self) -> int:
        """Bytes of a sample of all channels."""
        return self._dtype.itemsize * self._n_channels

    @property
    def n_held(self) -> int:
        """Bytes of a sample that is not whole yet."""
        return len(self._rest)

    def push(self, data: bytes) -> Piece:
        """Take the next bytes, cut anywhere.

        Raises
        ------
        ValueError
            They are no finite samples, or begin like an audio file.
        """
        self._check_head(data)
        data = self._rest + data
        whole = len(data) // self.width * self.width
        self._rest = data[whole:]
        values = np.frombuffer(data[:whole], self._dtype).astype(np.float32)
        with np.errstate(invalid="ignore"):  # of a NaN, which is refused below
            block = (values * np.float32(self._scale)).reshape(-1, self._n_channels)
        peak = peak_of(block)
        if not peak <= MAX_AMPLITUDE:  # true for NaN as well
            raise ValueError(
                f"{self._name}: a sample is {peak:g}, so this is not the expected PCM; "
                "check --encoding, --rate and --channels against what is sent"
            )
        return Piece(self._resampler.push(block), peak=peak)

    def flush(self) -> Piece:
        """Return what the resampler still holds."""
        return Piece(self._resampler.flush())

    def _check_head(self, data: bytes) -> None:
        """Raise ValueError if this is an audio file, also for all that comes after its head."""
        if len(self._head) < HEAD:
            self._head += data[: HEAD - len(self._head)]
        if found := CONTAINERS.get(self._head):
            raise ValueError(
                f"{self._name}: this is {found}, not raw PCM; decode it first, e.g. "
                f"with `ffmpeg -i IN {self._as_expected} -`"
            )


class PcmSource:
    """Read raw little-endian PCM from a pipe, such as another program's output.

    Parameters
    ----------
    stream : binary file
        A pipe, a terminal's redirection or a file.
    capture_rate, n_channels : int
        Sampling rate in Hz and number of interleaved channels of the input.
    format_name : str
        One of `PCM_FORMATS`.
    sample_rate : int
        Hz of the samples that `read` returns.
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
                f"--encoding must be {' or '.join(PCM_FORMATS)}, not {format_name!r}"
            )
        if not MIN_RATE <= capture_rate <= MAX_RATE:
            raise ValueError(
                f"--rate must be from {MIN_RATE} to {MAX_RATE} (in Hz), not {capture_rate}"
            )
        if not max(1, channel or 0) <= n_channels <= MAX_CHANNELS or (channel or 1) < 1:
            raise ValueError(
                f"--channels must be from 1 to {MAX_CHANNELS} and at least --channel, "
                f"not {n_channels}"
            )
        self._in_use = InUse("PcmSource")
        self.name = "standard input"
        self.capture_rate = capture_rate
        self._sample_rate = sample_rate
        self._descriptor = stream.fileno()
        self._decoder = PcmDecoder(
            capture_rate,
            n_channels,
            format_name,
            sample_rate=sample_rate,
            channel=channel,
        )
        self._ended = False

    @exclusive
    def read(self) -> list[Piece] | None:
        """Return the samples in the pipe, without waiting for more."""
        if self._ended:
            return None
        if not select.select([self._descriptor], [], [], 0)[0]:
            return []
        data = os.read(self._descriptor, READ_SIZE)
        if not data:
            self._ended = True
            return [self._decoder.flush()]
        return [self._decoder.push(data)]

    @exclusive
    def wait(self, n_samples: int, timeout: float) -> None:
        """Wait for data; if there is little, for as long as the missing samples take.

        Otherwise a program that writes every few milliseconds would wake us as often.
        """
        end = time.monotonic() + timeout
        second = self._decoder.width * self.capture_rate
        wanted = min(n_samples * second / self._sample_rate, READ_SIZE / 2)
        before = 0
        while (left := end - time.monotonic()) > 0:
            if not select.select([self._descriptor], [], [], left)[0]:
                return
            n_bytes = _waiting(self._descriptor)
            missing = (wanted - self._decoder.n_held - n_bytes) / second
            if missing <= 0 or n_bytes == before:  # also a pipe that is full, or ended
                return
            before = n_bytes
            time.sleep(min(max(missing, SHORTEST_WAIT), left))

    def notices(self) -> list[str]:
        """Return nothing: a pipe has no messages."""
        return []

    def close(self) -> None:
        """Do nothing: standard input stays open."""


def _waiting(descriptor: int) -> int:
    """Return how many bytes can be read now; 0 of what cannot say, such as /dev/null."""
    n_bytes = array.array("i", [0])
    with suppress(OSError):
        fcntl.ioctl(descriptor, termios.FIONREAD, n_bytes)
    return n_bytes[0]
