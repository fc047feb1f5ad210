"""The detector: samples in, events out.

    samples > Frontend > Segmenter > Model > Stitcher > EventTracker > EventLifecycle
              `- SegmentExtractor -´         `--------- PostProcessor ---------´

Files and live sound pass through the same stages, and the events are identical, to the
last bit, for every way of cutting the input into chunks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from streamsed.config import PostConfig, StreamConfig
from streamsed.events import Event
from streamsed.exclusive import InUse, exclusive
from streamsed.inference.model import Model, SegmentScores
from streamsed.pipeline.extractor import (
    Extracted,
    Progress,
    SegmentExtractor,
    SegmentFeatures,
)
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.pipeline.post_processor import PostProcessor
from streamsed.pipeline.stitcher import ScoreFrames
from streamsed.pipeline.trace import Observer
from streamsed.samples import Float32


class Detector:
    """Detect sound events in a stream of samples.

    Parameters
    ----------
    model : Model
        The network and its description.
    stream : StreamConfig or None
        How often to score and how long to wait; None uses the model's settings.
    post : PostConfig or None
        How scores become events; None uses the model's settings.

    Raises
    ------
    ValueError
        The settings do not fit the model.

    Examples
    --------
    >>> from streamsed import Detector, file_chunks
    >>> detector = Detector.load()
    >>> events = detector.events(file_chunks("tests/data/dog.flac"))
    >>> {event.label for event in events}
    {'Dog'}

    In a stream, events are returned as they close:

    >>> detector.reset()
    >>> for chunk in file_chunks("tests/data/dog.flac"):  # of any length
    ...     closed = detector.push(chunk)
    >>> len(closed + detector.flush()) > 0
    True
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
        self.post = post or info.operating_point(settle=self.stream.settled).post
        self._step, _ = self.stream.in_score_frames(frontend)
        self._extractor = self.new_extractor(early=True)
        self._post_processor = PostProcessor(
            info.labels, frontend, stream=self.stream, post=self.post
        )

    @classmethod
    def load(
        cls,
        name_or_path: str | os.PathLike[str] = "default",
        *,
        stream: StreamConfig | None = None,
        post: PostConfig | None = None,
        **engine: Any,
    ) -> Detector:
        """Create a detector with a shipped model by name, or a model file by path.

        See `Model.load` for the settings in `engine` and for the errors, and the class for
        the other parameters.
        """
        model = Model.load(name_or_path, **engine)
        return cls(model, stream=stream, post=post)

    @property
    def sample_rate(self) -> int:
        """Hz; the sampling rate that `push` expects."""
        return self.model.info.frontend.sample_rate

    @property
    def latency(self) -> int:
        """Samples from the end of a sound until its event closes, without computing time."""
        length = self.model.info.frontend.score_frame_length
        return self._extractor.latency + self._post_processor.latency * length

    @property
    def n_due(self) -> int:
        """Samples until the next score frame is complete; fewer change nothing."""
        return self._extractor.n_due

    @property
    def n_skipped(self) -> int:
        """Segments skipped because of `hurry` since the start of the recording."""
        return self._extractor.n_skipped

    @property
    def n_final(self) -> int:
        """Number of final score frames of the recording so far."""
        return self._post_processor.n_final

    @property
    def observer(self) -> Observer | None:
        """Receives the data that pass between the stages; None is nobody."""
        return self._post_processor.observer

    @observer.setter
    def observer(self, observer: Observer | None) -> None:
        self._post_processor.observer = observer

    @exclusive
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
        return _closed(self._consume_all(self._extractor.push(chunk), closed_only=True))

    @exclusive
    def flush(self) -> list[Event]:
        """End the recording; close the events that are open and return them."""
        return _closed(self._consume_all(self._extractor.flush(), closed_only=True))

    @exclusive
    def push_updates(self, chunk: Float32, *, hurry: bool = False) -> list[EventUpdate]:
        """Take the next samples as `push` does; return all updates.

        Parameters
        ----------
        chunk : float32 (n_samples,)
            As for `push`.
        hurry : bool
            Skip segments where a later one in this chunk covers the same frames: scores
            are then computed from fewer segments, and depend on the chunk.

        Returns
        -------
        list of EventUpdate
            Opened, ended, updated, closed and withdrawn, in the order they happened.
        """
        return self._consume_all(self._extractor.push(chunk, hurry=hurry))

    @exclusive
    def flush_updates(self) -> list[EventUpdate]:
        """End the recording as `flush` does; return all updates."""
        return self._consume_all(self._extractor.flush())

    def new_extractor(self, *, early: bool = False) -> SegmentExtractor:
        """Return the first half of the detector, to run ahead in another thread.

        Parameters
        ----------
        early : bool
            Whether to yield the segments that are only used to report events of the first
            seconds early. Closed events do not need them.
        """
        frontend = self.model.info.frontend
        settle = self.stream.settle_score_frames(frontend)
        partial = settle < frontend.segment_score_frames
        return SegmentExtractor(frontend, step=self._step, partial=partial, early=early)

    @exclusive
    def consume(
        self,
        extracted: Extracted,
        scored: SegmentScores | None = None,
        *,
        closed_only: bool = False,
    ) -> list[EventUpdate]:
        """Take the next item of `new_extractor`; return the updates.

        Parameters
        ----------
        extracted : frames, SegmentFeatures or Progress
            The next item, in order.
        scored : SegmentScores or None
            The model's scores if the item is a segment; None computes them now.
        closed_only : bool
            Use final scores only: each event is opened, ended and closed at once.

        Returns
        -------
        list of EventUpdate
            As for `push_updates`.
        """
        if isinstance(extracted, SegmentFeatures):
            if closed_only and extracted.early:
                return []
            scored = scored or self.model.score(extracted.features)
            view = ScoreFrames(scored.scores, scored.region)
            updates = self._post_processor.push(view, extracted)
            if not closed_only:
                updates += self._post_processor.revise(extracted.end)
            return updates
        if isinstance(extracted, Progress):
            return self._post_processor.advance(extracted)
        if self.observer is not None:
            self.observer.add_frames(extracted)
        return []

    @exclusive
    def pending(self) -> ScoreFrames:
        """Return the current scores of the frames that are not final."""
        return self._post_processor.pending()

    @exclusive
    def reset(self) -> None:
        """Forget everything, as if newly made; the next push starts a recording."""
        self._extractor.reset()
        self._post_processor.reset()

    def events(
        self, chunks: Iterable[Float32], *, observer: Observer | None = None
    ) -> Iterator[Event]:
        """Detect the events of a whole recording.

        Parameters
        ----------
        chunks : iterable of float32 (n_samples,)
            The recording, cut in any way; see `streamsed.audio.decode.file_chunks`.
        observer : Observer or None
            Receives the data between the stages, for this recording.

        Yields
        ------
        Event
            In the order in which they close; `sorted` orders them by onset.
        """
        self.reset()
        self.observer = observer
        for chunk in chunks:
            yield from self.push(chunk)
        yield from self.flush()

    def _consume_all(
        self, everything: Iterable[Extracted], *, closed_only: bool = False
    ) -> list[EventUpdate]:
        return [
            update
            for extracted in everything
            for update in self.consume(extracted, closed_only=closed_only)
        ]


def _closed(updates: Sequence[EventUpdate]) -> list[Event]:
    return [update.event for update in updates if update.state == "closed"]
