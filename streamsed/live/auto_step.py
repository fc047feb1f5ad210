"""Choose the shortest step that this machine can keep up with."""

from __future__ import annotations

import math
import time

import numpy as np

from streamsed.config import FrontendConfig
from streamsed.inference.model import Model

MAX_LOAD = 0.6
"""Default limit of the load (share of time spent scoring) when choosing a step."""

MIN_STEP = 0.25
"""Seconds; shorter steps cost more and report events hardly any earlier."""


def segment_cost(model: Model) -> float:
    """Measure how long the model currently takes for a segment, in seconds."""
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
        Seconds per segment.
    frontend : FrontendConfig
        The step is a whole number of its score frames.
    latency : float
        Seconds; upper limit of the step, even if the load is then above `max_load`.
    max_load : float
        Share of the time that scoring may take.
    """
    duration = frontend.score_frame_duration
    n_frames = max(1, math.ceil(cost / max_load / duration))
    return min(max(n_frames * duration, MIN_STEP), latency)
