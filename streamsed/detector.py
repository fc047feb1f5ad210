"""The whole path: samples in, events out.

    samples > Frontend > Segmenter > Model > Stitcher > EventTracker > Lives > changes
              `---- Hearing ---´

There is one path. A file, a microphone and a test push their chunks through the same
stages, and the events do not depend, to the last bit, on where the chunks were cut.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from streamsed.config import PostConfig, StreamConfig
from streamsed.events import Event
from streamsed.exclusive import InUse, exclusive
from streamsed.inference.model import Model, SegmentScores
from streamsed.pipeline.extractor import Clock, Heard, Hearing
from streamsed.pipeline.lifecycle import Change, Lives
from streamsed.pipeline.segmenter import Segment
from streamsed.pipeline.stitcher import Stitcher
from streamsed.pipeline.trace import Observer
from streamsed.pipeline.tracker import EventTracker
from streamsed.samples import Float32


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
        self._in_use = InUse("Detector")
        self.model = model
        self.stream = stream or info.stream
        self.post = post or info.post
        self.observer: Observer | None = None
        self._step, self._wait = self.stream.in_score_frames(frontend)
        self._hearing = self.new_hearing()
        self._stitcher = Stitcher(
            n_columns=len(info.labels) + 1,  # the region travels with the scores
            segment_length=frontend.segment_score_frames,
            latency=self._wait,
        )
        self._tracker = EventTracker(info.labels, self.post, frontend)
        self._lives = Lives()
        self._stages = (self._hearing, self._stitcher, self._tracker, self._lives)

    @classmethod
    def load(
        cls,
        name_or_path: str | os.PathLike[str] = "default",
        *,
        stream: StreamConfig | None = None,
        post: PostConfig | None = None,
        **engine: Any,
    ) -> Detector:
        """Load a shipped model by name, or any model by path, and detect with it.

        See `Model.load` for the errors and for `engine`, which are its settings, and the
        class for the other parameters.
        """
        model = Model.load(name_or_path, **engine)
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
        return self._hearing.latency + frames * length

    @property
    def n_skipped(self) -> int:
        """Segments that were left out in a hurry since the recording began."""
        return self._hearing.n_skipped

    @property
    def n_final(self) -> int:
        """Score frames that are final, of the recording so far."""
        return self._stitcher.n_final

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
            As `Frontend.push`; RuntimeError also while another thread is in any method.
        """
        return _closed(self.follow(chunk))

    def flush(self) -> list[Event]:
        """End the recording and return the events still open, closed at its end."""
        return _closed(self.finish())

    @exclusive
    def follow(self, chunk: Float32, *, hurry: bool = False) -> list[Change]:
        """Take the next samples as `push` does; return every change they bring.

        Parameters
        ----------
        chunk : float32 (n_samples,)
            As for `push`.
        hurry : bool
            Skip segments that a later one in this chunk makes up for: scores come from
            fewer views then, and depend on the chunk.

        Returns
        -------
        list of Change
            Events opened, updated, closed and withdrawn, in the order of it.
        """
        return self._understand(self._hearing.hear(chunk, hurry=hurry))

    @exclusive
    def finish(self) -> list[Change]:
        """End the recording as `flush` does; return every change that this brings."""
        return self._understand(self._hearing.finish())

    def new_hearing(self) -> Hearing:
        """Return a first half of this path, to run ahead of `take` in another thread."""
        frontend = self.model.info.frontend
        partial = self._wait < frontend.segment_score_frames
        return Hearing(frontend, step=self._step, partial=partial)

    @exclusive
    def take(self, heard: Heard, scored: SegmentScores | None = None) -> list[Change]:
        """Take what a `Hearing` heard, in its order, and return the changes it brings.

        Parameters
        ----------
        heard : frames, Segment or Clock
            The next thing.
        scored : SegmentScores or None
            The model's answer if that is a segment; None asks it now.

        Returns
        -------
        list of Change
            As of `follow`.
        """
        if isinstance(heard, Segment):
            return self._see(heard, scored or self.model.score(heard.features))
        if isinstance(heard, Clock):
            if heard.ended:
                events = self._track(self._stitcher.flush())
                events += self._tracker.flush(heard.n_samples)
                return self._lives.close(events) + self._lives.finish()
            final = self._stitcher.advance(heard.n_score_frames)
            return self._lives.close(self._track(final))
        if self.observer is not None:
            self.observer.add_frames(heard)
        return []

    @exclusive
    def pending(self) -> Float32:
        """Return what is known of the score frames that are not final.

        Returns
        -------
        float32 (n_frames, n_labels + 1)
            Scores, and the self-mask's region probability behind them.
        """
        return self._stitcher.pending()

    @exclusive
    def reset(self) -> None:
        """Forget everything, as if newly made; the next push starts a recording."""
        for stage in self._stages:
            stage.reset()

    def events(
        self, chunks: Iterable[Float32], *, observer: Observer | None = None
    ) -> Iterator[Event]:
        """Detect the events of a whole recording.

        Parameters
        ----------
        chunks : iterable of float32 (n_samples,)
            The recording, cut in any way; see `streamsed.audio.decode.file_chunks`.
        observer : Observer or None
            Is shown what passes between the stages, for this recording.

        Yields
        ------
        Event
            As they close; `sorted` puts them in the order of their onsets.
        """
        self.reset()
        self.observer = observer
        for chunk in chunks:
            yield from self.push(chunk)
        yield from self.flush()

    def _understand(self, everything: Iterable[Heard]) -> list[Change]:
        return [change for heard in everything for change in self.take(heard)]

    def _see(self, segment: Segment, scored: SegmentScores) -> list[Change]:
        """Take a segment's scores: some frames become final, others provisional."""
        view = np.concatenate([scored.scores, scored.region[:, None]], axis=1)
        final = self._stitcher.push(view, segment.start, segment.end)
        changes = self._lives.close(self._track(final))
        pending = np.ascontiguousarray(self._stitcher.pending()[:, :-1])
        return changes + self._lives.revise(*self._tracker.provisional(pending))

    def _track(self, views: Float32) -> list[Event]:
        if self.observer is not None:
            self.observer.add_views(views)
        if not len(views):
            return []
        return self._tracker.push(np.ascontiguousarray(views[:, :-1]))


def _closed(changes: Sequence[Change]) -> list[Event]:
    return [change.event for change in changes if change.state == "closed"]
