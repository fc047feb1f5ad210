"""A log that may be moved, removed and rotated while it is being written.

Programs such as logrotate move a log and expect its writer to open a new one, after SIGHUP
or by itself. This class checks before every record whether its path still refers to its
file. It can also rotate the log itself: the file is renamed after the time of its first
record, `night.jsonl` to `night-20261126T220000.jsonl`. Several listeners may share a log:
the first to lock the file rotates it, and the others follow.

Every new file begins with a record of the origin of its times.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from streamsed.live.sinks.json_lines import JsonLines, locked
from streamsed.pipeline.lifecycle import EventUpdate

SIZES = {"kB": 1e3, "MB": 1e6, "GB": 1e9}
AGES = {"m": 60.0, "h": 3600.0, "d": 86400.0}

_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a log is rotated.

    Parameters
    ----------
    max_bytes : float
        Maximum size of a file, unless a single record is longer.
    max_age : float
        Seconds from a file's first record to its last.
    """

    max_bytes: float = float("inf")
    max_age: float = float("inf")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `10MB`, `1d` or both, `10MB,1d`.

        Raises
        ------
        ValueError
            It is neither a size nor an age.

        Examples
        --------
        >>> Rotation.parse("10MB,12h")
        Rotation(max_bytes=10000000.0, max_age=43200.0)
        """
        limits: dict[str, float] = {}
        for part in text.split(","):
            match = _QUANTITY.fullmatch(part.strip())
            number, unit = (float(match[1]), match[2]) if match else (0.0, "")
            if number > 0 and unit in SIZES:
                limits["max_bytes"] = number * SIZES[unit]
            elif number > 0 and unit in AGES:
                limits["max_age"] = number * AGES[unit]
            else:
                raise ValueError(
                    f"--log-rotate must be a size or an age, such as 10MB, 1d or 10MB,1d, "
                    f"not {text!r}"
                )
        return cls(**limits)


class LogFile(JsonLines):
    """Write records to a log that may be moved, reopened and rotated.

    Parameters
    ----------
    path : Path
        File to append to.
    rotation : Rotation or None
        When to start a new file; None leaves this to other programs.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        It is a file of another kind, such as a recording.
    """

    def __init__(self, path: Path, *, rotation: Rotation | None = None) -> None:
        descriptor = _open(path)
        try:
            _check_log(path, descriptor)
        except ValueError:
            os.close(descriptor)
            raise
        super().__init__(descriptor, name="log")
        self._path = path
        self._rotation = rotation or Rotation()
        self._origin_record: Mapping[str, Any] | None = None
        self._reopen = self._closed = False
        self._last_failure = ""
        self._messages: list[str] = []
        self._first = 0.0  # clock time of the first record; 0 if there is none yet
        self._begin()

    def reopen(self) -> None:
        """Reopen the log before the next record; may be called by a signal handler."""
        self._reopen = True

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Write one line, to a new file if it is time to rotate."""
        self._follow(record)
        if self._due(record):
            self._rotate(record)
        if record.get("state") == "listening":
            self._origin_record = record
        if not self._first:
            self._first = _seconds(record)
        super().on_record(record, update)

    def notices(self) -> list[str]:
        """Tell of failures: when they begin."""
        if not self._closed:
            self._follow(None)
        complaints, self._messages = self._messages, []
        return complaints + (self.new_failures() if self._closed else super().notices())

    def close(self) -> None:
        """Try to write the waiting lines for some seconds, and close the file."""
        if not self._closed:
            super().close()
            self._closed = True
            os.close(self._descriptor)

    def _begin(self) -> None:
        """Read the time of the first record, and end an incomplete last line."""
        self._first = 0.0
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return
        self._end_last_line()
        head = os.pread(self._descriptor, 65536, 0).split(b"\n")[0]
        with suppress(ValueError, AttributeError):
            self._first = _seconds(json.loads(head))

    def _follow(self, record: Mapping[str, Any] | None) -> None:
        """Reopen the path if it refers to another file or none, or on request."""
        if not self._reopen and self._is_ours():
            return
        try:
            descriptor = _open(self._path)
        except OSError as error:
            reason = error.strerror or str(error)
            if reason != self._last_failure:  # keep writing to the file that is open
                self._last_failure = reason
                self._messages.append(f"log: cannot be reopened ({reason})")
            return
        self._reopen, self._last_failure = False, ""
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._begin()
        self._remind(record)

    def _is_ours(self) -> bool:
        try:
            there, ours = self._path.stat(), os.fstat(self._descriptor)
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _due(self, record: Mapping[str, Any]) -> bool:
        size = os.fstat(self._descriptor).st_size
        if not size or self._waiting:  # do not rotate while writing fails
            return False
        length = (
            len(json.dumps(record, ensure_ascii=False).encode(errors="replace")) + 1
        )
        if size + length > self._rotation.max_bytes:
            return True
        age = _seconds(record) - self._first if self._first else 0.0
        return age >= self._rotation.max_age

    def _rotate(self, record: Mapping[str, Any]) -> None:
        """Rename the file, unless another listener just did, and start a new one."""
        try:
            with locked(self._descriptor):
                if self._is_ours():
                    self._path.rename(self._free_name())
        except OSError as error:
            reason = error.strerror or str(error)
            if reason != self._last_failure:
                self._last_failure = reason
                self._messages.append(f"log: cannot be rotated ({reason})")
            return
        self._follow(record)

    def _free_name(self) -> Path:
        began = self._first or datetime.now(UTC).timestamp()
        stamp = (
            datetime.fromtimestamp(began, UTC).astimezone().strftime("%Y%m%dT%H%M%S")
        )
        number, path = 1, self._path.with_stem(f"{self._path.stem}-{stamp}")
        while path.exists():
            number += 1
            path = self._path.with_stem(f"{self._path.stem}-{stamp}-{number}")
        return path

    def _remind(self, record: Mapping[str, Any] | None) -> None:
        """Start a new file with the origin of its times."""
        if self._origin_record is None or os.fstat(self._descriptor).st_size:
            return
        if record is not None and record.get("state") == "listening":
            return  # this record is the one
        at = self._origin_record if record is None else record
        self._first = _seconds(at)
        super().on_record({**self._origin_record, "at": at["at"]}, None)


def check_log(path: Path) -> None:
    """Check an existing file for `LogFile`, changing nothing; see there for the errors."""
    descriptor = _open(path)
    try:
        _check_log(path, descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    return os.open(path, flags, 0o666)


def _check_log(path: Path, descriptor: int) -> None:
    """Raise ValueError for a file that does not begin as a log does, even a damaged one."""
    regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
    head = os.pread(descriptor, 1, 0) if regular else b""
    if head not in (b"", b"{", b"\n", b"\0"):
        raise ValueError(
            f"{path}: is not a log, and nothing is added to it; choose another file"
        )


def _seconds(record: Mapping[str, Any]) -> float:
    """Return the clock time of a record in seconds since 1970; 0 if it has none."""
    try:
        return datetime.fromisoformat(str(record.get("time"))).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0
