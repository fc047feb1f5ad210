"""The clock time of a time line that counts samples.

Samples measure durations exactly, but not the time of day: the clock of a sound card may
be off by a second in a few hours, a suspended machine records nothing, and the system
clock may be set. So the two are compared as sound arrives::

    clock time of sample n  =  anchor + n / rate

A sample cannot arrive early, but it may arrive late. The anchor is therefore the smallest
difference of the last minute, and is updated every minute; a jump of seconds is followed
at once. The time line itself is never changed.

A clock that was set was wrong before, so the whole time line moves with it. If the machine
was suspended, what was recorded before keeps its times: an event that began in the evening
does not move to the morning when it is settled then.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

WINDOW = 60.0
"""Seconds of sound after which the anchor is updated."""

JUMP = 5.0
"""Difference in seconds that is followed at once."""

MAX_PARTS = 1000
"""Number of suspensions that are remembered."""

PROMPT = 0.5
"""Maximum length in seconds of a piece that arrived without delay."""


class WallClock:
    """Convert positions on a time line to clock times.

    Parameters
    ----------
    rate : int
        Samples per second of the time line.
    follow : bool
        Whether sound arrives in real time; that of a file does not, and its clock is
        never corrected.
    now : callable
        Seconds since 1970.
    suspended : callable or None
        Seconds for which the machine was suspended, up to now; None asks the system.
    """

    def __init__(
        self,
        rate: int,
        *,
        follow: bool = True,
        now: Callable[[], float] = time.time,
        suspended: Callable[[], float] | None = None,
    ) -> None:
        self._rate = rate
        self._follow = follow
        self._now = now
        self._suspended = suspended or seconds_suspended
        self._suspended_before = self._suspended()  # when the clocks last agreed
        # Ends of the parts of the time line before a suspension, and their anchors.
        self._parts: deque[tuple[float, float]] = deque(maxlen=MAX_PARTS)
        self._first: float | None = None  # the first anchor
        self._anchor = now()
        self._smallest = float("inf")  # smallest difference in this window
        self._window_end = 0.0
        self.jumped = 0.0  # seconds, in the last call of `note`

    @property
    def drift(self) -> float:
        """Seconds that the clock has gained on the time line since its start."""
        return 0.0 if self._first is None else self._anchor - self._first

    @property
    def origin(self) -> float:
        """Clock time of the start of the time line, in seconds since 1970.

        It is counted back from now, as if the machine had never been suspended.
        """
        return self._anchor

    def note(self, n_samples: int, n_new: int) -> None:
        """Compare the clocks.

        Parameters
        ----------
        n_samples : int
            Length of the time line.
        n_new : int
            How many of its last samples have just arrived together.
        """
        self.jumped = 0.0
        at = n_samples / self._rate
        difference = self._now() - at
        if self._first is None:
            self._first = self._anchor = difference
            self._window_end = at + WINDOW
        if not self._follow:
            return
        prompt = n_new <= PROMPT * self._rate
        off = difference - self._anchor
        if off < -JUMP or (prompt and off > JUMP):
            self.jumped = off
            if off > 0 and self._suspended() - self._suspended_before > off - JUMP:
                self._parts.append((at - n_new / self._rate, self._anchor))
            self._set(difference, at)
        elif off < 0 and at < WINDOW:  # the first piece arrived late
            self._first = self._anchor = difference
        if abs(difference - self._anchor) <= JUMP:
            self._suspended_before = self._suspended()
        self._smallest = min(self._smallest, difference)
        if at >= self._window_end:
            self._set(self._smallest, at)

    def time_of(self, seconds: float) -> str:
        """Return the clock time of a position in seconds, in RFC 3339 with the zone."""
        for end, anchor in self._parts:
            if seconds < end:
                return rfc_3339(anchor + seconds)
        return rfc_3339(self._anchor + seconds)

    def time_now(self) -> str:
        """Return the current clock time, in RFC 3339 with the zone."""
        return rfc_3339(self._now())

    def _set(self, anchor: float, at: float) -> None:
        self._anchor = anchor
        self._smallest = float("inf")
        self._window_end = at + WINDOW


def seconds_suspended() -> float:
    """Return for how long this machine was suspended since it started; 0 if unknown."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return 0.0 if boot is None else time.clock_gettime(boot) - time.monotonic()


def rfc_3339_now() -> str:
    """Return the clock time now, in the zone of this machine."""
    return rfc_3339(time.time())


def rfc_3339(seconds: float) -> str:
    """Format a clock time in the local time zone, in RFC 3339.

    Parameters
    ----------
    seconds : float
        Since 1970.
    """
    moment = datetime.fromtimestamp(seconds, UTC).astimezone()
    return moment.isoformat(timespec="milliseconds")
