"""The interface of receivers of live events.

Sinks never block the detection of live sound: slow ones run in their own thread behind a
queue of fixed length. They never fail silently: the summary at the end lists what failed,
how often, why and until when.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streamsed.live.sinks.background import Worker
from streamsed.live.sinks.base_sink import BaseSink
from streamsed.live.sinks.json_lines import JsonLines
from streamsed.pipeline.lifecycle import EventUpdate

RECORDS_LENGTH = 10_000
"""Maximum number of records that wait for a slow reader."""


class Sink(Protocol):
    """Receives what a `Listener` detects."""

    name: str
    """Name in the summary."""

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Receive samples of the time line, float32 (n_samples,), with zeros for gaps."""

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Receive one record for JSON, and the update it is made from, if any."""

    def notices(self) -> list[str]:
        """Return new messages about the sink for the user, each once."""

    def settle(self) -> None:
        """Finish the work on events within seconds: no more events follow."""

    def failures(self) -> dict[str, Any]:
        """Return the failures so far, for JSON; empty if there are none."""

    def close(self) -> None:
        """Finish the waiting work within seconds."""


def fault_of(step: Callable[[], None]) -> str:
    """Settle or close a sink; return in one line what went wrong, or "".

    Parameters
    ----------
    step : callable
        Its `settle` or `close`. Sinks use libraries with exceptions of their own, and none
        of them may keep the other sinks from being closed.
    """
    try:
        step()
    except Exception as error:  # noqa: BLE001 - see above
        return " ".join(str(error).split()) or type(error).__name__
    return ""


class QueuedSink(BaseSink):
    """Write records in a thread, for a pipe that may be read slowly or not at all.

    Parameters
    ----------
    lines : JsonLines
        Written in a separate thread; its errors are raised at the next record.
    """

    def __init__(self, lines: JsonLines) -> None:
        self.name = lines.name
        self._lines = lines
        self._error: OSError | None = None
        self.worker = Worker("records for a slow reader", length=RECORDS_LENGTH)

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Queue the record."""
        if self._error is not None:
            raise self._error
        self.worker.submit(lambda: self._write(record, update))

    def notices(self) -> list[str]:
        """Report records that were skipped or could not be written."""
        if self._lines.failing:
            self.worker.submit(self._retry)
        return [*self.worker.notices(), *self._lines.new_failures()]

    def failures(self) -> dict[str, Any]:
        """Return the numbers of skipped records and of failures."""
        return {**self.worker.failures(), **self._lines.failures()}

    def close(self) -> None:
        """Wait for the queued records to be written."""
        self.worker.close()
        self._lines.close()

    def _write(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
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
