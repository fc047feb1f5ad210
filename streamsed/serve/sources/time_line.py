"""Consecutive pieces of a source: recorded and missing sound.

The time line is filled by the thread that reads the source and emptied by the one that
scores it. While a source is away, missing samples are added by the clock, so that its length
is the time since it began::

    clock   |-- starting --|---- connected ------|------- away --------|-- connected
    line    [missing       ][recorded           ][missing             ][recorded
                                    end of what was accounted for ^

A source may deliver some seconds ahead of real time when it is opened, such as a radio
server. They do not count as missing later, when it is lost.
"""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

from streamsed.audio.clock_drift import DRIFT, ClockDrift
from streamsed.audio.source import Piece

LATE = 5.0
"""Seconds for which samples from a network must be too few before they count as lost: late
ones have arrived by then."""

LEAD = 10.0
"""Seconds after its start in which a connection may get ahead of real time."""

CAPACITY = 30.0
"""Maximum seconds of sound that wait to be scored."""

MARGIN = 0.5
"""Seconds that the time line stays behind the clock while a source is away, so that the
first samples after that are never older than its end."""

LONGEST = 10.0
"""Maximum seconds of missing sound in one piece, to limit memory."""


class TimeLine:
    """The pieces of one source that wait to be read.

    Parameters
    ----------
    sample_rate : int
        Hz.
    began : float
        Monotonic clock of its first sample, in seconds.
    live : bool
        Whether the time while the source is away counts as missing: not for a recording.
    checked : bool
        Whether samples that are too few by the clock count as lost on the network.
    """

    def __init__(
        self, sample_rate: int, *, began: float, live: bool, checked: bool
    ) -> None:
        self._rate = sample_rate
        self._live = live
        self._checked = checked
        self._accounted = began  # clock of the end of the line, while away
        self._connected = False
        self._began = began
        self._n_given = self._n_missing = 0  # since then
        self._lead = 0.0
        self._drift = ClockDrift(sample_rate, patience=LATE)
        self._lock = threading.Lock()
        self._pieces: deque[Piece] = deque()
        self._n_waiting = 0
        self.n_dropped = 0  # not read in time, and not yet reported as missing

    @property
    def waiting(self) -> float:
        """Seconds that wait to be read."""
        return self._n_waiting / self._rate

    @property
    def ahead(self) -> float:
        """Clock at which the newest sample is due, if the first ones were on time.

        A source's clock may be as fast as `DRIFT`: a microphone that gains 4 s a day must
        not be slowed down some day, as it would then lose sound.
        """
        return self._began + self._n_given / (self._rate * (1 + DRIFT))

    def connect(self, now: float, n_samples: int, reason: str) -> None:
        """Note that sound arrives again; add the missing samples until then.

        Parameters
        ----------
        now : float
            Monotonic clock.
        n_samples : int
            Received samples that are about to be added.
        reason : str
            Why the source was away.
        """
        self.put_missing(now - n_samples / self._rate, reason)
        self._connected = True
        self._began = now - n_samples / self._rate  # clock of its first sample
        self._n_given = self._n_missing = 0
        self._lead = 0.0
        self._drift = ClockDrift(self._rate, patience=LATE)

    def put(self, piece: Piece, now: float) -> None:
        """Add recorded samples, or samples that the source reports as missing."""
        self._put(piece)
        self._n_given += len(piece.samples)
        seconds = (self._n_given + self._n_missing) / self._rate
        if now - self._began < LEAD:
            self._lead = max(self._lead, seconds - (now - self._began))
        if not self._checked:
            return
        accounted = self._n_given + self._n_missing
        if n_missing := self._drift.n_missing(accounted, now):
            self._put_zeros(n_missing, "the network lost it")
            self._n_missing += n_missing

    def lose(self, last: float) -> None:
        """Note that the connection is over.

        Parameters
        ----------
        last : float
            Clock at which its last samples were received.
        """
        if self._connected:
            self._accounted = last + self._lead
        self._connected = False

    def put_missing(self, until: float, reason: str) -> None:
        """Add zeros up to a moment of the clock, while the source is away."""
        if not self._live:
            return
        while (seconds := min(until - self._accounted, LONGEST)) * self._rate >= 1:
            n_missing = round(seconds * self._rate)
            self._put_zeros(n_missing, reason)
            self._accounted += n_missing / self._rate

    def take(self) -> list[Piece]:
        """Remove and return all pieces."""
        with self._lock:
            pieces, self._pieces = list(self._pieces), deque()
            n_dropped, self.n_dropped = self.n_dropped, 0
            self._n_waiting = 0
        if n_dropped:
            zeros = np.zeros(n_dropped, dtype=np.float32)
            pieces.insert(0, Piece(zeros, missing="the program was too slow"))
        return pieces

    def _put_zeros(self, n_samples: int, reason: str) -> None:
        self._put(Piece(np.zeros(n_samples, dtype=np.float32), missing=reason))

    def _put(self, piece: Piece) -> None:
        if not len(piece.samples):
            return
        with self._lock:
            self._pieces.append(piece)
            self._n_waiting += len(piece.samples)
            while self._n_waiting > CAPACITY * self._rate and len(self._pieces) > 1:
                oldest = len(self._pieces.popleft().samples)
                self._n_waiting -= oldest
                self.n_dropped += oldest
