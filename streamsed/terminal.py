"""What a person sees on the terminal: a line on stderr, with nothing that steers it."""

from __future__ import annotations

import os
import sys


def printable(text: str) -> str:
    r"""Return text in which what would steer a terminal is spelt out.

    File names, labels and other programs' words may hold escape sequences, line ends,
    letters that change the direction of writing, and bytes that are not UTF-8.

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


_closed: set[int] = set()


def open_closed_streams() -> None:
    """Put the null device where standard input, output or error was closed.

    Otherwise the next file that is opened, such as a log, would take its number, and
    what is printed would be written into that file.
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
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))


def stdout_is_closed() -> bool:
    """Whether the program was started without a standard output."""
    return 1 in _closed


def check_stdout(remedy: str) -> None:
    """Raise OSError if results would be printed where there is no output.

    Raises
    ------
    OSError
        The message names the option that helps.
    """
    if stdout_is_closed():
        raise OSError(f"the standard output is closed; give {remedy}")


def say(message: str) -> None:
    """Tell the person something on one line of stderr, apart from the results."""
    sys.stderr.write(f"streamsed: {printable(' '.join(message.split()))}\n")
