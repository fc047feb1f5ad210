"""Text for people, without control characters and formulas; streams; Ctrl-C at the start."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def printable(text: str) -> str:
    r"""Return text with control and other unprintable characters escaped.

    File names, labels and the output of other programs may contain escape sequences, line
    breaks, characters that change the direction of text, and bytes that are not UTF-8.

    Examples
    --------
    >>> print(printable("dog\x1b[2J\n.wav"))
    dog\x1b[2J\n.wav
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in text
    )


def for_spreadsheets(text: str) -> str:
    """Mark text that a spreadsheet would take for a formula, by an apostrophe.

    Examples
    --------
    >>> for_spreadsheets("=1+1.wav"), for_spreadsheets("dog.wav")
    ("'=1+1.wav", 'dog.wav')
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def counted(n: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one.

    Examples
    --------
    >>> counted(1, "event"), counted(2, "event")
    ('1 event', '2 events')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def percent(share: float, digits: int = 1) -> str:
    """Return a share of 1 as a percentage.

    Examples
    --------
    >>> percent(0.011)
    '1.1 %'
    """
    return f"{100 * share:.{digits}f} %"


def reason_of(error: OSError) -> str:
    """Return the system's reason for an error, as the end of a message.

    Examples
    --------
    >>> reason_of(FileNotFoundError(2, "No such file or directory"))
    'no such file or directory'
    """
    reason = error.strerror or str(error)
    return reason[:1].lower() + reason[1:]


def message_of(error: Exception) -> str:
    """Return the message of an error in one line; that of a file begins with its name.

    Examples
    --------
    >>> message_of(PermissionError(13, "Permission denied", "/home.toml"))
    '/home.toml: permission denied'
    """
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {reason_of(error)}"
    return " ".join(str(error).split())


_closed: set[int] = set()


def open_closed_streams() -> None:
    """Open the null device in place of closed standard streams.

    Otherwise the next file that is opened, such as a log, would get the descriptor of the
    closed stream, and everything printed would be written into it.
    """
    for descriptor, name, mode in (
        (0, "stdin", "r"),
        (1, "stdout", "w"),
        (2, "stderr", "w"),
    ):
        try:
            os.fstat(descriptor)
        except OSError:
            _closed.add(descriptor)
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))


class _Messages(io.FileIO):
    """Standard error, on which the program does not depend.

    A full disk, or a reader that has exited, must not end the work that is reported there.
    """

    def write(self, data: Any) -> int:
        try:
            n_written = super().write(data)
        except OSError:
            return len(data)
        return len(data) if n_written is None else n_written  # None: it would block


def keep_working_without_stderr() -> None:
    """Drop what cannot be written to standard error, instead of raising OSError."""
    if sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = io.TextIOWrapper(
            io.BufferedWriter(_Messages(2, "w", closefd=False)),
            encoding=sys.stderr.encoding,
            errors=sys.stderr.errors,
            line_buffering=True,
            write_through=True,
        )


def stdout_is_closed() -> bool:
    """Whether the program was started without a standard output."""
    return 1 in _closed


def check_stdout(remedy: str) -> None:
    """Raise OSError if results would be printed where there is no output.

    Raises
    ------
    OSError
        Standard output is closed.
    """
    if stdout_is_closed():
        raise OSError(f"standard output is closed; use {remedy}")


def print_lines(lines: Iterable[str]) -> None:
    """Print lines with fields separated by tabs as soon as they are there.

    On a terminal, control characters in them are spelt out; programs get them as they are.
    """
    on_terminal = sys.stdout.isatty()
    for line in lines:
        sys.stdout.write(_shown(line) if on_terminal else line)
        sys.stdout.flush()


def _shown(line: str) -> str:
    """Return a line for a terminal, keeping tabs and the line break."""
    cells = line.removesuffix("\n").split("\t")
    return "\t".join(map(printable, cells)) + "\n"


def print_message(message: str) -> None:
    """Print a message on one line of stderr."""
    sys.stderr.write(f"streamsed: {printable(' '.join(message.split()))}\n")


@contextmanager
def ended_by_interrupts() -> Iterator[None]:
    """Let Ctrl-C end the process at once, without a traceback.

    For the time that the commands are being loaded, seconds on a small computer. Where an
    interrupt is ignored, as in a shell's background job, it stays so.
    """
    handler = signal.getsignal(signal.SIGINT)
    if handler is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGINT, handler)
