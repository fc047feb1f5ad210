"""What a person sees on the terminal: a line on stderr, with nothing that steers it."""

from __future__ import annotations

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


def say(message: str) -> None:
    """Tell the person something on one line of stderr, apart from the results."""
    sys.stderr.write(f"streamsed: {printable(' '.join(message.split()))}\n")
