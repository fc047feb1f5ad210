"""Delete the oldest hours of a store by age or size.

The events of an hour and its seconds listened are deleted together, so that rates per hour
listened stay correct.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from streamsed.serve.store.batch import HOUR

DAY = 86400.0
SHARE = 20
"""One of so many hours is deleted at a time when the store is too large."""

_TABLES = (
    ("event", "onset"),
    ("gap", "start"),
    ("listened", "hour"),
    ("notice", "time"),
)


@dataclass(frozen=True, slots=True)
class Retention:
    """Limits of a store.

    Parameters
    ----------
    days : float or None
        Older events are deleted; None keeps them.
    max_bytes : int or None
        Size of the file; above it the oldest hours are deleted. The newest hour stays.
    """

    days: float | None = None
    max_bytes: int | None = None

    def apply(self, connection: sqlite3.Connection, now: float) -> None:
        """Apply the limits of age and size, and free the space on disk.

        Parameters
        ----------
        connection : Connection
            To a store, in autocommit mode.
        now : float
            Seconds since 1970.

        Raises
        ------
        sqlite3.Error
            The limits cannot be applied now, or only in part.
        """
        if self.days is not None:
            _delete(connection, (now - self.days * DAY) // HOUR * HOUR)
        while self.max_bytes is not None and _size(connection) > self.max_bytes:
            before = _oldest_part(connection, now)
            if before is None:
                break
            _delete(connection, before)
        connection.executescript("PRAGMA incremental_vacuum")  # execute steps only once
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _delete(connection: sqlite3.Connection, before: float) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table, time in _TABLES:
            connection.execute(f"DELETE FROM {table} WHERE {time} < ?", [before])
        connection.execute(
            "DELETE FROM run WHERE seen < ? AND NOT EXISTS "
            "(SELECT 1 FROM event WHERE event.run = run.id) AND NOT EXISTS "
            "(SELECT 1 FROM gap WHERE gap.run = run.id)",
            [before],
        )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _size(connection: sqlite3.Connection) -> int:
    """Return the number of bytes in use."""
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def _oldest_part(connection: sqlite3.Connection, now: float) -> float | None:
    """Return the end of the oldest hours to delete; None if only the newest is left."""
    union = " UNION ".join(
        f"SELECT CAST({time} / {HOUR} AS INTEGER) AS h FROM {table}"
        for table, time in _TABLES
    )
    newest = int(now // HOUR)
    found = connection.execute(
        f"SELECT h FROM ({union}) WHERE h < ? ORDER BY h", [newest]
    ).fetchall()
    if not found:
        return None
    return float((found[(len(found) - 1) // SHARE][0] + 1) * HOUR)
