"""The second half of the detector: scores of segments in, updates of events out.

    scores > Stitcher > EventTracker > EventLifecycle > opened, ended, updated, closed, withdrawn

Between the halves is the model. The scores of a segment count twice: at once, with all
scores known so far, for events that are announced early (`PostProcessor.revise`), and when
no later segment can change them any more, for events that close (`PostProcessor.push`).
"""

from __future__ import annotations

from collections.abc import Sequence

from streamsed.config import FrontendConfig, PostConfig, StreamConfig
from streamsed.events import Event
from streamsed.pipeline.extractor import Progress, SegmentFeatures
from streamsed.pipeline.lifecycle import EventLifecycle, EventUpdate
from streamsed.pipeline.stitcher import ScoreFrames, Stitcher
from streamsed.pipeline.trace import Observer
from streamsed.pipeline.tracker import EventTracker


class PostProcessor:
    """Turn the scores of segments into updates of events.

    Parameters
    ----------
    labels : sequence of str
        Columns of the scores.
    frontend : FrontendConfig
        Score frames and segments.
    stream : StreamConfig
        How long to wait before an event ends, and before its scores are final.
    post : PostConfig
        How scores become events.

    Attributes
    ----------
    observer : Observer or None
        Receives the final scores.
    """

    def __init__(
        self,
        labels: Sequence[str],
        frontend: FrontendConfig,
        *,
        stream: StreamConfig,
        post: PostConfig,
    ) -> None:
        self.observer: Observer | None = None
        self._frame_duration = frontend.score_frame_duration

        def new_stitcher(latency: int) -> Stitcher:
            return Stitcher(
                n_labels=len(labels),
                segment_length=frontend.segment_score_frames,
                latency=latency,
            )

        self._stitcher = new_stitcher(stream.settle_score_frames(frontend))
        # For segments before the first whole one if they do not count; none of its
        # scores are ever final.
        self._early = new_stitcher(frontend.segment_score_frames)
        self._tracker = EventTracker(labels, post, frontend)
        self._lifecycle = EventLifecycle(latency=stream.latency)

    @property
    def latency(self) -> int:
        """Score frames from the end of a sound until its event closes."""
        return self._stitcher.latency + self._tracker.latency

    @property
    def n_final(self) -> int:
        """Number of final score frames of the recording so far."""
        return self._stitcher.n_final

    def push(self, view: ScoreFrames, segment: SegmentFeatures) -> list[EventUpdate]:
        """Take the scores of a segment; return the updates by frames that become final.

        Parameters
        ----------
        view : ScoreFrames
            The model's scores.
        segment : SegmentFeatures
            Where they belong.
        """
        if segment.early:
            self._early.push(view, segment.start, segment.end)
            return []
        final = self._stitcher.push(view, segment.start, segment.end)
        return self._lifecycle.push(self._track(final))

    def revise(self, end: int) -> list[EventUpdate]:
        """Return the updates by all scores known so far, up to score frame `end`."""
        provisional = self._tracker.provisional(self.pending().scores)
        return self._lifecycle.revise(*provisional, now=end * self._frame_duration)

    def advance(self, progress: Progress) -> list[EventUpdate]:
        """Take how much was received; at the end, close the events that are open."""
        if progress.ended:
            events = self._track(self._stitcher.flush())
            events += self._tracker.flush(progress.n_samples)
            return self._lifecycle.push(events) + self._lifecycle.flush()
        final = self._stitcher.advance(progress.n_score_frames)
        return self._lifecycle.push(self._track(final))

    def pending(self) -> ScoreFrames:
        """Return the current scores of the frames that are not final."""
        return (self._stitcher if self._stitcher.n_seen else self._early).pending()

    def reset(self) -> None:
        """Forget everything, as if newly made."""
        for stage in (self._stitcher, self._early, self._tracker, self._lifecycle):
            stage.reset()

    def _track(self, final: ScoreFrames) -> list[Event]:
        if self.observer is not None:
            self.observer.add_scores(final)
        return self._tracker.push(final.scores) if len(final) else []
