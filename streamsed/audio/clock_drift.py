"""Detect samples that a driver lost without reporting it, by the clock.

Some drivers drop sound without reporting it, mostly after the program was paused for a
while. The clock reveals this: a capture that lost 3 s stays 3 s behind. Jitter delays a
block but not the next ones, and the clocks of the computer and the sound card differ by a
few parts per million; neither is a loss.
"""

from __future__ import annotations

TOLERANCE = 0.5
"""Seconds that a capture may be behind the clock."""

PATIENCE = 1.0
"""Seconds that the capture must stay behind: a late driver catches up."""

DRIFT = 500e-6
"""Seconds per second that the two clocks may differ by."""


class ClockDrift:
    """Count the samples that are missing according to the clock.

    Parameters
    ----------
    rate : int
        Hz of the capture.
    patience : float
        Seconds for which samples must be too few before they count as lost.

    Examples
    --------
    >>> drift = ClockDrift(100)
    >>> [drift.n_missing(100 * second, float(second)) for second in range(3)]
    [0, 0, 0]
    >>> [drift.n_missing(100 * second - 300, float(second)) for second in range(6, 9)]
    [0, 300, 300]
    """

    def __init__(self, rate: int, *, patience: float = PATIENCE) -> None:
        self._rate = rate
        self._patience = patience
        self._usual: float | None = None  # smallest delay of the samples seen
        self._last = 0.0
        self._late_since: float | None = None

    def n_missing(self, n_samples: int, clock: float) -> int:
        """Return the number of missing samples; 0 means none.

        Parameters
        ----------
        n_samples : int
            Samples captured so far, including those found to be missing.
        clock : float
            Seconds; time of the last sample.
        """
        behind = clock - n_samples / self._rate
        if self._usual is None:
            self._usual, self._last = behind, clock
        elapsed = min(
            clock - self._last, self._patience
        )  # a pause carries no information on the drift
        self._usual = min(behind, self._usual + DRIFT * elapsed)
        self._last = clock
        late = behind - self._usual
        if late < TOLERANCE:
            self._late_since = None
            return 0
        if self._late_since is None:
            self._late_since = clock
        if clock - self._late_since < self._patience:
            return 0
        return round(late * self._rate)
