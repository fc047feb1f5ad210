"""Messages about a source that is lost repeatedly: each problem is reported once.

A camera with a loose cable is lost a thousand times a day; nobody reads a thousand messages.
"""

from __future__ import annotations

from collections.abc import Sequence

NOTICE_EVERY = 600.0
"""Seconds within which a source that is lost again for the same reason is not reported."""

MAX_REASONS = 32
"""Maximum number of reasons that are remembered."""


class Troubles:
    """Remember what was reported about one source.

    Examples
    --------
    >>> troubles = Troubles()
    >>> troubles.lost("no route", now=0.0), troubles.lost("no route", now=1.0)
    (['no route; trying again'], [])
    >>> troubles.back(), troubles.back()
    (['is back'], [])
    >>> troubles.lost("no route", now=60.0), troubles.back()
    ([], [])
    """

    def __init__(self) -> None:
        self._reported: dict[str, float] = {}  # when each reason was last reported
        self._now = ""  # the current problem
        self._is_known = False  # whether it was reported

    def lost(self, reason: str, now: float) -> Sequence[str]:
        """Return the message for a source that is lost, if any.

        Parameters
        ----------
        reason : str
            Why it is away.
        now : float
            Seconds.
        """
        if reason == self._now:
            return []
        self._now = reason
        if now - self._reported.get(reason, float("-inf")) < NOTICE_EVERY:
            return []
        self._reported.pop(reason, None)
        self._reported[reason] = now
        while len(self._reported) > MAX_REASONS:
            del self._reported[next(iter(self._reported))]
        self._is_known = True
        return [f"{reason}; trying again"]

    def back(self) -> Sequence[str]:
        """Return the message for a source that is back, if any."""
        was_known, self._is_known, self._now = self._is_known, False, ""
        return ["is back"] if was_known else []
