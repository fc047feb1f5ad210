"""The whole path: samples in, events out.

    samples > Frontend > Segmenter > Model > Stitcher > EventTracker > events

There is one path. A file, a microphone and a test push their chunks through the same
stages, and the events do not depend, to the last bit, on where the chunks were cut.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamsed.config import PostConfig, StreamConfig
from streamsed.events import Event
from streamsed.frontend import Frontend, Segmenter
from streamsed.model import Model
from streamsed.stitcher import Stitcher
from streamsed.tracker import EventTracker

Float32 = NDArray[np.float32]


@dataclass(slots=True)
class Trace:
    """Keep what passes between the stages, for pictures and score files.

    Parameters
    ----------
    keep_frames : bool
        Keep the log-mel too (190 MB for an hour; the scores take 2 MB).
    """

    keep_frames: bool = False
    _views: list[Float32] = field(default_factory=list)
    _frames: list[Float32] = field(default_factory=list)

    def add_frames(self, frames: Float32) -> None:
        """Keep log-mel frames, float32 (n_frames, n_mels), if they are to be kept."""
        if self.keep_frames:
            self._frames.append(frames)

    def add_views(self, views: Float32) -> None:
        """Keep final scores with the region behind them, (n_frames, n_labels + 1)."""
        self._views.append(views)

    @property
    def scores(self) -> Float32:
        """Final scores, float32 (n_score_frames, n_labels)."""
        return np.concatenate(self._views)[:, :-1]

    @property
    def region(self) -> Float32:
        """The self-mask's region probability, float32 (n_score_frames,)."""
        return np.concatenate(self._views)[:, -1]

    @property
    def frames(self) -> Float32:
        """Log-mel in decibels, float32 (n_frames, n_mels)."""
        return np.concatenate(self._frames)


class Detector:
    """Detect sound events in a stream of samples.

    Parameters
    ----------
    model : Model
        The network and its description.
    stream : StreamConfig or None
        How often to score and how long to wait; None takes the model's own.
    post : PostConfig or None
        How scores become events; None takes the model's own.

    Raises
    ------
    ValueError
        The settings do not fit the model; the message names the value and the rule.
    """

    def __init__(
        self,
        model: Model,
        *,
        stream: StreamConfig | None = None,
        post: PostConfig | None = None,
    ) -> None:
        info = model.info
        frontend = info.frontend
        self.model = model
        self.stream = stream or info.stream
        self.post = post or info.post
        self._trace: Trace | None = None
        step, latency = self.stream.in_score_frames(frontend)
        self._frontend = Frontend(frontend)
        self._segmenter = Segmenter(
            frontend, step=step, partial=latency < frontend.segment_score_frames
        )
        self._stitcher = Stitcher(
            n_columns=len(info.labels) + 1,  # the region travels with the scores
            segment_length=frontend.segment_score_frames,
            latency=latency,
        )
        self._tracker = EventTracker(info.labels, self.post, frontend)

    @classmethod
    def load(
        cls,
        name_or_path: str | os.PathLike[str] = "default",
        *,
        device: str = "auto",
        stream: StreamConfig | None = None,
        post: PostConfig | None = None,
    ) -> Detector:
        """Load a shipped model by name, or any model by path, and detect with it.

        See `Model.load` for the errors, and the class for the other parameters.
        """
        model = Model.load(name_or_path, device=device)
        return cls(model, stream=stream, post=post)

    @property
    def sample_rate(self) -> int:
        """Hz; what `push` expects."""
        return self.model.info.frontend.sample_rate

    @property
    def latency(self) -> int:
        """Samples from the end of a sound until its event leaves, beside the computing."""
        frames = self._stitcher.latency + self._tracker.latency
        length = self.model.info.frontend.score_frame_length
        return self._frontend.latency + frames * length

    def push(self, chunk: Float32) -> list[Event]:
        """Take the next samples and return the events that they close.

        Parameters
        ----------
        chunk : float32 (n_samples,)
            Mono samples at `sample_rate`, full scale 1; any length, 0 included.

        Returns
        -------
        list of Event
            In the order in which they closed.

        Raises
        ------
        TypeError, ValueError, RuntimeError
            As `Frontend.push`.
        """
        events: list[Event] = []
        longest = (
            self._frontend.config.segment_frames * self._frontend.config.hop_length
        )
        for start in range(0, max(1, len(chunk)), longest):  # bounds the memory
            frames = self._frontend.push(chunk[start : start + longest])
            events += self._score(frames)
        return events

    def flush(self) -> list[Event]:
        """End the recording and return the events still open, closed at its end."""
        events = self._score(self._frontend.flush())
        for segment in self._segmenter.flush():
            view = self._view(segment.features)
            events += self._track(self._stitcher.push(view, segment.start, segment.end))
        events += self._track(self._stitcher.flush())
        return events + self._tracker.flush(self._frontend.n_samples)

    def reset(self) -> None:
        """Forget everything, as if newly made; the next push starts a recording."""
        for stage in (self._frontend, self._segmenter, self._stitcher, self._tracker):
            stage.reset()
        self._trace = None

    def events(
        self, chunks: Iterable[Float32], *, trace: Trace | None = None
    ) -> Iterator[Event]:
        """Detect the events of a whole recording.

        Parameters
        ----------
        chunks : iterable of float32 (n_samples,)
            The recording, cut in any way; see `streamsed.audio.file_chunks`.
        trace : Trace or None
            Where to keep what passes between the stages.

        Yields
        ------
        Event
            As they close; `sorted` puts them in the order of their onsets.
        """
        self.reset()
        self._trace = trace
        for chunk in chunks:
            yield from self.push(chunk)
        yield from self.flush()

    def _score(self, frames: Float32) -> list[Event]:
        if not len(frames):
            return []
        if self._trace is not None:
            self._trace.add_frames(frames)
        events: list[Event] = []
        for segment in self._segmenter.push(frames):
            view = self._view(segment.features)
            events += self._track(self._stitcher.push(view, segment.start, segment.end))
        now = self._segmenter.n_score_frames
        return events + self._track(self._stitcher.advance(now))

    def _view(self, features: Float32) -> Float32:
        scores, region = self.model.score(features)
        return np.concatenate([scores, region[:, None]], axis=1)

    def _track(self, views: Float32) -> list[Event]:
        if not len(views):
            return []
        if self._trace is not None:
            self._trace.add_views(views)
        return self._tracker.push(np.ascontiguousarray(views[:, :-1]))
