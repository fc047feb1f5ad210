"""Run a program for events, beside the detection."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsed.live.background import Worker
from streamsed.pipeline.lifecycle import EventUpdate


class ExecSink:
    """Run a command for every closed event, with its record on standard input.

    Parameters
    ----------
    command : sequence of str
        Program and arguments.
    timeout : float
        Seconds after which a run is killed.
    """

    def __init__(self, command: list[str], *, timeout: float = 10.0) -> None:
        self._command = command
        self._timeout = timeout
        self.worker = Worker("runs of --exec")

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Take no notice."""

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Queue a run if an event closed."""
        if update is not None and update.state == "closed":
            line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
            self.worker.submit(lambda: self._run(line))

    def notices(self) -> list[str]:
        """Tell of runs that failed or were left out."""
        return self.worker.notices()

    def close(self) -> None:
        """Let the runs that wait be done."""
        self.worker.close()

    def _run(self, line: bytes) -> None:
        subprocess.run(
            self._command,
            input=line,
            stdout=subprocess.DEVNULL,
            timeout=self._timeout,
            check=True,
            start_new_session=True,  # a Ctrl-C is meant for us
        )
