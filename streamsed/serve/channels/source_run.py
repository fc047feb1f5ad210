"""A *run* of a source: a stream without a long gap.

Missing samples of up to `BRIDGE` seconds are pushed as silence, so that a short dropout of a
camera does not end an event. After that all events are closed, and nothing is scored until
sound arrives again: then the gap is reported with its exact length, and a new run begins
with a reset detector::

    sound ~~~~~~~~~~~ missing 0 0 0 0 | not scored | sound ~~~~~~~~
    run 1 [                           .        gap ][ run 2
                                      `asleep` from here on
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streamsed.audio.source import Piece
from streamsed.detector import Detector
from streamsed.live.sinks.sink import Sink
from streamsed.live.snapshot import Snapshot
from streamsed.live.stream import LiveStream

BRIDGE = 10.0
"""Seconds of missing sound after which a run ends: the length of a segment."""


class SourceRun:
    """Score the samples of a source, until a gap is too long.

    Parameters
    ----------
    detector : Detector
        Reset at the beginning of the run.
    sinks : sequence of Sink
        They receive the records and samples of the run, and are closed at its end.
    address : str
        Address of the source, without credentials.
    capture_rate : int
        Sampling frequency of the source, in Hz.
    only : sequence of str
        Labels that are reported; empty for all.
    """

    def __init__(
        self,
        detector: Detector,
        sinks: Sequence[Sink],
        *,
        address: str,
        capture_rate: int,
        only: Sequence[str],
    ) -> None:
        self._detector = detector
        self._stream = LiveStream(
            detector, sinks, name=address, capture_rate=capture_rate, only=only
        )
        self._stream.begin(watched=True)
        self.asleep = False
        """Whether its events are closed, so that sound begins another run."""
        self._n_gap = 0  # samples of the gap at the end, up to now
        self._n_unscored = 0  # samples of the gap since the run fell asleep

    def push(self, piece: Piece) -> None:
        """Take the next samples; recorded ones only if the run is not `asleep`."""
        n_samples = len(piece.samples)
        if self.asleep:
            self._n_unscored += n_samples
            return
        self._stream.push(piece, hurry=True)
        self._n_gap = self._n_gap + n_samples if piece.missing else 0
        if self._n_gap >= BRIDGE * self._detector.sample_rate:
            self._stream.settle()
            self.asleep = True

    def finish(self) -> None:
        """End the run with the gap at its end, and close its sinks."""
        settled, n_missing = self.asleep, self._n_unscored
        self.asleep, self._n_unscored = False, 0
        self._stream.finish(settled=settled, n_missing=n_missing)

    def report(self, record: Mapping[str, Any]) -> None:
        """Pass a record to the sinks of the run, with its position and clock time."""
        self._stream.report(record)

    def notices(self) -> list[str]:
        """Return the new messages of the sinks."""
        return self._stream.notices()

    def last_notices(self) -> list[str]:
        """Return the last messages of the sinks, which are closed now."""
        unclosed = [
            f"{name}: not closed properly: {failure['reason']}"
            for name, failure in self._stream.summary.failures.items()
            if "unclosed" in failure
        ]
        return [*self._stream.notices(), *unclosed]

    def snapshot(self) -> Snapshot:
        """Return the data that the page draws."""
        return self._stream.snapshot()

    @property
    def listened(self) -> float:
        """Seconds of the run with sound."""
        return self._stream.summary.listened

    @property
    def lost(self) -> float:
        """Seconds of the run without sound."""
        unscored = self._n_unscored / self._detector.sample_rate
        return self._stream.summary.lost + unscored

    @property
    def n_skipped(self) -> int:
        """Segments of the run that were not scored, to keep up."""
        return self._detector.n_skipped
