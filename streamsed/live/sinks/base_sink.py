"""The methods that a sink may leave out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class BaseSink:
    """A sink without samples, messages, failures or waiting work.

    A base for sinks (see `streamsed.live.sinks.sink.Sink`), which override what they need
    beside their `name` and `on_record`.
    """

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Do nothing: most sinks use records only."""

    def notices(self) -> list[str]:
        """Return no messages."""
        return []

    def settle(self) -> None:
        """Do nothing: records may still follow, and `close` finishes the waiting ones."""

    def failures(self) -> dict[str, Any]:
        """Return no failures."""
        return {}

    def close(self) -> None:
        """Do nothing: nothing is waiting."""
