"""Who is told of events while one listens: a pipe, a log, another program, a folder.

None of them can hold up the detection of live sound: what is slow runs in a thread of its
own behind a queue of fixed length, and what does not fit is counted and told. `json_lines`,
`exec_sink` and `clips` beside this module have the sinks themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streamsed.live.background import Worker
from streamsed.pipeline.lifecycle import EventUpdate

RECORDS_LENGTH = 10_000
"""Records that wait for a slow reader."""


class Sink(Protocol):
    """What `Listener` tells what it hears."""

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Take the samples of the time line, float32 (n_samples,), gaps as zeros."""

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Take one record for JSON, and the update it stands for, if it does."""

    def notices(self) -> list[str]:
        """Return sentences about the sink that people should read, each once."""

    def close(self) -> None:
        """Finish what waits, within seconds."""


class QueuedSink:
    """Pass records on to a sink that may be slow, such as a pipe that nobody reads.

    Parameters
    ----------
    sink : Sink
        Is told in a thread of its own; what it raises is raised at the next record.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
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
        """Tell of the records that did not fit."""
        return self.worker.notices()

    def close(self) -> None:
        """Let the records that wait be taken."""
        self.worker.close()
        self._sink.close()

    def _pass_on(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        if self._error is None:
            try:
                self._sink.on_record(record, update)
            except OSError as error:
                self._error = error
