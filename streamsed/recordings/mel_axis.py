"""Hertz along an axis of mel bands, on Slaney's scale as the front-end has it."""

from __future__ import annotations

import math

from streamsed.config import FrontendConfig

LINEAR = 200.0 / 3.0
"""Hz of a mel below `BREAK`."""
BREAK = 1000.0
"""Hz; above it mels go by the logarithm."""
STEP = math.log(6.4) / 27.0
"""Natural logarithm of the ratio that a mel is above `BREAK`."""
TICKS = (250, 500, 1000, 2000, 4000, 8000, 16000)
"""Hz."""


def mel(hz: float) -> float:
    """Return a frequency on Slaney's mel scale."""
    if hz < BREAK:
        return hz / LINEAR
    return BREAK / LINEAR + math.log(hz / BREAK) / STEP


def band_of(hz: float, frontend: FrontendConfig) -> float:
    """Return where a frequency lies among the bands, band `i` from `i` to `i + 1`.

    The bands' centres are evenly spaced in mels, between the two ends and apart from
    them, so the centre of band `i` lies at `i + 0.5`.
    """
    low, high = mel(frontend.fmin), mel(frontend.fmax)
    return (mel(hz) - low) / (high - low) * (frontend.n_mels + 1) - 0.5


def ticks(frontend: FrontendConfig) -> tuple[list[float], list[str]]:
    """Return positions of round frequencies among the bands, and how they are written."""
    shown = [hz for hz in TICKS if 0 <= band_of(hz, frontend) <= frontend.n_mels]
    return [band_of(hz, frontend) for hz in shown], [str(hz) for hz in shown]
