"""Print the notices of all sources and outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from streamsed.live.sinks.base_sink import BaseSink
from streamsed.pipeline.lifecycle import EventUpdate


class NoticeSink(BaseSink):
    """Print notices.

    Parameters
    ----------
    print_message : callable
        Prints one line.
    """

    name = "terminal"

    def __init__(self, print_message: Callable[[str], None]) -> None:
        self._print = print_message

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:  # noqa: ARG002
        """Print a record if it is a notice."""
        if record["state"] == "notice":
            self._print(str(record["text"]))
