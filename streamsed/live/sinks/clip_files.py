"""The files of clips: their names, how the program recognizes its own, and their deletion.

Every clip contains the name under which it was written. A file with another name, or none,
belongs to somebody else, such as a user who renamed a clip to keep it; it is never deleted.
"""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import soundfile

from streamsed.terminal import reason_of

MAX_LABEL = 100
"""Maximum length of a label in a file name, in bytes; file names have at most 255."""

_PART = re.compile(r"\.streamsed-\d{8}T\d{6}Z-.*\.[0-9a-f]{8}-\d{6,}\.flac\.part")
_STAMP = "%Y%m%dT%H%M%SZ"


def make_folder(folder: Path, *, called: str = "--save-clips") -> None:
    """Create the folder of clips, if it does not exist.

    Parameters
    ----------
    folder : Path
        The folder.
    called : str
        Its setting, as users write it.

    Raises
    ------
    OSError
        It cannot be created, or is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if folder.is_file():
            text = f"{called} {folder}: is a file, not a folder"
            raise NotADirectoryError(text) from error
        reason = reason_of(error)
        raise OSError(f"{called} {folder}: cannot be created ({reason})") from error


def clip_name(when: datetime, label: str, *, run: str, number: int) -> str:
    """Return the name of a clip.

    Examples
    --------
    >>> noon = datetime(2026, 11, 26, 12, tzinfo=UTC)
    >>> clip_name(noon, "Alarm / bell", run="0a0b0c0d", number=7)
    'streamsed-20261126T120000Z-Alarm___bell.0a0b0c0d-000007.flac'
    """
    plain = "".join(c if c.isalnum() or c in "-_" else "_" for c in label)
    short = plain.encode()[:MAX_LABEL].decode(errors="ignore")
    return f"{first_name(when)}-{short}.{run}-{number:06d}.flac"


def first_name(when: datetime) -> str:
    """Return what the names of clips from a moment begin with; later ones come after it."""
    return f"streamsed-{when.astimezone(UTC).strftime(_STAMP)}"


def part_of(path: Path) -> Path:
    """Return the path under which a clip is written until it is complete."""
    return path.with_name(f".{path.name}.part")


def mark(name: str) -> str:
    """Return the comment inside a clip of this name."""
    return f"{name} by streamsed"


def is_clip(path: Path) -> bool:
    """Return whether a file contains its present name, so that it is one of ours."""
    try:
        with soundfile.SoundFile(os.fsencode(path)) as sound:
            return bool(sound.comment == mark(path.name))
    except (OSError, RuntimeError, TypeError):
        return False


def days_ago(days: float) -> datetime:
    """Return the moment before which clips are too old."""
    return datetime.now(UTC) - timedelta(days=days)


def delete_incomplete(folder: Path) -> None:
    """Delete incomplete clips of listeners that were killed."""
    for path in folder.glob(".streamsed-*.flac.part"):
        if not _PART.fullmatch(path.name):
            continue
        with suppress(OSError), path.open("rb") as stream:
            # No other process is writing it.
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
