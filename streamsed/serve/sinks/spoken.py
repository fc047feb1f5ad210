"""Notices of all sources and outputs, said to the person or the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsed.pipeline.lifecycle import EventUpdate


class SpokenSink:
    """Say every notice.

    Parameters
    ----------
    say : callable
        Is given sentences.
    """

    name = "terminal"

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Do nothing: sound is not said."""

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:  # noqa: ARG002
        """Say a record if it is a notice."""
        if record["state"] == "notice":
            self._say(str(record["text"]))

    def notices(self) -> list[str]:
        """Return nothing."""
        return []

    def settle(self) -> None:
        """Do nothing: nothing waits."""

    def failures(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def close(self) -> None:
        """Do nothing: nothing waits."""
