"""The log of many sources, written by a thread of its own.

With one microphone a disk that hangs delays one detection, and its ring buffer keeps the
sound meanwhile. With many sources it would delay all of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from streamsed.live.sinks.background import Worker
from streamsed.live.sinks.base_sink import BaseSink
from streamsed.live.sinks.log_file import LogFile
from streamsed.live.sinks.sink import RECORDS_LENGTH
from streamsed.pipeline.lifecycle import EventUpdate


class QueuedLog(BaseSink):
    """Pass records on to a log in another thread.

    Parameters
    ----------
    log : LogFile
        Used only by that thread from now on.
    """

    name = "log"

    def __init__(self, log: LogFile) -> None:
        self._log = log
        self._messages: deque[str] = deque(maxlen=100)
        self._worker = Worker(
            "records of the log", length=RECORDS_LENGTH, at_end=log.close
        )

    def reopen(self) -> None:
        """Reopen the log before its next record; may be called by a signal handler."""
        self._log.reopen()

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Queue the record."""
        self._worker.submit(lambda: self._log.on_record(record, update))

    def notices(self) -> list[str]:
        """Return the messages of the log since the last call."""
        if not self._worker.closed:
            self._worker.submit(lambda: self._messages.extend(self._log.notices()))
        messages = [self._messages.popleft() for _ in range(len(self._messages))]
        return [*self._worker.notices(), *messages]

    def failures(self) -> dict[str, Any]:
        """Return the numbers of skipped records and of failures."""
        return {**self._worker.failures(), **self._log.failures()}

    def close(self) -> None:
        """Write the queued records and close the log, within seconds."""
        self._worker.close()
