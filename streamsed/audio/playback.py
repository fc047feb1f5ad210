"""Play a recording in real time, as a source of live sound."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamsed.audio.decode import file_chunks
from streamsed.audio.source import Piece
from streamsed.exclusive import InUse, exclusive
from streamsed.samples import peak_of


class FileSource:
    """Play a recording in real time, as if it were live.

    Parameters
    ----------
    path : Path
        See `streamsed.audio.decode.file_chunks`.
    sample_rate : int
        Hz.
    pace : float
        Factor of real time; infinity plays as fast as the file is read.
    """

    lossless = True

    def __init__(self, path: Path, *, sample_rate: int, pace: float = 1.0) -> None:
        self._in_use = InUse("FileSource")
        self.name = path.name
        self.capture_rate = sample_rate
        self._rate = sample_rate * pace
        self._piece_length = max(1, sample_rate // 50)
        self._pieces = self._cut(file_chunks(path, sample_rate=sample_rate))
        self._next: NDArray[np.float32] | None = next(self._pieces, None)
        self._n_given = 0
        self._started: float | None = None

    @exclusive
    def read(self) -> list[Piece] | None:
        """Return the samples that would have been recorded by now."""
        if self._started is None:
            self._started = time.monotonic()
        due = (time.monotonic() - self._started) * self._rate
        pieces = []
        while self._next is not None and self._n_given + len(self._next) <= due:
            pieces.append(Piece(self._next, peak=peak_of(self._next)))
            self._n_given += len(self._next)
            self._next = next(self._pieces, None)
            if self._rate == float("inf"):
                break  # one by one: there is no real time to keep up with
        return pieces if pieces or self._next is not None else None

    @exclusive
    def wait(self, n_samples: int, timeout: float) -> None:
        """Sleep until the piece with the last of `n_samples` is over."""
        if self._started is None or self._rate == float("inf"):
            return
        n_pieces = -(-n_samples // self._piece_length)
        due = (self._n_given + n_pieces * self._piece_length) / self._rate
        left = self._started + due - time.monotonic()
        if self._next is not None and left > 0:
            time.sleep(min(left, timeout))

    def notices(self) -> list[str]:
        """Return nothing: a file has no messages."""
        return []

    @exclusive
    def close(self) -> None:
        """Close the file."""
        self._pieces.close()

    def _cut(
        self, chunks: Iterator[NDArray[np.float32]]
    ) -> Generator[NDArray[np.float32], None, None]:
        """Split chunks into pieces of 20 ms."""
        length = self._piece_length
        for chunk in chunks:
            for start in range(0, len(chunk), length):
                yield chunk[start : start + length]
