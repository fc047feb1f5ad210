"""The log of a listener: JSON lines, each at once and whole."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsed.pipeline.lifecycle import EventUpdate


class JsonLines:
    """Write records as JSON lines, each at once and whole.

    Parameters
    ----------
    descriptor : int
        An open file or pipe.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def append(cls, path: Path) -> JsonLines:
        """Open a log to append to; what a kill leaves is whole up to the last line.

        Raises
        ------
        OSError
            The file cannot be opened.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            os.write(descriptor, b"\n")  # a line that was cut short stays alone
        return cls(descriptor)

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Take no notice: privacy is the default."""

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:  # noqa: ARG002
        """Write one line in one piece."""
        line = (json.dumps(record, ensure_ascii=False) + "\n").encode()
        while line:
            line = line[os.write(self._descriptor, line) :]

    def notices(self) -> list[str]:
        """Return nothing: what fails here is raised."""
        return []

    def close(self) -> None:
        """Leave the descriptor to the process."""
