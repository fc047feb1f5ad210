"""The store as an output of records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamsed.live.sinks.base_sink import BaseSink
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.serve.store.batch import Batch
from streamsed.serve.store.retention import Retention
from streamsed.serve.store.writer import StoreWriter


class StoreSink(BaseSink):
    """Keep the history of all sources in an SQLite file.

    Parameters
    ----------
    path : Path
        Created if it does not exist, as is its folder.
    days, max_bytes
        Limits; see `Retention`.

    Raises
    ------
    ValueError
        The file is not a store that this program can write.
    OSError
        Another process writes it, or its folder cannot be used.
    """

    name = "store"

    def __init__(
        self, path: Path, *, days: float | None = None, max_bytes: int | None = None
    ) -> None:
        self.writer = StoreWriter(path, retention=Retention(days, max_bytes))
        self._reported_failing = False

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:  # noqa: ARG002
        """Queue a record for writing."""
        try:
            self.writer.submit(lambda batch: self._add(batch, record))
        except (KeyError, ValueError, TypeError) as error:
            self.writer.lose(f"not a record: {error}")

    def on_clip(self, record: Mapping[str, Any], update: EventUpdate) -> None:
        """Update a closed event with the path of its clip."""
        if "clip" in record:
            self.on_record(record, update)

    def notices(self) -> list[str]:
        """Report when writing starts to fail, and when it works again."""
        failing = self.writer.failing
        if failing == self._reported_failing:
            return []
        self._reported_failing = failing
        if not failing:
            return ["store: can be written again"]
        reason = self.writer.failures().get("reason", "")
        return [f"store: cannot be written ({reason}); trying again"]

    def failures(self) -> dict[str, Any]:
        """Return the number of failures, the reason, and the records lost."""
        return self.writer.failures()

    def close(self) -> None:
        """Write waiting records, for some seconds at most."""
        self.writer.close()

    def _add(self, batch: Batch, record: Mapping[str, Any]) -> None:
        if record["state"] == "status" and "run" not in record:
            return  # no sound from this source yet
        batch.add(record)
