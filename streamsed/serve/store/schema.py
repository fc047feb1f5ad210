"""The tables of a store, version by version.

`PRAGMA user_version` is the number of `MIGRATIONS` that were applied to a file. A released
migration is never changed; changes are added as another migration.

Times are seconds since 1970 (UTC). An event's `number` counts the events of its run, and
`seq` counts the changes of all events: a client that has all changes up to a `seq` asks for
those after it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

MIGRATIONS = (
    """
    CREATE TABLE source (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE
    );
    CREATE TABLE run (
        id INTEGER PRIMARY KEY,
        source INTEGER NOT NULL REFERENCES source,
        key TEXT NOT NULL,
        started REAL NOT NULL,
        seen REAL NOT NULL,
        stopped REAL,
        heard REAL NOT NULL DEFAULT 0,
        lost REAL NOT NULL DEFAULT 0,
        model TEXT,
        model_sha256 TEXT,
        version TEXT,
        settings TEXT,
        UNIQUE (source, key)
    );
    CREATE TABLE event (
        id INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES run,
        source INTEGER NOT NULL REFERENCES source,
        number INTEGER NOT NULL,
        label TEXT NOT NULL,
        onset REAL NOT NULL,
        offset REAL,
        at REAL NOT NULL,
        score REAL NOT NULL,
        state TEXT NOT NULL,
        clip TEXT,
        seq INTEGER NOT NULL,
        UNIQUE (run, number)
    );
    CREATE INDEX event_onset ON event (onset);
    CREATE INDEX event_label_onset ON event (label, onset);
    CREATE INDEX event_seq ON event (seq);
    CREATE TABLE gap (
        run INTEGER NOT NULL REFERENCES run,
        source INTEGER NOT NULL REFERENCES source,
        start REAL NOT NULL,
        stop REAL NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (run, start)
    ) WITHOUT ROWID;
    CREATE INDEX gap_start ON gap (start);
    CREATE TABLE listened (
        hour INTEGER NOT NULL,
        source INTEGER NOT NULL REFERENCES source,
        heard REAL NOT NULL,
        lost REAL NOT NULL,
        PRIMARY KEY (hour, source)
    ) WITHOUT ROWID;
    CREATE TABLE notice (
        id INTEGER PRIMARY KEY,
        time REAL NOT NULL,
        source TEXT NOT NULL,
        text TEXT NOT NULL
    );
    CREATE INDEX notice_time ON notice (time);
    CREATE TABLE counter (
        seq INTEGER NOT NULL
    );
    INSERT INTO counter VALUES (0);
    """,
)


def migrate(
    connection: sqlite3.Connection,
    path: Path,
    migrations: Sequence[str] = MIGRATIONS,
) -> None:
    """Migrate a store to the newest version; each step is a transaction.

    Parameters
    ----------
    connection : Connection
        In autocommit mode.
    path : Path
        Path, for messages.
    migrations : sequence of str
        SQL from each version to the next.

    Raises
    ------
    ValueError
        The file was written by a newer version, or is not a store.
    sqlite3.Error
        A step cannot be applied now.
    """
    version = check_version(connection, path, len(migrations))
    if version == 0:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    for number in range(version, len(migrations)):
        script = (
            f"BEGIN IMMEDIATE; {migrations[number]} PRAGMA user_version = {number + 1};"
        )
        try:
            connection.executescript(f"{script} COMMIT;")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def check_version(
    connection: sqlite3.Connection, path: Path, newest: int = len(MIGRATIONS)
) -> int:
    """Return the version of a store; 0 for a new file.

    Raises
    ------
    ValueError
        The file is not a store that this program can read.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > newest:
        raise ValueError(
            f"{path}: written by a newer streamsed (version {version} of the store; this one "
            f"reads up to {newest}); update streamsed"
        )
    entries = connection.execute("SELECT name, type FROM sqlite_master").fetchall()
    tables = {name for name, kind in entries if kind == "table"}
    # A view or trigger of a stranger could compute without end.
    is_ours = {kind for _, kind in entries} <= {"table", "index"}
    if entries and not (
        is_ours and version >= 1 and {"event", "listened", "counter"} <= tables
    ):
        raise ValueError(f"{path}: not a store of streamsed; use another file")
    return version
