"""A lock-free ring buffer between the audio callback and the program.

One thread writes and one reads. The writer never blocks: if the reader is too late, the
oldest samples are overwritten, and `read` returns how many were lost. Both sides count
samples from the start and never reset::

    written   0 ........................................ n_written
    kept                     [ the last `capacity` samples ]
    read      0 ................................ n_read

The writer announces a block before copying it and counts it afterwards, so the reader
notices that a sample was overwritten while being read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Ring:
    """Keep the latest samples of a capture.

    Parameters
    ----------
    capacity : int
        Maximum number of samples per channel that wait for the reader.
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
        """Samples per channel that are not yet read or counted as lost."""
        return self.n_written - self._n_read

    def write(self, block: NDArray[np.float32]) -> None:
        """Add a block, float32 (n_samples, n_channels); never blocks, never fails."""
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
        """Return all unread samples.

        Returns
        -------
        samples : float32 (n_samples, n_channels)
            The latest samples written since the last call.
        n_lost : int
            Samples per channel before these that were overwritten before being read.
        """
        capacity = len(self._held)
        end = self.n_written
        first = max(self._n_read, end - capacity)
        positions = np.arange(first, end) % capacity
        samples = self._held[positions]
        # Blocks announced in the meantime may have overwritten the oldest samples copied.
        torn = min(len(samples), max(0, self._announced - capacity - first))
        n_lost = first + torn - self._n_read
        self._n_read = end
        return samples[torn:], n_lost
