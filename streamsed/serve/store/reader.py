"""Read a store, even while it is being written.

The file is not changed. Rates are per hour listened: a label that was detected twice on a
day with two hours of sound has a rate of one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, Self

from streamsed.config.settings import shortened
from streamsed.serve.store.batch import HOUR
from streamsed.serve.store.database import open_to_read
from streamsed.serve.store.stored import (
    HourCount,
    HourListened,
    StoredEvent,
    StoredGap,
)

LATEST = 1e12
"""Seconds since 1970; no time in a store is later."""
FINAL = ("closed", "unfinished")
"""States of events that are counted: final, or interrupted by a crash."""

_COLUMNS = (
    "event.id, event.seq, source.name, run.key, event.number, event.label, event.onset, "
    "event.offset, event.score, event.state, event.clip"
)
_KINDS = (int, int, str, str, int, str, float, float | None, float, str, str | None)
"""Types of `_COLUMNS`."""
_JOINED = "event JOIN source ON source.id = event.source JOIN run ON run.id = event.run"


@dataclass(frozen=True, slots=True)
class Choice:
    """Select a part of a store.

    Parameters
    ----------
    since, until : float
        Clock times, in seconds since 1970: events from `since` on and before `until`.
    labels, sources : sequence of str
        Empty for all.
    states : sequence of str
        States of events.
    """

    since: float = 0.0
    until: float = LATEST
    labels: Sequence[str] = ()
    sources: Sequence[str] = ()
    states: Sequence[str] = FINAL

    def where(self, time: str) -> tuple[str, list[Any]]:
        """Return the SQL condition on a column of times, and its values."""
        words = [f"{time} >= ?", f"{time} < ?"]
        values: list[Any] = [self.since, self.until]
        if self.sources:
            words.append(f"source.name IN ({_marks(self.sources)})")
            values += self.sources
        return " AND ".join(words), values

    def part_of(self, hour: int) -> float:
        """Return the fraction of an hour that is selected."""
        start, stop = max(hour, self.since), min(hour + HOUR, self.until)
        return max(0.0, stop - start) / HOUR

    def where_events(self) -> tuple[str, list[Any]]:
        """Return the SQL condition on events, and its values."""
        words, values = self.where("event.onset")
        for column, allowed in (("label", self.labels), ("state", self.states)):
            if allowed:
                words += f" AND event.{column} IN ({_marks(allowed)})"
                values += allowed
        return words, values


class StoreReader:
    """Query a store, from one thread at a time.

    Parameters
    ----------
    path : Path
        The store.

    Raises
    ------
    FileNotFoundError, OSError, ValueError
        See `open_to_read`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = open_to_read(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def events(
        self, choice: Choice | None = None, *, newest: int | None = None
    ) -> Iterator[StoredEvent]:
        """Yield events by onset; with `newest`, only the newest ones, newest first."""
        where, values = (choice or Choice()).where_events()
        order, limit = "ASC", -1
        if newest is not None:
            order, limit = "DESC", newest
        yield from self._events(
            f"WHERE {where} ORDER BY event.onset {order}, event.id {order} LIMIT {limit}",
            values,
        )

    def event(self, number: int) -> StoredEvent | None:
        """Return the event of an id."""
        return next(self._events("WHERE event.id = ?", [number]), None)

    def changes(self, after: int, *, most: int = 1000) -> list[StoredEvent]:
        """Return the events that changed after a `seq`, in the order of their changes."""
        where = "WHERE event.seq > ? ORDER BY event.seq LIMIT ?"
        return list(self._events(where, [after, most]))

    def last_seq(self) -> int:
        """Return the `seq` of the newest change."""
        return int(self._query("SELECT seq FROM counter").fetchone()[0])

    def labels(self) -> list[str]:
        """Return the labels of all events, sorted."""
        found = self._query("SELECT DISTINCT label FROM event ORDER BY label")
        return [self._checked(label, str) for (label,) in found]

    def sources(self) -> list[str]:
        """Return the names of all sources, sorted."""
        found = self._query("SELECT name FROM source ORDER BY name")
        return [self._checked(name, str) for (name,) in found]

    def listened(self, choice: Choice | None = None) -> list[HourListened]:
        """Return the seconds listened per hour and source; labels are ignored.

        If an hour is selected in part, the same part of its seconds is returned.
        """
        choice = choice or Choice()
        where, values = replace(choice, since=choice.since - HOUR + 1).where("hour")
        found = self._query(
            "SELECT hour, source.name, heard, lost FROM listened "
            f"JOIN source ON source.id = listened.source WHERE {where} "
            "ORDER BY hour, source.name",
            values,
        )
        return [
            HourListened(hour, source, heard * part, lost * part)
            for hour, source, *seconds in found
            for part in [choice.part_of(self._checked(hour, int))]
            for heard, lost in [[self._checked(each, float) for each in seconds]]
        ]

    def counts(self, choice: Choice | None = None) -> list[HourCount]:
        """Return the number of events per hour, source and label."""
        where, values = (choice or Choice()).where_events()
        found = self._query(
            "SELECT CAST(event.onset / 3600 AS INTEGER) * 3600 AS hour, source.name, "
            f"event.label, count(*) FROM {_JOINED} WHERE {where} "
            "GROUP BY hour, source.name, event.label ORDER BY hour, source.name, label",
            values,
        )
        return [HourCount(*row) for row in found]

    def gaps(self, choice: Choice | None = None) -> list[StoredGap]:
        """Return the gaps that began in the selected time."""
        where, values = (choice or Choice()).where("start")
        found = self._query(
            "SELECT source.name, start, stop, reason FROM gap "
            f"JOIN source ON source.id = gap.source WHERE {where} ORDER BY start",
            values,
        )
        return [StoredGap(*row) for row in found]

    def _events(self, where: str, values: Sequence[Any]) -> Iterator[StoredEvent]:
        for row in self._query(f"SELECT {_COLUMNS} FROM {_JOINED} {where}", values):
            for value, kinds in zip(row, _KINDS, strict=True):
                self._checked(value, kinds)
            yield StoredEvent(*row)

    def _checked(self, value: Any, kinds: type | UnionType) -> Any:
        """Return a value, which SQLite may store in a column of another type.

        Raises
        ------
        ValueError
            It has another type, or is not finite.
        """
        is_finite = not isinstance(value, float) or -LATEST < value < LATEST
        if isinstance(value, kinds) and is_finite:
            return value
        raise ValueError(
            f"{self._path}: damaged, or not written by streamsed: it holds "
            f"{shortened(repr(value))} in the place of another value; use another file"
        )

    def _query(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
