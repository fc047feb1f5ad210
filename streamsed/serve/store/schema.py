"""The tables of a store, version by version.

`PRAGMA user_version` says how many of `MIGRATIONS` a file has been through. A migration is
never changed once it is released: what is to be different comes as another one behind it.

Times are seconds since 1970 (UTC). An event's `number` counts the events of its run, and
its `seq` all changes of all events: who knows everything up to one `seq` asks for what came
after it.
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
    """Bring a store to the newest version, each step whole or not at all.

    Parameters
    ----------
    connection : Connection
        In autocommit mode.
    path : Path
        For the messages.
    migrations : sequence of str
        SQL that leads from each version to the next.

    Raises
    ------
    ValueError
        A newer program wrote the file, or another one.
    sqlite3.Error
        A step cannot be done now.
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
    """Return the version of a store; 0 is a new file.

    Raises
    ------
    ValueError
        It is not a store that this program can read.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > newest:
        raise ValueError(
            f"{path}: a newer streamsed wrote this store (version {version}, and this one "
            f"knows {newest}); update streamsed"
        )
    tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    names = {name for (name,) in tables}
    if names and (version < 1 or not {"event", "listened", "counter"} <= names):
        raise ValueError(f"{path}: not a store of streamsed; name another file")
    return version
