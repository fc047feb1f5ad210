"""What long work reports while it goes: bars for people, JSON lines for programs.

Whoever works says what there is to do and how far it is::

    with task("mixing", len(names), "soundscapes") as mixing:
        for name in names:
            mix(name)
            mixing.advance(1, name)

and knows nothing of who looks on. On a terminal that is a bar on stderr with the time left,
once the work has taken `PATIENCE` seconds; tasks inside tasks get bars below each other.
Into a pipe or a file nothing is written. A command that is given ``--json-log`` enters
`json_log`, and every task then writes a line when it begins, about once a second, and when
it ends. It is kept in one place for the whole process, as logging is.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TextIO, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from streamsed.terminal import printable

PATIENCE = 2.0
"""Seconds that a person waits without a bar."""
LOG_EVERY = 1.0
"""Seconds between two lines of one task in the log."""


T = TypeVar("T")


class Task:
    """Work of a known amount; from `task`.

    Parameters
    ----------
    name : str
        What is done, in a word or two.
    total : float
        How much there is to do.
    unit : str
        Of what, for people: "soundscapes", "s of audio".
    """

    def __init__(self, name: str, total: float, unit: str) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.done = 0.0
        self.detail = ""
        self._started = time.monotonic()
        self._logged = 0.0
        self._first = 0.0  # done when it began, of work that goes on from before

    def __enter__(self) -> Self:
        self._log("began")
        _screen.open(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        _screen.close(self)
        self._log("ended" if kind is None else "failed")

    def advance(self, amount: float = 1.0, detail: str = "") -> None:
        """Count `amount` as done; `detail` is what is at work now."""
        self.update(self.done + amount, detail)

    def resume(self, done: float) -> None:
        """Count what was done before this process began."""
        self._first = self.done = done

    def update(self, done: float, detail: str = "") -> None:
        """Say how much is done altogether."""
        self.done, self.detail = done, detail
        _screen.show(self)
        if time.monotonic() - self._logged >= LOG_EVERY:
            self._log("progress")

    @property
    def waited(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._started

    @property
    def left(self) -> float | None:
        """Seconds until it is done at the pace so far; None before anything is."""
        done = self.done - self._first
        return (self.total - self.done) * self.waited / done if done > 0 else None

    def _log(self, state: str) -> None:
        self._logged = time.monotonic()
        left = self.left
        report(
            state,
            task=self.name,
            done=round(self.done, 3),
            total=round(self.total, 3),
            unit=self.unit,
            seconds=round(self.waited, 3),
            left=None if left is None else round(left, 1),
            detail=self.detail,
        )


def task(name: str, total: float, unit: str) -> Task:
    """Begin a task; use it in a `with` statement. See `Task` for the parameters."""
    return Task(name, total, unit)


def track(items: Iterable[T], name: str, *, total: int, unit: str) -> Iterator[T]:
    """Give the items, one after the other, as a task of `total`."""
    with task(name, total, unit) as current:
        for item in items:
            yield item
            current.advance()


def report(state: str, text: str = "", /, **values: Any) -> None:
    """Report what came out on the way: a line above the bars, and one in the log.

    Parameters
    ----------
    state : str
        What kind of line it is, such as "validation".
    text : str
        For people on a terminal; "" shows them nothing.
    **values
        For the log; numbers and texts.
    """
    if text and sys.stderr.isatty():
        _screen.write(printable(text))
    if _log is not None:
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": stamp, "state": state, **values}
        _log.write(json.dumps(line, ensure_ascii=True) + "\n")
        _log.flush()


@contextmanager
def json_log(path: Path | None) -> Iterator[None]:
    """Append what is reported to a file, one JSON object a line; "-" is stderr.

    Raises
    ------
    OSError
        The file cannot be opened.
    """
    global _log
    with ExitStack() as stack:
        before = _log
        if path is not None and str(path) == "-":
            _log = sys.stderr
        elif path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            _log = stack.enter_context(path.open("a", encoding="utf-8"))
        try:
            yield
        finally:
            _log = before


class _Screen:
    """The bars of all tasks, on a terminal."""

    def __init__(self) -> None:
        self._bars: Progress | None = None
        self._shown: dict[Task, TaskID] = {}
        self._open: list[Task] = []
        self._owner = os.getpid()  # a worker process must not draw on our terminal

    def open(self, task: Task) -> None:
        self._open.append(task)

    def show(self, task: Task) -> None:
        """Draw a task if one waits for it, and those that it is a part of."""
        patient = task.waited < PATIENCE and task not in self._shown
        if patient or os.getpid() != self._owner or not sys.stderr.isatty():
            return
        if self._bars is None:
            self._bars = _new_bars()
            self._bars.start()
        for each in self._open:
            if each not in self._shown:
                self._shown[each] = self._bars.add_task(
                    "", total=each.total, completed=int(each.done), unit=each.unit
                )
        name = printable(f"{task.name}  {task.detail}".rstrip())
        self._bars.update(
            self._shown[task],
            completed=task.done,
            total=task.total,
            description=printable(name),
        )

    def write(self, line: str) -> None:
        if self._bars is None:
            sys.stderr.write(line + "\n")
        else:
            self._bars.console.print(line, markup=False, highlight=False)

    def close(self, task: Task) -> None:
        self._open.remove(task)
        number = self._shown.pop(task, None)
        if self._bars is None or number is None:
            return
        if self._shown:
            self._bars.remove_task(number)
        else:
            self._bars.stop()
            self._bars = None


def _new_bars() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} {task.fields[unit]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        # The results go where they are meant to go; only a terminal is shared.
        redirect_stdout=sys.stdout.isatty(),
    )


_screen = _Screen()
_log: TextIO | None = None
