"""A clip and its events to an example: what training draws and evaluation measures.

An example is a dict of a normalised segment `x`, its strong target and whether that
target is strong (a weak clip says which labels occur, not when). Features come from the
runtime's own front-end: there is one implementation of them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from streamsed.config import FrontendConfig
from streamsed.events import Event
from streamsed.pipeline.frontend import Frontend

Example = dict[str, Tensor]


def log_mel(
    samples: NDArray[np.float32], config: FrontendConfig
) -> NDArray[np.float32]:
    """Compute the dB frames of one clip, cut or padded to one segment.

    Parameters
    ----------
    samples : float32 (n_samples,)
        Mono, at `config.sample_rate`.
    config : FrontendConfig
        The front-end.

    Returns
    -------
    float32 (segment_frames, n_mels)
        Decibels; what lies beyond the end of the clip is digital silence.
    """
    frontend = Frontend(config)
    head = frontend.push(samples)
    frames = np.concatenate([head, frontend.flush()])[: config.segment_frames]
    padding = config.segment_frames - frames.shape[0]
    silence = np.float32(10.0 * np.log10(config.amin))
    return np.pad(frames, ((0, padding), (0, 0)), constant_values=silence)


def score_targets(
    events: list[Event],
    labels: tuple[str, ...],
    n_score_frames: int,
    duration: float,
    *,
    rounding: str = "nearest",
) -> NDArray[np.float32]:
    """Turn events into the strong target: 1 where a label is active (section 2.2).

    Parameters
    ----------
    events : list of Event
        The truth; an event that begins past the last score frame is left out.
    labels : tuple of str
        Columns of the target.
    n_score_frames : int
        H, rows of the target.
    duration : float
        Seconds of one score frame.
    rounding : {"nearest", "down"}
        Onsets and offsets are rounded to the nearest frame boundary, so that neither
        leans early nor late, and an event has at least one frame; or both are rounded
        down, as the challenge's baseline does, and an event may have none.

    Returns
    -------
    float32 (n_score_frames, n_labels)
        Zeros and ones.
    """
    target = np.zeros((n_score_frames, len(labels)), np.float32)
    for event in events:
        first, last = event.onset / duration, event.offset / duration
        if first >= n_score_frames:
            continue
        if rounding == "down":
            rows = slice(math.floor(first), math.floor(last))
        else:
            start = min(round(first), n_score_frames - 1)
            rows = slice(start, max(round(last), start + 1))
        target[rows, labels.index(event.label)] = 1.0
    return target
