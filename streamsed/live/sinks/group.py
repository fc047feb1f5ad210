"""The sinks of one stream: each receives everything, and one that fails disturbs no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsed.live.sinks.sink import Sink, fault_of
from streamsed.pipeline.lifecycle import EventUpdate


class SinkGroup:
    """Pass samples and records to sinks, leave out those that fail, and close all.

    Parameters
    ----------
    sinks : sequence of Sink
        A sink that raises an exception receives no more.
    failures : dict
        Failures by the names of the sinks, for JSON; updated when a sink fails, is settled
        or is closed.
    """

    def __init__(
        self, sinks: Sequence[Sink], failures: dict[str, dict[str, Any]]
    ) -> None:
        self.reader_left = False
        """Whether the reader of a pipe with records has closed it."""
        self._sinks = list(sinks)
        self._lost: list[Sink] = []
        self._failures = failures

    def add(self, sink: Sink) -> None:
        """Add a sink."""
        self._sinks.append(sink)

    def push(self, samples: NDArray[np.float32]) -> None:
        """Pass on the next samples of the time line, float32 (n_samples,)."""
        for sink in self._sinks:
            sink.on_samples(samples)

    def report(
        self, record: Mapping[str, Any], update: EventUpdate | None
    ) -> list[str]:
        """Pass on a record; return a message for each sink that failed at it."""
        messages = []
        for sink in list(self._sinks):
            try:
                sink.on_record(record, update)
            except BrokenPipeError:  # the reader has exited: nothing reads the records
                self._leave_out(sink)
                self.reader_left = True
            except OSError as error:
                self._leave_out(sink)
                self._failures[sink.name] = {"failed": 1, "reason": str(error)}
                messages.append(f"{sink.name} receives no more records: {error}")
        return messages

    def notices(self) -> list[str]:
        """Return the new messages of the sinks for the user."""
        return [notice for sink in self._sinks for notice in sink.notices()]

    def failures(self) -> dict[str, dict[str, Any]]:
        """Return the failures so far, by the names of the sinks."""
        now = ((sink.name, sink.failures()) for sink in self._sinks)
        return {**self._failures, **{name: each for name, each in now if each}}

    def settle(self) -> None:
        """Finish the work of all sinks on events."""
        for sink in self._sinks:
            self._finish(sink, sink.settle)

    def close(self) -> None:
        """Close all sinks, also those that failed."""
        for sink in [*self._sinks, *self._lost]:
            self._finish(sink, sink.close)

    def _finish(self, sink: Sink, step: Callable[[], None]) -> None:
        """Settle or close a sink, and note its failures."""
        fault = fault_of(step)
        if failures := sink.failures():
            self._failures[sink.name] = failures
        if fault:
            before = self._failures.get(sink.name, {})
            count = int(before.get("failed", 0)) + 1
            last = {"failed": count, "unclosed": 1, "reason": fault}
            self._failures[sink.name] = {**before, **last}

    def _leave_out(self, sink: Sink) -> None:
        self._sinks.remove(sink)
        self._lost.append(sink)
