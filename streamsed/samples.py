"""The type of sample arrays, and the largest valid sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

MAX_AMPLITUDE = 1e6
"""Larger samples cannot be audio (full scale is 1), and their squares would overflow."""


def peak_of(samples: Float32) -> float:
    """Return the largest absolute value of samples of any shape; 0 if there are none."""
    return float(np.abs(samples).max()) if samples.size else 0.0
