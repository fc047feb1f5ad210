"""Decide whether a clip contains speech, before any of it is written to disk.

The decision uses the scores of the label `Speech` in each frame, not its events, because a
word may be too short or too quiet to be an event. One frame at the limit is enough, and a
frame that was not scored counts as speech.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import numpy as np

from streamsed.detector import Detector
from streamsed.inference.model_file import ModelInfo
from streamsed.inference.thresholds.operating_points import THRESHOLDS
from streamsed.pipeline.stitcher import ScoreFrames
from streamsed.pipeline.trace import Observers
from streamsed.samples import Float32

SPEECH = "Speech"
"""The label of speech."""

MAX_LIMIT = 0.3
"""Upper limit of the score from which a frame is speech."""

SPAN = 150.0
"""Seconds of scores that are kept; longer than any clip."""


class SpeechGuard:
    """Keep the scores of speech, and decide whether a part of the time line contains it.

    An observer of a detector's final scores; see `watch`.

    Parameters
    ----------
    info : ModelInfo
        A model that has the label.

    Raises
    ------
    ValueError
        The model has no label for speech.
    """

    def __init__(self, info: ModelInfo) -> None:
        if SPEECH not in info.labels:
            raise ValueError(
                f"--save-clips leaves out clips with speech, but the model {info.name} has "
                f"no label {SPEECH} to recognize it; use --save-speech to save all clips"
            )
        self._column = info.labels.index(SPEECH)
        self._pending: Callable[[], ScoreFrames] | None = None
        self._duration = info.frontend.score_frame_duration
        self._final: deque[float] = deque(maxlen=math.ceil(SPAN / self._duration))
        self._n_final = 0
        self.limit = speech_limit(info)

    def watch(self, detector: Detector) -> None:
        """Observe a detector from now on, in addition to its other observers."""
        self._pending = detector.pending
        others = [detector.observer] if detector.observer is not None else []
        detector.observer = Observers([*others, self])

    def add_frames(self, frames: Float32) -> None:
        """Do nothing: only scores are used."""

    def add_scores(self, final: ScoreFrames) -> None:
        """Store final scores."""
        self._final.extend(final.scores[:, self._column].tolist())
        self._n_final += len(final)

    def has_speech(self, start: float, stop: float) -> bool:
        """Return whether there is speech between two times, in seconds of the time line."""
        if self._pending is None:
            return True  # no scores
        pending = self._pending().scores[:, self._column]
        scores = np.concatenate([np.array(self._final, np.float32), pending])
        first = self._n_final - len(
            self._final
        )  # frame of the first score that is kept
        begin = math.floor(start / self._duration) - first
        end = math.ceil(stop / self._duration) - first
        if begin < 0 or end > len(scores):
            return True  # not scored
        return bool((scores[begin:end] >= self.limit).any())


def speech_limit(info: ModelInfo) -> float:
    """Return the score from which a frame is speech.

    It is the model's lowest threshold for speech, at high sensitivity, and never above
    `MAX_LIMIT`.
    """
    post = info.operating_point(sensitivity="high").post
    column = info.labels.index(SPEECH)
    lowest = min(post.per_label(name, info.labels)[column] for name in THRESHOLDS)
    return min(MAX_LIMIT, lowest)
