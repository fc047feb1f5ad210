"""Inputs that a supervised source reads bytes of sound from."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from streamsed.audio.decode import file_chunks
from streamsed.audio.source import Piece
from streamsed.live.readable import readable

READ_SIZE = 1 << 16
"""Bytes per read: the usual capacity of a pipe."""

IDLE_AFTER = 2.0
"""Seconds without data after which the writer of a pipe counts as away."""


class Feed(Protocol):
    """An input that delivers bytes until it ends."""

    idle_after: float
    """Seconds without data after which sound counts as missing."""
    deadline: float
    """Seconds without data after which it is stopped."""
    start_limit: float
    """Seconds that it may take until the first data."""
    burst: float
    """Seconds of sound that it may deliver ahead of real time."""
    rest: float
    """Seconds to wait after a read, so that reads are not too small."""
    again: bool
    """Whether it is reopened after its end."""

    def read(self, timeout: float) -> bytes | None:
        """Return received bytes, b"" after `timeout` seconds without any, None at the end."""

    def stop(self, *, grace: float) -> str:
        """End it within about `grace` seconds; return its error output."""


class Decoder(Protocol):
    """Decodes the bytes to pieces."""

    trouble: str
    """Reason if bytes but no sound are received, or ""."""
    notices: list[str]
    """Messages for the user; reading removes them."""

    def push(self, data: bytes) -> list[Piece]:
        """Decode the next bytes, of any length.

        Raises
        ------
        ValueError
            They are not sound.
        """


class PipeFeed:
    """Read a fifo or standard input that another program writes to.

    A fifo is opened for writing too, so that it does not end when its writer closes it.

    Parameters
    ----------
    path : Path or None
        A fifo; None is standard input.

    Raises
    ------
    OSError
        It cannot be opened.
    """

    idle_after = IDLE_AFTER
    deadline = start_limit = math.inf
    burst = 0.5
    rest = 0.05
    again = False

    def __init__(self, path: Path | None) -> None:
        self._is_own = path is not None
        self._descriptor = 0
        if path is not None:
            self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def read(self, timeout: float) -> bytes | None:
        """Return the bytes in the pipe."""
        if not readable([self._descriptor], timeout):
            return b""
        return os.read(self._descriptor, READ_SIZE) or None

    def stop(self, *, grace: float) -> str:  # noqa: ARG002 - closing takes no time
        """Close a fifo; leave standard input open."""
        if self._is_own:
            os.close(self._descriptor)
        return ""


class RecordingFeed:
    """Read a recording as raw samples, once or in a loop.

    Parameters
    ----------
    path : Path
        See `streamsed.audio.decode.file_chunks`.
    sample_rate : int
        Hz of the output: float32, mono.
    loop : bool
        Whether it starts over at its end.

    Raises
    ------
    OSError, ValueError
        It cannot be read.
    """

    idle_after = deadline = start_limit = math.inf
    burst = rest = 0.0
    again = False

    def __init__(self, path: Path, *, sample_rate: int, loop: bool) -> None:
        self._path = path
        self._sample_rate = sample_rate
        self._loop = loop
        self._pieces = self._cut()
        self._next = next(self._pieces, None)

    def read(self, timeout: float) -> bytes | None:  # noqa: ARG002 - never waits
        """Return the next tenth of a second."""
        data, self._next = self._next, next(self._pieces, None)
        return data

    def stop(self, *, grace: float) -> str:  # noqa: ARG002 - closing takes no time
        """Close the file."""
        self._next = None
        return ""

    def _cut(self) -> Iterator[bytes]:
        length = max(1, self._sample_rate // 10)
        while True:
            n_samples = 0
            for chunk in file_chunks(self._path, sample_rate=self._sample_rate):
                n_samples += len(chunk)
                for start in range(0, len(chunk), length):
                    yield chunk[start : start + length].tobytes()
            if not self._loop or not n_samples:
                return


def is_fifo(path: Path) -> bool:
    """Whether a path is a fifo or another file that is read while it is written.

    Raises
    ------
    OSError
        The path does not exist.
    """
    mode = path.stat().st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)
