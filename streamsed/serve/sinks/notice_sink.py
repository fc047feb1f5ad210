"""Print the notices of all sources and outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsed.pipeline.lifecycle import EventUpdate


class NoticeSink:
    """Print notices.

    Parameters
    ----------
    print_message : callable
        Prints one line.
    """

    name = "terminal"

    def __init__(self, print_message: Callable[[str], None]) -> None:
        self._print = print_message

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Do nothing: samples are not printed."""

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:  # noqa: ARG002
        """Print a record if it is a notice."""
        if record["state"] == "notice":
            self._print(str(record["text"]))

    def notices(self) -> list[str]:
        """Return nothing."""
        return []

    def settle(self) -> None:
        """Do nothing: nothing is queued."""

    def failures(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def close(self) -> None:
        """Do nothing: nothing is queued."""
