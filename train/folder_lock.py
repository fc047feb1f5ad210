"""Let one process at a time write to a folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from train.provenance import current_command

LOCK = ".lock"


@contextmanager
def hold_folder(folder: Path, *, option: str) -> Iterator[None]:
    """Hold a folder; the system lets go of it when the process ends, however.

    Parameters
    ----------
    folder : Path
        Created if it does not exist.
    option : str
        The option that names it.

    Raises
    ------
    ValueError
        Another process holds it; the message has its number and its command.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ValueError(
                f"{folder}: in use by {file.read() or 'another process'}; wait for it, or "
                f"name another {option}"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} ({current_command()})")
        file.flush()
        yield
