"""Sound level of the last second."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from streamsed.samples import Float32

SILENCE = -120.0
"""dBFS of digital silence and of missing samples."""


class LevelMeter:
    """Measure the root mean square of the last second, in dB of full scale.

    Parameters
    ----------
    sample_rate : int
        Hz.

    Examples
    --------
    >>> meter = LevelMeter(100)
    >>> meter.push(np.full(50, 0.1, np.float32))
    >>> round(meter.level, 1)
    -20.0
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._blocks: deque[tuple[int, float]] = deque()  # samples and energy of each
        self._n = 0

    def push(self, samples: Float32) -> None:
        """Add samples; only the last second counts."""
        newest = samples[-self._rate :]
        self._blocks.append((len(newest), float(np.dot(newest, newest))))
        self._n += len(newest)
        while self._n - self._blocks[0][0] >= self._rate:
            self._n -= self._blocks.popleft()[0]

    @property
    def level(self) -> float:
        """Level in dBFS, at least `SILENCE`."""
        energy = sum(energy for _, energy in self._blocks)
        if energy <= 0 or not self._n:
            return SILENCE
        return max(SILENCE, 10 * math.log10(energy / self._n))
