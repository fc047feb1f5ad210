"""Mel scales: Slaney's, which the front-end has, and that of HTK."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

LINEAR = 1000.0
"""Hz up to which Slaney's mel scale is linear; above it is logarithmic."""
HZ_PER_MEL = 200.0 / 3.0
LOG_STEP = math.log(6.4) / 27.0
"""Of a mel, in the logarithmic part."""


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert Slaney mels to Hz."""
    knee = LINEAR / HZ_PER_MEL
    above = LINEAR * np.exp(LOG_STEP * (mel - knee))
    return np.where(mel < knee, HZ_PER_MEL * mel, above)


def hz_to_mel(frequency: float) -> float:
    """Convert Hz to Slaney mels.

    Examples
    --------
    >>> round(hz_to_mel(500.0), 6), round(hz_to_mel(6400.0), 6)
    (7.5, 42.0)
    """
    if frequency < LINEAR:
        return frequency / HZ_PER_MEL
    return LINEAR / HZ_PER_MEL + math.log(frequency / LINEAR) / LOG_STEP


def band_edges(fmin: float, fmax: float, n_mels: int) -> NDArray[np.float64]:
    """Return the Hz between which `n_mels` triangles overlap, (n_mels + 2,).

    Triangle `i` rises from the edge `i` to its centre, the next edge, and falls from there
    to the one after. They are as far apart on Slaney's scale.
    """
    return mel_to_hz(np.linspace(hz_to_mel(fmin), hz_to_mel(fmax), n_mels + 2))


def htk_mel(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert Hz to mels of HTK.

    Examples
    --------
    >>> htk_mel(np.array([0.0, 1000.0])).round().tolist()
    [0.0, 1000.0]
    """
    mels: NDArray[np.float64] = 1127.0 * np.log1p(frequency / 700.0)
    return mels
