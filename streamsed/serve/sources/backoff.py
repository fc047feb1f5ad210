"""Exponential backoff and circuit breaker for reopening a source.

The wait doubles with each failure, with jitter so that many sources do not reconnect at the
same moment, and is reset after a source has worked for a while. A circuit breaker opens when
a source fails early several times in a row, or for a reason that another attempt does not
fix: then attempts are rare, and the source is reported as broken.
"""

from __future__ import annotations

import random

FIRST, LONGEST = 1.0, 120.0
"""Shortest and longest wait in seconds."""

JITTER = 0.2
"""Maximum relative deviation of a wait."""

OPEN = 30.0
"""Seconds of the first wait after repeated early failures, which a restarting camera
causes too."""

YOUNG, MAX_YOUNG = 5.0, 5
"""Seconds of sound below which a failure is early, and how many in a row open the
circuit breaker."""

LASTED = 30.0
"""Seconds of sound after which the backoff is reset."""


class Backoff:
    """Backoff of one source.

    Parameters
    ----------
    rng : random.Random or None
        Generator of the jitter.

    Examples
    --------
    >>> backoff = Backoff(random.Random(0))
    >>> [round(backoff.failed(lasted=0.0)) for _ in range(6)]
    [1, 2, 4, 7, 30, 58]
    >>> backoff.broken
    True
    >>> round(backoff.failed(lasted=60.0)), backoff.broken
    (1, False)
    """

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()
        self._wait = FIRST
        self._n_young = 0
        self.broken = False
        """Whether the circuit breaker is open."""

    def failed(self, *, lasted: float, permanent: bool = False) -> float:
        """Return the seconds to wait after an attempt ended.

        Parameters
        ----------
        lasted : float
            Seconds of sound received in the attempt.
        permanent : bool
            Whether another attempt is unlikely to help.
        """
        if lasted >= LASTED:
            self._wait, self._n_young = FIRST, 0
        self._n_young = self._n_young + 1 if lasted < YOUNG else 0
        self.broken = permanent or self._n_young >= MAX_YOUNG
        if self.broken:
            self._wait = max(self._wait, LONGEST if permanent else OPEN)
        wait, self._wait = self._wait, min(2 * self._wait, LONGEST)
        return wait * self._rng.uniform(1 - JITTER, 1 + JITTER)
