"""The state of a stream at one moment, for views.

A `Listener` with a view keeps a `History` and creates a `Snapshot` from it a few times a
second. A view needs nothing but the snapshot: no detector, source or sink.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from streamsed.live.mel_picture import Levels, MelPicture
from streamsed.live.sinks.base_sink import BaseSink
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.pipeline.stitcher import ScoreFrames
from streamsed.samples import Float32

N_FRAMES = 1024
"""Final score frames to keep: more than a minute."""
N_EVENTS = 256
"""Number of events to keep."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a stream at one moment.

    Parameters
    ----------
    source : str
        Name of the source.
    capture_rate : int
        Hz.
    step, latency : float
        Seconds.
    load : float
        Recent share of the time spent on detection; above 1 it falls behind.
    lost : float
        Seconds of missing sound.
    now : float
        Seconds since the start of the stream.
    peak : float
        Largest absolute value of the samples in the latest piece.
    labels : tuple of str
        Columns of the scores.
    scores : float32 (n_frames, n_labels)
        The latest score frames; the last of them may still change.
    scores_end : float
        Seconds from the start of the stream to the end of `scores`.
    frame_duration : float
        Seconds of one of them.
    events : tuple of EventUpdate
        The latest update of each event that was not withdrawn; the newest event is last.
    notice : str
        The last message for the user, or "".
    origin : float
        Clock time of the start of the stream, in seconds since 1970.
    reported : tuple of str
        The selected labels; empty for all.
    failures : mapping
        Failures of the log, clips and commands so far, by name.
    thresholds : tuple of float
        The score from which each label counts as active, in the order of `labels`.
    picture : uint8 (n_columns, n_bands)
        The latest columns of the stream's `MelPicture`.
    picture_end : int
        Columns since the start of the stream, up to the last of `picture`.
    column_duration : float
        Seconds of one of them.
    """

    source: str
    capture_rate: int
    step: float
    latency: float
    load: float
    lost: float
    now: float
    peak: float
    labels: tuple[str, ...]
    scores: Float32
    scores_end: float
    frame_duration: float
    events: tuple[EventUpdate, ...]
    notice: str
    origin: float = 0.0
    reported: tuple[str, ...] = ()
    failures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    thresholds: tuple[float, ...] = ()
    picture: Levels = field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    picture_end: int = 0
    column_duration: float = 0.0


class History(BaseSink):
    """The latest scores, picture, events and notice of a stream; a sink and an observer.

    Parameters
    ----------
    n_labels : int
        Scores per frame.
    """

    name = "view"

    def __init__(self, n_labels: int) -> None:
        self._final: deque[Float32] = deque(maxlen=N_FRAMES)  # of single frames
        self._n_labels = n_labels
        self._events: dict[int, EventUpdate] = {}  # newest last
        self.notice = ""
        self.picture = MelPicture()

    @property
    def events(self) -> tuple[EventUpdate, ...]:
        """The latest update of each event that was not withdrawn."""
        return tuple(self._events.values())

    def scores(self, pending: ScoreFrames) -> Float32:
        """Return the final scores with the pending ones, (n_frames, n_labels)."""
        if not self._final:
            return pending.scores
        return np.concatenate([np.stack(list(self._final)), pending.scores])

    def add_frames(self, frames: Float32) -> None:
        """Store a picture of the latest frames."""
        self.picture.add_frames(frames)

    def add_scores(self, final: ScoreFrames) -> None:
        """Store final scores."""
        self._final.extend(final.scores)

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Store the latest update of each event, and the last notice."""
        if update is not None:
            self._events.pop(update.id, None)
            if update.state != "withdrawn":
                self._events[update.id] = update
            while len(self._events) > N_EVENTS:
                del self._events[next(iter(self._events))]
        elif record["state"] == "notice":
            self.notice = str(record["text"])
        elif record["state"] == "gap":
            missing = record["offset"] - record["onset"]
            self.notice = f"{missing:.2f} s of sound lost: {record['reason']}"
