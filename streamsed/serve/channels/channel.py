"""One source: its reader, its detector and its current run.

At each visit it reads what was received since the last one and scores it. Sound in quiet
hours counts as missing. A run that a long gap has ended is followed by another one when
sound arrives again, see `SourceRun`; so is a run that an error has ended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import numpy as np

from streamsed.audio.source import Piece, join_pieces
from streamsed.detector import Detector
from streamsed.live.sinks.sink import Sink
from streamsed.live.snapshot import Snapshot
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.serve.channels.level import LevelMeter
from streamsed.serve.channels.source_run import SourceRun
from streamsed.serve.fan_out import FanOut, SourceSink, WithoutClips
from streamsed.serve.records import STATUS_EVERY
from streamsed.serve.settings import SourceSettings
from streamsed.serve.sources.backoff import LASTED, Backoff
from streamsed.serve.sources.opening import address_of
from streamsed.serve.sources.supervised import SupervisedSource
from streamsed.serve.status import SourceStatus

OnClip = Callable[[Mapping[str, Any], EventUpdate], None]
OwnSinks = Callable[[Detector, OnClip], list[Sink]]

QUIET = "quiet hours"
"""Reason given for sound that was received and dropped."""


class Channel:
    """Detect events in one source, one visit after another.

    Parameters
    ----------
    settings : SourceSettings
        The source, and the settings of detection.
    detector : Detector
        Used for this source only.
    source : SupervisedSource
        Reader of its samples.
    outputs : FanOut
        Outputs shared by all sources.
    own_sinks : callable
        Returns the sinks that only this source uses: that of its clips. Called at the start
        of each run with the detector, and with a function that passes closed events on to
        the outputs after their clips were saved. An OSError in a later run is reported.
    now : callable
        Returns the local time.
    """

    def __init__(
        self,
        settings: SourceSettings,
        detector: Detector,
        source: SupervisedSource,
        outputs: FanOut,
        *,
        own_sinks: OwnSinks = lambda *_: [],
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self.settings = settings
        self.armed = settings.armed
        self._detector = detector
        self._source = source
        self._outputs = outputs
        self._sink = SourceSink(settings.name, outputs)
        self._own_sinks = own_sinks
        self._now = now
        self._lock = threading.RLock()
        self._meter = LevelMeter(detector.sample_rate)
        self._listened = self._lost = 0.0  # seconds of former runs
        self._n_skipped = 0
        self._reported: tuple[str, bool] = ("", settings.armed)  # status and armed
        self._reported_at = 0.0
        self._backoff = Backoff()
        self._paused_until = float("-inf")  # after a visit that failed
        self._ending = self._ended = False
        self._run = self._begin(self._own_sinks_of_run())

    @property
    def name(self) -> str:
        """The source's identity."""
        return self.settings.name

    def visit(self) -> None:
        """Read and score what was received since the last visit."""
        with self._lock:
            if self._ended or time.monotonic() < self._paused_until:
                return
            pieces = self._source.read()
            self._report_notices()
            if pieces is None:
                self._report_notice("has ended")
                self.end()
                return
            quiet = self._is_quiet
            for piece in join_pieces(pieces):
                if quiet and not piece.missing:
                    zeros = np.zeros(len(piece.samples), np.float32)
                    self._take(Piece(zeros, missing=QUIET))
                else:
                    self._take(piece)
            self._report_status()

    def status(self) -> SourceStatus:
        """Return the state of the source."""
        with self._lock:
            run = None if self._ended else self._run
            return SourceStatus(
                name=self.name,
                state=self._state,
                address=address_of(self.settings),
                reason=self._source.reason,
                level=self._meter.level,
                listened=self._listened + (run.listened if run else 0.0),
                lost=self._lost + (run.lost if run else 0.0),
                since_audio=time.monotonic() - self._source.last_audio,
                n_skipped=self._n_skipped + (run.n_skipped if run else 0),
                n_reconnects=self._source.n_reconnects,
                queued=self._source.waiting,
                armed=self.armed,
            )

    def snapshot(self) -> Snapshot:
        """Return the data that the page draws of the source."""
        with self._lock:
            return self._run.snapshot()

    def arm(self, *, armed: bool) -> None:
        """Set whether messages are sent for its events."""
        with self._lock:
            self.armed = armed
            self._report_status()

    def resend_status(self) -> None:
        """Report the state at once, for an output that was just opened."""
        with self._lock:
            if not self._ended:
                self._reported = ("", self.armed)
                self._report_status()

    def recover(self, reason: str) -> None:
        """Restart after an unexpected error; wait first if there was one just before."""
        with self._lock:
            now = time.monotonic()
            lasted = now - self._paused_until
            wait = self._backoff.failed(lasted=lasted)
            self._paused_until = now + (wait if lasted < LASTED else 0.0)
            self._report_notice(reason)
            if not self._ended:
                with suppress(Exception):  # may fail for the same reason
                    self._finish()
                self._begin_again()

    def stop(self) -> None:
        """Start to close, without waiting."""
        self._source.stop()

    def end(self) -> None:
        """Close open events and end the run; must be the last call."""
        self._source.close()
        with self._lock:
            if not self._ended:
                self._ending = True
                self._report_notices()
                self._finish()
                self._ended = True

    @property
    def _is_quiet(self) -> bool:
        hours = self.settings.quiet_hours
        return bool(hours) and any(span.contains(self._now()) for span in hours)

    @property
    def _state(self) -> str:
        state = self._source.state
        if state == "ended" and not self._ending:
            return "running"  # its last samples are not scored yet
        return "quiet" if state == "running" and self._is_quiet else state

    def _own_sinks_of_run(self) -> list[Sink]:
        """Return the sinks of the run that is about to begin."""
        self._detector.observer = None
        return self._own_sinks(self._detector, self._sink.on_clip)

    def _begin_again(self) -> None:
        """Begin another run, without clips if they cannot be saved any more."""
        try:
            own = self._own_sinks_of_run()
        except OSError as error:
            own = [WithoutClips(self._sink.on_clip)]
            text = f"{self.name}: no clips until the next gap or restart: {error}"
            self._outputs.notice(text, source=self.name)
        self._run = self._begin(own)

    def _begin(self, own_sinks: list[Sink]) -> SourceRun:
        """Begin a run."""
        labels = self._detector.model.info.labels
        return SourceRun(
            self._detector,
            [self._sink, *own_sinks],  # an event is reported before its clip
            address=address_of(self.settings),
            capture_rate=self._source.capture_rate,
            only=self.settings.detection.reported(labels),
        )

    def _take(self, piece: Piece) -> None:
        self._meter.push(piece.samples)
        if self._run.asleep and not piece.missing:
            self._finish()
            self._begin_again()
        self._run.push(piece)

    def _finish(self) -> None:
        """End the run with the gap at its end."""
        self._report_status(last=True)
        self._listened += self._run.listened
        self._lost += self._run.lost
        try:
            self._run.finish()
        finally:
            for notice in self._run.last_notices():
                self._outputs.notice(f"{self.name}: {notice}", source=self.name)
        self._n_skipped += self._run.n_skipped

    def _report_notices(self) -> None:
        """Report the notices of the source, and of the sinks of the run."""
        for notice in [*self._source.notices(), *self._run.notices()]:
            self._report_notice(notice)

    def _report_notice(self, notice: str) -> None:
        self._run.report({"state": "notice", "text": f"{self.name}: {notice}"})

    def _report_status(self, *, last: bool = False) -> None:
        """Report the state of the source: every few seconds, and when it changes."""
        now, state = time.monotonic(), (self._state, self.armed)
        due = now - self._reported_at >= STATUS_EVERY
        if not (due or last or state != self._reported):
            return
        self._reported, self._reported_at = state, now
        status = {
            "status": state[0],
            "reason": self._source.reason,
            "level": round(self._meter.level, 1),
            "heard": round(self._run.listened, 3),
            "lost": round(self._run.lost, 3),
            "skipped": self._run.n_skipped,
            "armed": self.armed,
        }
        self._run.report({"state": "status", **status})
