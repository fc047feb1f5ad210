"""Whether a stretch of sound holds speech: decided before any of it reaches a disk.

The scores of the label `Speech` decide, frame by frame, not its events: a word that is too
short or too soft to be an event is speech all the same. One frame at the limit is enough,
and a frame that no segment has scored counts as speech.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import numpy as np

from streamsed.detector import Detector
from streamsed.inference.model_file import ModelInfo
from streamsed.pipeline.stitcher import ScoreFrames
from streamsed.pipeline.trace import Observers
from streamsed.samples import Float32

SPEECH = "Speech"
"""The label that decides."""

MAX_LIMIT = 0.3
"""Score from which a frame is speech, at most."""

SPAN = 150.0
"""Seconds of scores that are kept: more than a clip is long."""


class SpeechGuard:
    """Remember the scores of speech and judge stretches of the time line by them.

    An observer of a detector's final scores; see `watch`.

    Parameters
    ----------
    info : ModelInfo
        A model that has the label.

    Raises
    ------
    ValueError
        The model does not know speech.
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
        """Observe a detector from now on, together with whoever does already."""
        self._pending = detector.pending
        others = [detector.observer] if detector.observer is not None else []
        detector.observer = Observers([*others, self])

    def add_frames(self, frames: Float32) -> None:
        """Take no notice: scores decide."""

    def add_scores(self, final: ScoreFrames) -> None:
        """Remember final scores."""
        self._final.extend(final.scores[:, self._column].tolist())
        self._n_final += len(final)

    def holds_speech(self, start: float, stop: float) -> bool:
        """Tell whether there is speech from one second of the time line to another."""
        if self._pending is None:
            return True  # nobody told it anything
        pending = self._pending().scores[:, self._column]
        scores = np.concatenate([np.array(self._final, np.float32), pending])
        first = self._n_final - len(self._final)  # frame of the first that is kept
        begin = math.floor(start / self._duration) - first
        end = math.ceil(stop / self._duration) - first
        if begin < 0 or end > len(scores):
            return True  # not known
        return bool((scores[begin:end] >= self.limit).any())


def speech_limit(info: ModelInfo) -> float:
    """Return the score from which a frame is speech, for a model that knows speech.

    It is the lowest threshold that the model has for it, that down to which speech goes on
    at a high sensitivity, and never above `MAX_LIMIT`.
    """
    post = info.operating_point(sensitivity="high").post
    offsets = post.per_label("offset_threshold", info.labels)
    return min(MAX_LIMIT, offsets[info.labels.index(SPEECH)])
