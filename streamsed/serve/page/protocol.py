"""Interfaces of the service and the store that the page uses.

`Service` and `StoreReader` implement them; the tests of the page have simple ones. Every method may be called from any thread and returns within milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from streamsed.live.snapshot import Snapshot
from streamsed.serve.status import SourceStatus
from streamsed.serve.store.reader import Choice
from streamsed.serve.store.stored import HourCount, HourListened, StoredEvent


class PageService(Protocol):
    """Interface of the service."""

    def sources(self) -> Sequence[SourceStatus]:
        """Return the states of all sources, in the order of the settings."""

    def arm(self, name: str, *, armed: bool) -> None:
        """Set whether messages are sent for the events of a source.

        Raises
        ------
        KeyError
            There is no source of this name.
        """

    def snapshot(self, name: str) -> Snapshot | None:
        """Return the data to draw of a source; None before its first sound.

        Raises
        ------
        KeyError
            There is no source of this name.
        """


class PageStore(Protocol):
    """Interface of the store."""

    def events(
        self, choice: Choice | None = None, *, newest: int | None = None
    ) -> Iterable[StoredEvent]:
        """Yield events by onset; with `newest`, only the newest ones, newest first."""

    def event(self, number: int) -> StoredEvent | None:
        """Return the event of an id; None if it does not exist."""

    def counts(self, choice: Choice | None = None) -> Sequence[HourCount]:
        """Return the number of events per hour, source and label."""

    def listened(self, choice: Choice | None = None) -> Sequence[HourListened]:
        """Return the seconds listened per hour and source."""


OpenStore = Callable[[], AbstractContextManager[PageStore]]
"""Opens the store for one request, in the thread of the request."""
