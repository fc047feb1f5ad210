"""The file of a store: its lock, how it is opened, and settings of SQLite.

One process writes a store. It locks a file beside it (`NAME.lock`); the system releases the
lock when the process ends in any way. Other processes can read at the same time, thanks to
SQLite's write-ahead log.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from streamsed.serve.store.schema import MIGRATIONS, check_version, migrate

BUSY_TIMEOUT = 0.5
"""Seconds that SQLite waits for a lock before the writer tries again later."""


class WriterLock:
    """Lock a store for writing, until `release` or the end of the process.

    Parameters
    ----------
    path : Path
        The store; its folder is created if it does not exist.

    Raises
    ------
    BlockingIOError
        Another process writes it.
    OSError
        The folder cannot be created or written to.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f"{path.name}.lock")
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(lock, flags, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            if isinstance(error, BlockingIOError):
                raise BlockingIOError(
                    f"{path}: another streamsed is writing this store; stop it, or "
                    "use another path"
                ) from None
            raise

    def release(self) -> None:
        """Release the lock."""
        os.close(self._descriptor)


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open or create a store, and migrate it to the newest version.

    Every commit reaches the disk before it returns. Only the owner may read a new file.

    Raises
    ------
    ValueError
        The file is not a store that this program can write.
    sqlite3.Error, OSError
        It cannot be opened now.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    os.close(os.open(path, flags, 0o600))
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
    )
    try:
        migrate(connection, path)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 4194304")
    except BaseException:
        connection.close()
        raise
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open an existing store for reading.

    The connection may be used by any thread, one at a time.

    Raises
    ------
    FileNotFoundError
        The file does not exist.
    ValueError
        The file is not a store that this program can read.
    OSError
        It cannot be read.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder, not a store")
    connection, version = _open(path, _how_to_read(path))
    if version < len(MIGRATIONS):
        connection.close()
        raise ValueError(
            f"{path}: written by an older streamsed; start `streamsed serve` once to update it"
            if version
            else f"{path}: not a store of streamsed; use another file"
        )
    return connection


def check_store(path: Path) -> None:
    """Check an existing file for `open_to_write`, changing nothing.

    What its writer has not merged into the file yet is not read: SQLite would leave files
    beside it.

    Raises
    ------
    ValueError
        The file is not a store that this program can write.
    OSError
        It cannot be opened.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    _open(path, "mode=ro&immutable=1")[0].close()


def _how_to_read(path: Path) -> str:
    """Return SQLite's parameters: it needs files beside a store that somebody may write."""
    beside = path.with_name(f"{path.name}-wal")
    if beside.exists() or os.access(path.parent, os.W_OK):
        return "mode=ro"
    return "mode=ro&immutable=1"


def _open(path: Path, how: str) -> tuple[sqlite3.Connection, int]:
    """Open a file as SQLite's parameters say; return it with the version of the store."""
    connection = None
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{how}",
            timeout=5.0,
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
        return connection, check_version(connection, path)
    except sqlite3.OperationalError as error:
        _close(connection)
        raise OSError(f"{path}: cannot be read ({error})") from error
    except sqlite3.DatabaseError as error:
        _close(connection)
        raise ValueError(
            f"{path}: not a store of streamsed, or a damaged one ({error})"
        ) from error
    except ValueError:
        _close(connection)
        raise


def _close(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        with suppress(sqlite3.Error):
            connection.close()
