"""Detect events in a live source, keeping up with real time.

If the machine is too slow:

1. Steps are skipped: a chunk longer than a step is scored once, at its end, so scores
   come from fewer segments.
2. The ring buffer of the microphone fills. Once it is full, the oldest audio is lost; the
   exact number of missing samples appears as a gap, so times stay correct.

Both are counted and reported. A source that waits (a pipe, a file) loses nothing and skips
nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from streamsed.audio.source import Source, join_pieces
from streamsed.detector import Detector
from streamsed.live.sinks.sink import Sink
from streamsed.live.snapshot import Snapshot
from streamsed.live.stream import LiveStream
from streamsed.live.summary import Summary

TICK = 0.25
"""Seconds between snapshots."""

PATIENCE = 0.1
"""Seconds after which a source is checked even without new samples."""


class Listener:
    """Push a source through a detector and report to sinks.

    Parameters
    ----------
    detector : Detector
        It is reset first.
    source : Source
        Source of sound; closed at the end.
    sinks : sequence of Sink
        Receive records; closed at the end. A sink that fails receives no more.
    only : sequence of str
        Labels to report; empty reports all.

    Examples
    --------
    >>> from pathlib import Path
    >>> from streamsed import Detector, StreamConfig
    >>> from streamsed.audio.playback import FileSource
    >>> detector = Detector.load(stream=StreamConfig(step=0.5, latency=1.0))
    >>> dog = Path("tests/data/dog.flac")
    >>> source = FileSource(dog, sample_rate=detector.sample_rate, pace=math.inf)
    >>> summary = Listener(detector, source, sinks=[]).run()
    >>> list(summary.events), summary.lost
    (['Dog'], 0.0)
    """

    def __init__(
        self,
        detector: Detector,
        source: Source,
        sinks: Sequence[Sink],
        *,
        only: Sequence[str] = (),
    ) -> None:
        self.detector = detector
        self.source = source
        self.stream = LiveStream(
            detector,
            sinks,
            name=source.name,
            capture_rate=source.capture_rate,
            lossless=source.lossless,
            only=only,
        )
        self._stopping = False

    @property
    def summary(self) -> Summary:
        """Summary of the time line so far."""
        return self.stream.summary

    @property
    def run_id(self) -> str:
        """The id that all records of this run share."""
        return self.stream.run_id

    def stop(self) -> None:
        """End `run` after the current piece; may be called from a signal handler."""
        self._stopping = True

    def run(
        self,
        *,
        duration: float | None = None,
        on_tick: Callable[[Snapshot], None] | None = None,
    ) -> Summary:
        """Listen until the source ends, `duration` has passed, or `stop` is called.

        Open events are always closed at the end.

        Parameters
        ----------
        duration : float or None
            Seconds of the time line.
        on_tick : callable or None
            Called with a snapshot every `TICK` seconds.

        Returns
        -------
        Summary
            Of the whole run.
        """
        stream = self.stream
        limit = math.inf if duration is None else round(duration * self._rate)
        ticked = -math.inf
        stream.begin(watched=on_tick is not None)
        try:
            while not self._stopping and stream.n_samples < limit:
                pieces = self.source.read()
                for notice in [*self.source.notices(), *stream.notices()]:
                    stream.report({"state": "notice", "text": notice})
                if pieces is None:
                    break
                for piece in join_pieces(pieces):
                    room = int(min(limit - stream.n_samples, len(piece.samples)))
                    if room:
                        kept = replace(piece, samples=piece.samples[:room])
                        stream.push(kept, hurry=not self.source.lossless)
                if on_tick and time.monotonic() - ticked >= TICK:
                    ticked = time.monotonic()
                    on_tick(stream.snapshot())
                if stream.reader_left:
                    break
                self.source.wait(self.detector.n_due, PATIENCE)
        finally:
            try:
                self.source.close()
            finally:
                stream.finish()
        return stream.summary

    @property
    def _rate(self) -> int:
        return self.detector.sample_rate
