"""A ring of samples between the audio callback and the program, without a lock.

One thread writes and one reads. The writer never waits: where the reader is too late, the
oldest samples are overwritten, and the reader is told how many it missed. Both sides count
samples from the start and never reset::

    written   0 ........................................ n_written
    held                     [ the last `capacity` samples ]
    read      0 ................................ n_read

The writer announces a block before it copies and counts it after, so the reader can tell
that a sample was overwritten while it was being read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Ring:
    """Hold the newest samples of a capture.

    Parameters
    ----------
    capacity : int
        Samples per channel that wait for the reader at most.
    n_channels : int
        Channels.

    Examples
    --------
    >>> ring = Ring(4, 1)
    >>> for value in range(6):
    ...     ring.write(np.full((1, 1), value, np.float32))
    >>> samples, n_lost = ring.read()
    >>> samples.ravel().tolist(), n_lost
    ([2.0, 3.0, 4.0, 5.0], 2)
    """

    def __init__(self, capacity: int, n_channels: int) -> None:
        if capacity < 1 or n_channels < 1:
            raise ValueError(
                f"capacity={capacity} and n_channels={n_channels} must be positive"
            )
        self._held = np.zeros((capacity, n_channels), dtype=np.float32)
        self._announced = 0  # by the writer, before it copies
        self.n_written = 0  # by the writer, after it copied
        self._n_read = 0  # by the reader

    @property
    def n_waiting(self) -> int:
        """Samples per channel that wait to be read, or to be counted as lost."""
        return self.n_written - self._n_read

    def write(self, block: NDArray[np.float32]) -> None:
        """Take a block, float32 (n_samples, n_channels); never waits, never fails."""
        capacity = len(self._held)
        end = self.n_written + len(block)
        self._announced = end
        kept = block[-capacity:]
        start = (end - len(kept)) % capacity
        head = min(len(kept), capacity - start)
        self._held[start : start + head] = kept[:head]
        self._held[: len(kept) - head] = kept[head:]
        self.n_written = end

    def read(self) -> tuple[NDArray[np.float32], int]:
        """Take everything that waits.

        Returns
        -------
        samples : float32 (n_samples, n_channels)
            The newest of what was written since the last call.
        n_lost : int
            Samples per channel before these that were overwritten unread.
        """
        capacity = len(self._held)
        end = self.n_written
        first = max(self._n_read, end - capacity)
        positions = np.arange(first, end) % capacity
        samples = self._held[positions]
        # What was announced meanwhile may have overwritten the oldest of the copy.
        torn = min(len(samples), max(0, self._announced - capacity - first))
        n_lost = first + torn - self._n_read
        self._n_read = end
        return samples[torn:], n_lost
