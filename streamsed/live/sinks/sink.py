"""Who is told of events while one listens: what they have in common.

None of them can hold up the detection of live sound: what is slow runs in a thread of its
own behind a queue of fixed length. None of them fails in silence: what failed, how often,
why and until when stands in the summary of the listening.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streamsed.live.sinks.background import Worker
from streamsed.live.sinks.json_lines import JsonLines
from streamsed.pipeline.lifecycle import EventUpdate

RECORDS_LENGTH = 10_000
"""Records that wait for a slow reader."""


class Sink(Protocol):
    """What `Listener` tells what it hears."""

    name: str
    """For the summary."""

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Take the samples of the time line, float32 (n_samples,), gaps as zeros."""

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Take one record for JSON, and the update it stands for, if it does."""

    def notices(self) -> list[str]:
        """Return sentences about the sink that people should read, each once."""

    def settle(self) -> None:
        """Finish what events have begun, within seconds: no event comes any more."""

    def failures(self) -> dict[str, Any]:
        """Return what failed so far, for JSON; empty if nothing did."""

    def close(self) -> None:
        """Finish what waits, within seconds."""


class QueuedSink:
    """Pass records on to lines that may be slow, such as a pipe that nobody reads.

    Parameters
    ----------
    lines : JsonLines
        Are written in a thread of their own; what they raise is raised at the next record.
    """

    def __init__(self, lines: JsonLines) -> None:
        self.name = lines.name
        self._lines = lines
        self._error: OSError | None = None
        self.worker = Worker("records for a slow reader", length=RECORDS_LENGTH)

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Take no notice."""

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Queue the record."""
        if self._error is not None:
            raise self._error
        self.worker.submit(lambda: self._pass_on(record, update))

    def notices(self) -> list[str]:
        """Tell of the records that did not fit, or could not be written."""
        if self._lines.failing:
            self.worker.submit(self._retry)
        return [*self.worker.notices(), *self._lines.news()]

    def settle(self) -> None:
        """Do nothing: the last record is still to come."""

    def failures(self) -> dict[str, Any]:
        """Return what was left out, and what the lines say."""
        return {**self.worker.failures(), **self._lines.failures()}

    def close(self) -> None:
        """Let the records that wait be taken."""
        self.worker.close()
        self._lines.close()

    def _pass_on(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        if self._error is None:
            try:
                self._lines.on_record(record, update)
            except OSError as error:
                self._error = error

    def _retry(self) -> None:
        if self._error is None:
            try:
                self._lines.retry()
            except OSError as error:
                self._error = error
