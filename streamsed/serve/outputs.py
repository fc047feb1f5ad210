"""What the records of all sources go to, as the settings say."""

from __future__ import annotations

from typing import Any

from streamsed.live.sinks.log_file import LogFile
from streamsed.live.sinks.sink import Sink
from streamsed.serve.settings import ServeSettings
from streamsed.serve.store.sink import StoreSink

OpenOutputs = dict[str, tuple[Any, list[Sink]]]
"""By kind: the settings that it was opened with, and its sinks."""


def wanted_outputs(settings: ServeSettings) -> dict[str, Any]:
    """Return the settings of each kind of output that there should be.

    Kinds whose settings did not change stay open when a file is read again.
    """
    kinds = {
        "log": settings.log,
        "store": settings.store,
    }
    return {kind: each for kind, each in kinds.items() if each is not None}


def open_output(kind: str, wanted: Any) -> list[Sink]:
    """Open the sinks of a kind.

    Raises
    ------
    OSError, ValueError
        A file cannot be opened, or is not what it should be.
    """
    if kind == "log":
        wanted.path.parent.mkdir(parents=True, exist_ok=True)
        return [LogFile(wanted.path, rotation=wanted.rotation)]
    return [StoreSink(wanted.path, days=wanted.days, max_bytes=wanted.max_bytes)]
