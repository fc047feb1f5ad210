"""What there is to show of a stream at one moment, for a view of any kind.

A `Listener` keeps a `History` while somebody watches, and makes a `Snapshot` of it a few
times a second. A view needs the snapshot and nothing else: no detector, source or sink.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from streamsed.live.mel_picture import Levels, MelPicture
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.pipeline.stitcher import ScoreFrames
from streamsed.samples import Float32

N_FRAMES = 1024
"""Final score frames that are kept: more than a minute."""
N_EVENTS = 256
"""Events whose newest update is kept."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A stream at one moment.

    Parameters
    ----------
    source : str
        What it comes from.
    capture_rate : int
        Hz.
    step, latency : float
        Seconds.
    load : float
        Share of the time that detection took lately; above 1 it falls behind.
    lost : float
        Seconds of sound that are missing.
    now : float
        Seconds since the stream began.
    peak : float
        Largest size of a sample in the newest piece.
    labels : tuple of str
        Columns of the scores.
    scores : float32 (n_frames, n_labels)
        The newest score frames; the last of them may still change.
    scores_end : float
        Seconds from the beginning of the stream to the end of `scores`.
    frame_duration : float
        Seconds of one of them.
    events : tuple of EventUpdate
        The newest update of each event but the withdrawn, that of the newest event last.
    notice : str
        The last sentence that people should read, or "".
    origin : float
        Clock time at which the stream began, in seconds since 1970.
    reported : tuple of str
        The labels that were asked for; empty for all.
    failures : mapping
        What failed of the log, clips and commands so far, by their names.
    thresholds : tuple of float
        The score from which each label counts as active, in the order of `labels`.
    picture : uint8 (n_columns, n_bands)
        The newest columns of the stream's `MelPicture`.
    picture_end : int
        Columns since the stream began; the last of them is the last of `picture`.
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


class History:
    """The newest scores, picture, events and notice of a stream: a sink and an observer.

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
        """The newest update of each event but the withdrawn."""
        return tuple(self._events.values())

    def scores(self, pending: ScoreFrames) -> Float32:
        """Return the final scores with the pending ones, (n_frames, n_labels)."""
        if not self._final:
            return pending.scores
        return np.concatenate([np.stack(list(self._final)), pending.scores])

    def add_frames(self, frames: Float32) -> None:
        """Keep a picture of the newest frames."""
        self.picture.add_frames(frames)

    def add_scores(self, final: ScoreFrames) -> None:
        """Remember final scores."""
        self._final.extend(final.scores)

    def on_samples(self, samples: Float32) -> None:
        """Take no notice: the listener knows the level."""

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Remember the newest update of each event, and the last notice."""
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
            self.notice = f"{missing:.2f} s are missing: {record['reason']}"

    def notices(self) -> list[str]:
        """Return nothing: what is remembered does not complain."""
        return []

    def settle(self) -> None:
        """Wait for nothing."""

    def failures(self) -> dict[str, Any]:
        """Return nothing: memory does not fail."""
        return {}

    def close(self) -> None:
        """Wait for nothing."""
