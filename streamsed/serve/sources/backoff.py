"""How long to wait before a source is opened again.

The wait doubles from one failure to the next, with jitter so that many sources do not come
back at one moment, and starts over once a source has lasted. A circuit breaker opens when
a source dies young several times in a row, or for a reason that trying again does not
mend: then it is tried seldom, and people are told that it is broken.
"""

from __future__ import annotations

import random

FIRST, LONGEST = 1.0, 120.0
"""Seconds of the first wait and of the longest."""

JITTER = 0.2
"""Share by which a wait is shorter or longer."""

OPEN = 30.0
"""Seconds of the first wait while the breaker is open for deaths, which a camera that
starts again has too."""

YOUNG, MAX_YOUNG = 5.0, 5
"""Seconds of sound below which a source died young, and how often in a row it may."""

LASTED = 30.0
"""Seconds of sound after which a source counts as well."""


class Backoff:
    """Choose the waits of one source.

    Parameters
    ----------
    rng : random.Random or None
        Of the jitter.

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
            Seconds of sound that the attempt gave.
        permanent : bool
            Whether its reason is one that trying again does not mend.
        """
        if lasted >= LASTED:
            self._wait, self._n_young = FIRST, 0
        self._n_young = self._n_young + 1 if lasted < YOUNG else 0
        self.broken = permanent or self._n_young >= MAX_YOUNG
        if self.broken:
            self._wait = max(self._wait, LONGEST if permanent else OPEN)
        wait, self._wait = self._wait, min(2 * self._wait, LONGEST)
        return wait * self._rng.uniform(1 - JITTER, 1 + JITTER)
