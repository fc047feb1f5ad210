"""Whether a capture keeps up with the clock, or lost sound without a word.

Some drivers drop sound silently, most of all after the program was stopped for a while.
The clock gives them away: a capture that lost 3 s has 3 s of samples too few from then
on. Jitter makes a block late but not the next ones, and the crystals of clock and sound
card differ by some millionths; neither is a loss.
"""

from __future__ import annotations

TOLERANCE = 0.5
"""Seconds that a capture may be behind the clock."""

PATIENCE = 1.0
"""Seconds that it must be so before it is called a loss: a late driver catches up."""

DRIFT = 500e-6
"""Seconds per second by which the clocks may differ."""


class ClockDrift:
    """Tell how many samples are missing by the clock.

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
        self._usual: float | None = None  # by how much the samples are behind, at best
        self._last = 0.0
        self._late_since: float | None = None

    def n_missing(self, n_samples: int, clock: float) -> int:
        """Return the samples that are missing, 0 while all is well.

        Parameters
        ----------
        n_samples : int
            Captured up to now, those that were found missing included.
        clock : float
            Seconds; when the last of them came.
        """
        behind = clock - n_samples / self._rate
        if self._usual is None:
            self._usual, self._last = behind, clock
        elapsed = min(
            clock - self._last, self._patience
        )  # a hole says nothing of the drift
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
