"""Frequencies on an axis of mel bands, on the front-end's Slaney scale."""

from __future__ import annotations

import math

from streamsed.config import FrontendConfig

LINEAR = 200.0 / 3.0
"""Hz per mel below `BREAK`."""
BREAK = 1000.0
"""Hz; above it the scale is logarithmic."""
STEP = math.log(6.4) / 27.0
"""Natural logarithm of the frequency ratio of one mel above `BREAK`."""
TICKS = (250, 500, 1000, 2000, 4000, 8000, 16000)
"""Hz."""


def mel(hz: float) -> float:
    """Return a frequency on Slaney's mel scale."""
    if hz < BREAK:
        return hz / LINEAR
    return BREAK / LINEAR + math.log(hz / BREAK) / STEP


def band_of(hz: float, frontend: FrontendConfig) -> float:
    """Return the position of a frequency among the bands; band `i` is from `i` to `i + 1`.

    The centres of the bands are evenly spaced in mels, so that of band `i` is at
    `i + 0.5`.
    """
    low, high = mel(frontend.fmin), mel(frontend.fmax)
    return (mel(hz) - low) / (high - low) * (frontend.n_mels + 1) - 0.5


def ticks(frontend: FrontendConfig) -> tuple[list[float], list[str]]:
    """Return the positions of round frequencies among the bands, and their labels."""
    shown = [hz for hz in TICKS if 0 <= band_of(hz, frontend) <= frontend.n_mels]
    return [band_of(hz, frontend) for hz in shown], [str(hz) for hz in shown]
