"""The step of a stream, as short as this machine can keep up with."""

from __future__ import annotations

import math
import time

import numpy as np

from streamsed.config import FrontendConfig
from streamsed.inference.model import Model

MAX_LOAD = 0.6
"""Share of the time that scoring may take when the step is chosen, if nothing is said."""

MIN_STEP = 0.25
"""Seconds; a shorter step costs more and reports hardly anything earlier."""


def segment_cost(model: Model) -> float:
    """Return the seconds that the model takes for a segment now, on this machine."""
    frontend = model.info.frontend
    silence = np.zeros((frontend.segment_frames, frontend.n_mels), dtype=np.float32)
    model.score(silence)  # the first run is slower
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        model.score(silence)
        seconds.append(time.perf_counter() - start)
    return sorted(seconds)[1]


def shortest_step(
    cost: float,
    frontend: FrontendConfig,
    *,
    latency: float,
    max_load: float = MAX_LOAD,
) -> float:
    """Return the shortest step in seconds, from `MIN_STEP`, that keeps the load low.

    Parameters
    ----------
    cost : float
        Seconds that a segment takes.
    frontend : FrontendConfig
        The step is a whole number of its score frames.
    latency : float
        Seconds; the step is no longer, and then the load may be above `max_load`.
    max_load : float
        Share of the time that scoring may take.
    """
    duration = frontend.score_frame_duration
    n_frames = max(1, math.ceil(cost / max_load / duration))
    return min(max(n_frames * duration, MIN_STEP), latency)
