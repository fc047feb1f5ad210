"""Samples and arrays like them: their type, and how large a sample can be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

MAX_AMPLITUDE = 1e6
"""Samples beyond this cannot be audio (full scale is 1); squared, they would overflow."""


def peak_of(samples: Float32) -> float:
    """Return the largest size of samples of any shape; 0 where there are none."""
    return float(np.abs(samples).max()) if samples.size else 0.0
