"""The model's log-mel as a small picture that can be sent: 64 bands of 8 bits.

The maximum is taken over neighbouring frames and mel bands, so that neither clicks nor
narrow tones are lost, and decibels are rounded to integers::

    level = round((dB - FLOOR) / STEP), from 0 to 255

With the shipped model a column is 39 ms, and a second takes 1.6 kB. No intelligible speech
can be reconstructed from it, and it does not leave the machine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from streamsed.samples import Float32

FRAMES = 4
"""Log-mel frames in a column."""
BANDS = 64
"""Maximum number of bands of a picture."""
N_COLUMNS = 3072
"""Columns to keep: two minutes."""
FLOOR = -100.0
"""dB at level 0; the front-end's floor."""
STEP = 0.6
"""dB from one level to the next."""

Levels = NDArray[np.uint8]
"""A picture, uint8 (n_columns, n_bands), lowest band first."""


class MelPicture:
    """Keep the latest columns of a stream; written by one thread, read by any.

    Examples
    --------
    >>> picture = MelPicture()
    >>> picture.add_frames(np.zeros((10, 128), np.float32))
    >>> levels, end = picture.newest()
    >>> levels.shape, end, int(levels[0, 0])
    ((2, 64), 2, 167)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._columns: Levels = np.zeros((0, 0), np.uint8)
        self._rest: Float32 | None = None  # frames of the incomplete column
        self._n_columns = 0  # since the start

    def add_frames(self, frames: Float32) -> None:
        """Add log-mel frames in decibels, float32 (n_frames, n_mels)."""
        if self._rest is not None and len(self._rest):
            frames = np.concatenate([self._rest, frames])
        whole = len(frames) - len(frames) % FRAMES
        self._rest = frames[whole:].copy()
        if not whole:
            return
        columns = _levels(frames[:whole])
        with self._lock:
            if not self._columns.size:
                self._columns = np.zeros((N_COLUMNS, columns.shape[1]), np.uint8)
            places = np.arange(self._n_columns, self._n_columns + len(columns))
            self._columns[places[-N_COLUMNS:] % N_COLUMNS] = columns[-N_COLUMNS:]
            self._n_columns += len(columns)

    def newest(self, length: int = N_COLUMNS) -> tuple[Levels, int]:
        """Return the latest columns and their number since the start.

        Parameters
        ----------
        length : int
            Maximum number of columns to return.

        Returns
        -------
        uint8 (n_columns, n_bands), int
            Column `end - n_columns + i` of the stream is row `i`.
        """
        with self._lock:
            end = self._n_columns
            n = min(end, length, N_COLUMNS)
            return self._columns[np.arange(end - n, end) % N_COLUMNS], end


def _levels(frames: Float32) -> Levels:
    """Pool frames, (n_columns * FRAMES, n_mels), and their bands; round to levels."""
    n_mels = frames.shape[1]
    width = -(-n_mels // BANDS)
    at: Callable[..., Float32] = np.maximum.reduceat
    pooled = at(frames, np.arange(0, len(frames), FRAMES), axis=0)
    pooled = at(pooled, np.arange(0, n_mels, width), axis=1)
    levels: Levels = np.clip(np.rint((pooled - FLOOR) / STEP), 0, 255).astype(np.uint8)
    return levels
