"""A live stream: pieces of sound in, records to sinks out.

The reader of a source pushes its pieces here: `Listener` from one source in a loop,
`streamsed serve` from many in turn. A gap is reported when it ends, with its exact limits.
The time line continues through missing sound: short gaps are pushed as zeros, and long
ones are skipped at the end, when no event is open any more.

Every record says `at` which second of the time line it was made, the id of the `run`, and
a clock `time`: that of its onset where it has one, else that of its making.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from streamsed.audio.source import Piece
from streamsed.detector import Detector
from streamsed.live.mel_picture import FRAMES
from streamsed.live.sinks.group import SinkGroup
from streamsed.live.sinks.sink import Sink
from streamsed.live.snapshot import History, Snapshot
from streamsed.live.summary import Summary
from streamsed.live.wall_clock import WallClock, rfc_3339
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.pipeline.trace import Observers

REMINDER = 3600
"""Seconds of the time line after which the origin of the times is logged again."""


class LiveStream:
    """Detect events in one stream, from start to end, and report them to sinks.

    Parameters
    ----------
    detector : Detector
        It is reset by `begin`.
    sinks : sequence of Sink
        Receive records; closed at the end. A sink that fails receives no more.
    name : str
        Name of the source, for people.
    capture_rate : int
        Hz of the source, for people.
    lossless : bool
        Whether the source waits for the reader, so that its sound is not in real time.
    only : sequence of str
        Labels to report; empty reports all.
    """

    def __init__(
        self,
        detector: Detector,
        sinks: Sequence[Sink],
        *,
        name: str,
        capture_rate: int,
        lossless: bool = False,
        only: Sequence[str] = (),
    ) -> None:
        self.detector = detector
        self.summary = Summary(detector.sample_rate)
        self.n_samples = 0  # of the time line
        self.peak = 0.0  # of the latest piece
        self.run_id = secrets.token_hex(4)
        self._source = name
        self._capture_rate = capture_rate
        self._clock = WallClock(detector.sample_rate, follow=not lossless)
        self._reminded = -1  # reminders given
        self._sinks = SinkGroup(sinks, self.summary.failures)
        self._only = only
        self._gap: tuple[int, str] | None = None  # where the current gap began, and why
        self._recent: deque[tuple[float, float]] = deque(maxlen=256)
        self._history: History | None = None
        self._observer = detector.observer

    @property
    def reader_left(self) -> bool:
        """Whether the reader of a pipe with records has closed it."""
        return self._sinks.reader_left

    @property
    def load(self) -> float:
        """Recent share of the time spent on detection; above 1 it falls behind."""
        sound = sum(seconds for seconds, _ in self._recent)
        return sum(busy for _, busy in self._recent) / sound if sound else 0.0

    def begin(self, *, watched: bool = False) -> None:
        """Start the stream at its first sample.

        Parameters
        ----------
        watched : bool
            Whether snapshots will be taken.
        """
        self.detector.reset()
        self._observer = self.detector.observer
        if watched:
            self._history = self._keep_history()
        self.report({"state": "started", **self._settings()})

    def push(self, piece: Piece, *, hurry: bool) -> None:
        """Take the next samples of the time line.

        Parameters
        ----------
        piece : Piece
            Recorded or missing samples.
        hurry : bool
            Whether segments may be skipped if the piece is longer than a step.
        """
        samples = piece.samples
        seconds = len(samples) / self.detector.sample_rate
        self._clock.note(self.n_samples + len(samples), len(samples))
        self._remind()
        behind = seconds > 1.5 * self.detector.stream.step
        self._mark_gap(piece.missing)
        self.peak = piece.peak
        self._sinks.push(samples)
        start = time.perf_counter()
        updates = self.detector.push_updates(samples, hurry=behind and hurry)
        busy = time.perf_counter() - start
        self.n_samples += len(samples)
        self._recent.append((seconds, busy))
        self.summary.busy += busy
        if piece.missing:
            self.summary.n_lost += len(samples)
        else:
            self.summary.n_listened += len(samples)
        self._report_updates(updates, delay=busy)

    def notices(self) -> list[str]:
        """Return the new messages of the sinks."""
        return self._sinks.notices()

    def settle(self) -> None:
        """Close open events; nothing can be pushed after that."""
        self._report_updates(self.detector.flush_updates(), delay=0.0)
        self.summary.n_skipped = self.detector.n_skipped
        self._sinks.settle()

    def finish(self, *, settled: bool = False, n_missing: int = 0) -> None:
        """End the stream and close the sinks.

        Parameters
        ----------
        settled : bool
            Whether `settle` was called.
        n_missing : int
            Missing samples at the end beyond those that were pushed.
        """
        self.n_samples += n_missing
        self.summary.n_lost += n_missing
        try:
            self._mark_gap("")
            if not settled:
                self.settle()
            self.report({"state": "stopped", **self.summary.to_dict()})
        finally:
            self._sinks.close()
            self.detector.observer = self._observer

    def snapshot(self) -> Snapshot:
        """Return the current state, after `begin(watched=True)`.

        Raises
        ------
        RuntimeError
            Without `watched=True`.
        """
        history = self._history
        if history is None:
            raise RuntimeError("snapshot needs begin(watched=True)")
        info, stream = self.detector.model.info, self.detector.stream
        pending = self.detector.pending()
        duration = info.frontend.score_frame_duration
        picture, picture_end = history.picture.newest()
        column_duration = FRAMES * info.frontend.hop_length / self.detector.sample_rate
        thresholds = self.detector.post.per_label("onset_threshold", info.labels)
        return Snapshot(
            source=self._source,
            capture_rate=self._capture_rate,
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
            failures=self._sinks.failures(),
            thresholds=tuple(thresholds),
            picture=picture,
            picture_end=picture_end,
            column_duration=column_duration,
        )

    def report(
        self, record: Mapping[str, Any], update: EventUpdate | None = None
    ) -> None:
        """Pass a record to the sinks, with its position and clock time."""
        now = round(self.n_samples / self.detector.sample_rate, 3)
        about = {"at": now, "run": self.run_id, "time": self._clock.time_now()}
        for text in self._sinks.report({**about, **record}, update):
            self.report({"state": "notice", "text": text})

    def _remind(self) -> None:
        """Report the clock time of the origin: at first, hourly, and if it changed."""
        if jumped := self._clock.jumped:
            text = f"the clock is {abs(jumped):.1f} s {'later' if jumped > 0 else 'earlier'}"
            text += " than the sound; times follow the clock from now on"
            self.report({"state": "notice", "text": text})
        due = self.n_samples // (REMINDER * self.detector.sample_rate)
        if due > self._reminded or jumped:
            self._reminded = due
            began = {
                "time": rfc_3339(self._clock.origin),
                "drift": round(self._clock.drift, 3),
            }
            self.report({"state": "listening", **began})

    def _mark_gap(self, reason: str) -> None:
        """Report a gap when it is over, with its exact limits."""
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
            self.report({"state": "gap", **gap})
            self._gap = None
        if reason and self._gap is None:
            self._gap = (self.n_samples, reason)

    def _report_updates(self, updates: Sequence[EventUpdate], *, delay: float) -> None:
        now = self.n_samples / self.detector.sample_rate
        wanted = [c for c in updates if not self._only or c.event.label in self._only]
        for update in wanted:
            if update.state == "closed":
                self.summary.events[update.event.label] += 1
            if update.state == "opened":
                self.summary.latencies.append(now + delay - update.event.onset)
            time_of_onset = self._clock.time_of(update.event.onset)
            self.report({**update.to_dict(), "time": time_of_onset}, update)

    def _keep_history(self) -> History:
        history = History(len(self.detector.model.info.labels))
        before = self.detector.observer
        others = [] if before is None else [before]
        self.detector.observer = Observers([history, *others])
        self._sinks.add(history)
        return history

    def _settings(self) -> dict[str, Any]:
        return {
            "source": self._source,
            "rate": self._capture_rate,
            "model": self.detector.model.info.name,
            "model_sha256": self.detector.model.sha256,
            "step": self.detector.stream.step,
            "latency": self.detector.stream.latency,
            "settle": self.detector.stream.settled,
        }
