"""What the page needs of the service and of the store.

`Service` and `StoreReader` satisfy this; the tests of the page have small ones of their
own. Every method may be called from any thread and returns within milliseconds.
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
    """Who listens."""

    def sources(self) -> Sequence[SourceStatus]:
        """Return how each source is doing, in the order of the settings."""

    def arm(self, name: str, *, armed: bool) -> None:
        """Send messages for the events of a source from now on, or no more.

        Raises
        ------
        KeyError
            There is no source of this name.
        """

    def snapshot(self, name: str) -> Snapshot | None:
        """Return what there is to show of a source; None before its first sound.

        Raises
        ------
        KeyError
            There is no source of this name.
        """


class PageStore(Protocol):
    """Who remembers."""

    def events(
        self, choice: Choice | None = None, *, newest: int | None = None
    ) -> Iterable[StoredEvent]:
        """Give events by onset; or only so many of the newest, the newest first."""

    def event(self, number: int) -> StoredEvent | None:
        """Return the event of an id; None if it is not there (any more)."""

    def counts(self, choice: Choice | None = None) -> Sequence[HourCount]:
        """Return how many events there are per hour, source and label."""

    def listened(self, choice: Choice | None = None) -> Sequence[HourListened]:
        """Return the seconds listened per hour and source."""


OpenStore = Callable[[], AbstractContextManager[PageStore]]
"""Opens the store for one request, in the thread that asks."""
