"""The baseline's post-processing: a median filter over time, then a threshold.

The median of an odd number of scores reaches a threshold exactly if most of them do, so
filtering scores and then taking the threshold gives the events of the published order,
threshold first. Filtered scores stay scores: any threshold can be tried on them, and the
runtime's own `EventTracker` makes the events.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamsed.config import FrontendConfig, PostConfig
from streamsed.events import Event
from streamsed.pipeline.tracker import EventTracker


def median_filter(
    scores: NDArray[np.float32], n_frames: int = 5
) -> NDArray[np.float32]:
    """Replace each score by the median of those around it, label by label.

    Parameters
    ----------
    scores : float32 (H, K)
        Of one clip.
    n_frames : int
        Length of the filter in score frames, odd; the baseline's is 5. Beyond the ends
        lie the scores mirrored, the outermost one twice.

    Returns
    -------
    float32 (H, K)
        With 1 frame the scores themselves.

    Raises
    ------
    ValueError
        `n_frames` is not odd and positive.

    Examples
    --------
    >>> median_filter(np.array([[0.1], [0.9], [0.2], [0.8]], np.float32), 3).ravel()
    array([0.1, 0.2, 0.8, 0.8], dtype=float32)
    """
    if n_frames < 1 or n_frames % 2 == 0:
        raise ValueError(f"n_frames={n_frames} must be odd and positive")
    if len(scores) == 0:
        return scores.copy()
    reach = n_frames // 2
    padded = np.pad(scores, ((reach, reach), (0, 0)), mode="symmetric")
    views = np.lib.stride_tricks.sliding_window_view(padded, n_frames, axis=0)
    return np.sort(views, axis=-1)[..., reach]


def median_events(
    scores: NDArray[np.float32],
    labels: Sequence[str],
    config: FrontendConfig,
    *,
    threshold: float = 0.5,
    n_frames: int = 5,
    n_samples: int | None = None,
) -> list[Event]:
    """Turn the scores of one clip into events as the baseline does.

    The filter sees the scores of a shorter clip's padding; events are made of the clip's.

    Parameters
    ----------
    scores : float32 (H, K)
        In [0, 1].
    labels : sequence of str
        Their columns.
    config : FrontendConfig
        The grid that they lie on.
    threshold : float
        A label is on at a filtered score of at least this.
    n_frames : int
        See `median_filter`.
    n_samples : int, optional
        Length of the clip, past which no event reaches; the whole grid if left out.

    Returns
    -------
    list of Event
        Sorted; an event's score is the mean of its filtered scores.
    """
    post = PostConfig(onset_threshold=threshold, min_gap=0.0, min_duration=0.0)
    tracker = EventTracker(labels, post, config)
    if n_samples is None:
        n_samples = len(scores) * config.score_frame_length
    n_real = -(-n_samples // config.score_frame_length)  # the rest is padding
    filtered = np.ascontiguousarray(median_filter(scores, n_frames)[:n_real])
    return sorted(tracker.push(filtered) + tracker.flush(n_samples))
