"""Bytes of sound from anywhere: what a source that is watched over reads from."""

from __future__ import annotations

import math
import os
import select
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from streamsed.audio.decode import file_chunks
from streamsed.audio.source import Piece

READ_SIZE = 1 << 16
"""Bytes that are read at once, as many as a pipe usually holds."""

IDLE_AFTER = 2.0
"""Seconds without a byte after which the writer of a pipe counts as away."""


class Feed(Protocol):
    """What gives bytes until it ends."""

    idle_after: float
    """Seconds without a byte after which sound counts as missing."""
    deadline: float
    """Seconds without a byte after which it is stopped."""
    start_limit: float
    """Seconds that it may take until the first one."""
    burst: float
    """Seconds of sound that it may give ahead of the clock."""
    rest: float
    """Seconds to let more come, after something came."""
    again: bool
    """Whether it is opened again after its end."""

    def read(self, timeout: float) -> bytes | None:
        """Return what came, b"" if nothing did in `timeout` seconds, None at the end."""

    def stop(self, *, grace: float) -> str:
        """End it, within about `grace` seconds; return its last words."""


class Decoder(Protocol):
    """What makes pieces of the bytes."""

    trouble: str
    """Why no sound comes though bytes do, or ""."""
    notices: list[str]
    """Messages for the user; reading removes them."""

    def push(self, data: bytes) -> list[Piece]:
        """Take the next bytes, cut anywhere.

        Raises
        ------
        ValueError
            They are no sound.
        """


class PipeFeed:
    """Read a fifo, or standard input, into which another program writes when it likes.

    A fifo is opened for writing too, so that it does not end with each of its writers.

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
        """Return what the pipe holds."""
        if not select.select([self._descriptor], [], [], timeout)[0]:
            return b""
        return os.read(self._descriptor, READ_SIZE) or None

    def stop(self, *, grace: float) -> str:  # noqa: ARG002 - closing takes no time
        """Close a fifo; leave standard input as it is."""
        if self._is_own:
            os.close(self._descriptor)
        return ""


class RecordingFeed:
    """Read a recording as raw samples, perhaps again and again.

    Parameters
    ----------
    path : Path
        See `streamsed.audio.decode.file_chunks`.
    sample_rate : int
        Hz of what comes: float32, mono.
    loop : bool
        Whether it begins again at its end.

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
        """Let go of the file."""
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
    """Whether a path leads to a pipe or another thing that is read as it is written.

    Raises
    ------
    OSError
        There is nothing at that path.
    """
    mode = path.stat().st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)
