"""What a person sees while the program works: a line on stderr, and a bar while one waits."""

from __future__ import annotations

import sys
import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

PATIENCE = 2.0
"""Seconds that a person waits without a bar."""


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


class Waiting:
    """A progress bar on stderr that appears only if the work takes long.

    Parameters
    ----------
    total : float
        Seconds of audio to do.
    """

    def __init__(self, total: float) -> None:
        self._total = total
        self._started = time.monotonic()
        self._progress: Progress | None = None
        self._done = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def advance(self, seconds: float, name: str) -> None:
        """Count `seconds` of audio of the recording `name` as done."""
        self._done += seconds
        waited = time.monotonic() - self._started
        if self._progress is None and waited > PATIENCE and sys.stderr.isatty():
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed:.0f} of {task.total:.0f} s of audio"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._progress.add_task("", total=self._total)
            self._progress.start()
        if self._progress is not None:
            self._progress.update(self._task, completed=self._done, description=name)
