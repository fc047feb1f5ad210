"""Listen: from a source to updates of events, keeping up with real time.

The policy when the machine is too slow, in this order:

1. Steps are skipped: a chunk longer than a step is scored once, at its end, so scores
   come from fewer segments.
2. The ring of the microphone fills; only when it is full is the oldest audio lost, and the
   exact number of missing samples stands in the time line as a gap, so times stay true.

Both are counted and told. A source that waits (a pipe, a file) loses nothing and skips
nothing.

Every record says `at` which second of the time line it was made, the id of the `run`, and
a clock `time`: that of its onset where it has one, else that of its making.
"""

from __future__ import annotations

import math
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsed.audio.source import Piece, Source
from streamsed.detector import Detector
from streamsed.live.mel_picture import FRAMES
from streamsed.live.sinks.sink import Sink
from streamsed.live.snapshot import History, Snapshot
from streamsed.live.summary import Summary
from streamsed.live.wall_clock import WallClock
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.pipeline.trace import Observers

TICK = 0.25
"""Seconds from one snapshot to the next."""

PATIENCE = 0.1
"""Seconds after which a source is looked at though it had nothing new."""

REMINDER = 3600
"""Seconds of the time line after which a log is told again what its times count from."""


class Listener:
    """Push a source through a detector and tell the sinks.

    Parameters
    ----------
    detector : Detector
        Is reset first.
    source : Source
        What to listen to; closed at the end.
    sinks : sequence of Sink
        Who is told; closed at the end. One that fails is left out from then on.
    only : sequence of str
        Labels to tell of; empty tells of all.

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
        self.summary = Summary(detector.sample_rate)
        self.n_samples = 0  # of the time line
        self.peak = 0.0  # of the newest piece
        self.run_id = secrets.token_hex(4)
        self._clock = WallClock(detector.sample_rate, follow=not source.lossless)
        self._reminded = -1  # reminders given
        self._sinks = list(sinks)
        self._only = only
        self._gap: tuple[int, str] | None = None  # where the current gap began, and why
        self._recent: deque[tuple[float, float]] = deque(maxlen=256)
        self._stopping = False

    @property
    def load(self) -> float:
        """Share of the time that detection took lately; above 1 it falls behind."""
        sound = sum(seconds for seconds, _ in self._recent)
        return sum(busy for _, busy in self._recent) / sound if sound else 0.0

    def stop(self) -> None:
        """End `run` after the piece in hand; may be called from a signal handler."""
        self._stopping = True

    def run(
        self,
        *,
        duration: float | None = None,
        on_tick: Callable[[Snapshot], None] | None = None,
    ) -> Summary:
        """Listen until the source ends, `duration` seconds are over, or `stop`.

        Open events are closed in the end in every case.

        Parameters
        ----------
        duration : float or None
            Seconds of the time line.
        on_tick : callable or None
            Is given a snapshot every `TICK` seconds.

        Returns
        -------
        Summary
            Of the whole time.
        """
        rate = self.detector.sample_rate
        limit = math.inf if duration is None else round(duration * rate)
        self.detector.reset()
        observer = self.detector.observer
        history = None if on_tick is None else self._keep_history()
        ticked = -math.inf
        self._report({"state": "started", **self._settings()})
        try:
            while not self._stopping and self.n_samples < limit:
                pieces = self.source.read()
                tellers: list[Source | Sink] = [self.source, *self._sinks]
                for teller in tellers:
                    for notice in teller.notices():
                        self._report({"state": "notice", "text": notice})
                if pieces is None:
                    break
                for piece in _joined(pieces):
                    room = int(min(limit - self.n_samples, len(piece.samples)))
                    if room:
                        self._push(piece, piece.samples[:room])
                if on_tick and history and time.monotonic() - ticked >= TICK:
                    ticked = time.monotonic()
                    on_tick(self._snapshot(history))
                self.source.wait(self.detector.n_due, PATIENCE)
        finally:
            self.source.close()
            self._finish()
            self.detector.observer = observer
        return self.summary

    def _push(self, piece: Piece, samples: NDArray[np.float32]) -> None:
        rate = self.detector.sample_rate
        seconds = len(samples) / rate
        self._clock.note(self.n_samples + len(samples), len(samples))
        self._remind()
        behind = seconds > 1.5 * self.detector.stream.step
        self._mark_gap(piece.missing)
        self.peak = piece.peak
        for sink in self._sinks:
            sink.on_samples(samples)
        start = time.perf_counter()
        updates = self.detector.push_updates(
            samples, hurry=behind and not self.source.lossless
        )
        busy = time.perf_counter() - start
        self.n_samples += len(samples)
        self._recent.append((seconds, busy))
        self.summary.busy += busy
        if piece.missing:
            self.summary.n_lost += len(samples)
        else:
            self.summary.n_heard += len(samples)
        self._report_updates(updates, delay=busy)

    def _remind(self) -> None:
        """Say which clock time the time line began at: first, hourly, and if it moved."""
        if jumped := self._clock.jumped:
            text = f"the clock is {abs(jumped):.1f} s {'later' if jumped > 0 else 'earlier'}"
            text += " than the sound; times follow it from now on"
            self._report({"state": "notice", "text": text})
        due = self.n_samples // (REMINDER * self.detector.sample_rate)
        if due > self._reminded or jumped:
            self._reminded = due
            began = {
                "time": self._clock.time_of(0),
                "drift": round(self._clock.drift, 3),
            }
            self._report({"state": "listening", **began})

    def _mark_gap(self, reason: str) -> None:
        """Tell of a gap when it is over, with its exact ends."""
        rate = self.detector.sample_rate
        if self._gap is not None and self._gap[1] != reason:
            start, why = self._gap
            onset, offset = round(start / rate, 6), round(self.n_samples / rate, 6)
            times = {
                "time": self._clock.time_of(onset),
                "onset": onset,
                "offset": offset,
            }
            gap = {**times, "reason": why}
            self._report({"state": "gap", **gap})
            self._gap = None
        if reason and self._gap is None:
            self._gap = (self.n_samples, reason)

    def _finish(self) -> None:
        self._mark_gap("")
        self._report_updates(self.detector.flush_updates(), delay=0.0)
        self.summary.n_skipped = self.detector.n_skipped
        for sink in self._sinks:
            sink.settle()
            self._note_failures(sink)
        self._report({"state": "stopped", **self.summary.to_dict()})
        for sink in self._sinks:
            sink.close()
            self._note_failures(sink)

    def _note_failures(self, sink: Sink) -> None:
        if failures := sink.failures():
            self.summary.failures[sink.name] = failures

    def _report_updates(self, updates: Sequence[EventUpdate], *, delay: float) -> None:
        now = self.n_samples / self.detector.sample_rate
        wanted = [c for c in updates if not self._only or c.event.label in self._only]
        for update in wanted:
            if update.state == "closed":
                self.summary.events[update.event.label] += 1
            if update.state == "opened":
                self.summary.latencies.append(now + delay - update.event.onset)
            time_of_onset = self._clock.time_of(update.event.onset)
            self._report({**update.to_dict(), "time": time_of_onset}, update)

    def _report(
        self, record: Mapping[str, Any], update: EventUpdate | None = None
    ) -> None:
        now = round(self.n_samples / self.detector.sample_rate, 3)
        about = {"at": now, "run": self.run_id, "time": self._clock.time_now()}
        for sink in list(self._sinks):
            if sink not in self._sinks:  # it failed at the notice of another's failure
                continue
            try:
                sink.on_record({**about, **record}, update)
            except BrokenPipeError:  # the reader left: nobody listens to us any more
                self._sinks.remove(sink)
                self.stop()
            except OSError as error:
                self._sinks.remove(sink)
                self.summary.failures[sink.name] = {"failed": 1, "reason": str(error)}
                text = f"{sink.name} is told no more: {error}"
                self._report({"state": "notice", "text": text})

    def _keep_history(self) -> History:
        history = History(len(self.detector.model.info.labels))
        before = self.detector.observer
        others = [] if before is None else [before]
        self.detector.observer = Observers([history, *others])
        self._sinks.append(history)
        return history

    def _snapshot(self, history: History) -> Snapshot:
        info, stream = self.detector.model.info, self.detector.stream
        pending = self.detector.pending()
        duration = info.frontend.score_frame_duration
        picture, picture_end = history.picture.newest()
        column_duration = FRAMES * info.frontend.hop_length / self.detector.sample_rate
        thresholds = self.detector.post.per_label("onset_threshold", info.labels)
        return Snapshot(
            source=self.source.name,
            capture_rate=self.source.capture_rate,
            step=stream.step,
            latency=stream.latency,
            load=self.load,
            lost=self.summary.lost,
            now=self.n_samples / self.detector.sample_rate,
            peak=self.peak,
            labels=info.labels,
            scores=history.scores(pending),
            scores_end=(self.detector.n_final + len(pending)) * duration,
            frame_duration=duration,
            events=history.events,
            notice=history.notice,
            origin=self._clock.origin,
            reported=tuple(self._only),
            failures={**self.summary.failures, **self._failures()},
            thresholds=tuple(thresholds),
            picture=picture,
            picture_end=picture_end,
            column_duration=column_duration,
        )

    def _failures(self) -> dict[str, dict[str, Any]]:
        """Return what failed so far of those who are told."""
        told = ((sink.name, sink.failures()) for sink in self._sinks)
        return {name: failures for name, failures in told if failures}

    def _settings(self) -> dict[str, Any]:
        return {
            "source": self.source.name,
            "rate": self.source.capture_rate,
            "model": self.detector.model.info.name,
            "model_sha256": self.detector.model.sha256,
            "step": self.detector.stream.step,
            "latency": self.detector.stream.latency,
            "settle": self.detector.stream.settled,
        }


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Join neighbours that were heard, or are missing for the same reason."""
    joined: list[Piece] = []
    for reason, alike in groupby(pieces, key=lambda piece: piece.missing):
        same = list(alike)
        samples = np.concatenate([piece.samples for piece in same])
        joined.append(Piece(samples, reason, max(piece.peak for piece in same)))
    return joined
