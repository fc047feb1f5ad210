"""Progress of long tasks: bars on a terminal, JSON lines for programs.

Code that takes long reports what there is to do and how much is done::

    with task("mixing", len(names), "soundscapes") as mixing:
        for name in names:
            mix(name)
            mixing.advance(1, name)

and needs no knowledge of how it is shown. On a terminal, a bar with the time left appears
on stderr once the task has taken `PATIENCE` seconds; nested tasks get a bar each. Nothing
is written to a pipe or a file. With ``--json-log`` a command enters `json_log`, and every
task then writes a line when it begins, about once a second, and when it ends. The state is
global to the process, as that of the logging module.
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

from streamsed.terminal import printable, reason_of

PATIENCE = 2.0
"""Seconds before a task gets a bar."""
LOG_EVERY = 1.0
"""Seconds between two lines of a task in the log."""


T = TypeVar("T")


class Task:
    """Work of a known amount; from `task`.

    Parameters
    ----------
    name : str
        What is being done, in a word or two.
    total : float
        How much there is to do.
    unit : str
        Unit of `total`: "soundscapes", "s of audio".
    """

    def __init__(self, name: str, total: float, unit: str) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.done = 0.0
        self.detail = ""
        self._started = time.monotonic()
        self._logged = 0.0
        self._first = 0.0  # already done at the start of a continued task

    def __enter__(self) -> Self:
        self._log("began")
        _screen.open(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        _screen.close(self)
        self._log("ended" if kind is None else "failed")

    def advance(self, amount: float = 1.0, detail: str = "") -> None:
        """Add `amount` to what is done; `detail` is the current item."""
        self.update(self.done + amount, detail)

    def resume(self, done: float) -> None:
        """Set what was done before this process began."""
        self._first = self.done = done

    def update(self, done: float, detail: str = "") -> None:
        """Set how much is done in total."""
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
        """Estimated seconds until the end; None if nothing is done yet."""
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
    """Create a task for a `with` statement. See `Task` for the parameters."""
    return Task(name, total, unit)


def track(items: Iterable[T], name: str, *, total: int, unit: str) -> Iterator[T]:
    """Yield the items one by one, as a task of `total`."""
    with task(name, total, unit) as current:
        for item in items:
            yield item
            current.advance()


def report(state: str, text: str = "", /, **values: Any) -> None:
    """Report an intermediate result: a line above the bars, and one in the log.

    Parameters
    ----------
    state : str
        Kind of line, such as "validation".
    text : str
        Text for the terminal; "" prints nothing.
    **values
        Values for the log: numbers and strings.
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
    """Append progress to a file, one JSON object per line; "-" is stderr.

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
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                _log = stack.enter_context(path.open("a", encoding="utf-8"))
            except OSError as error:
                reason = f"{error.filename}: {reason_of(error)}"
                raise OSError(f"--json-log: cannot open {path} ({reason})") from error
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
        self._owner = os.getpid()  # worker processes must not draw on the terminal

    def open(self, task: Task) -> None:
        self._open.append(task)

    def show(self, task: Task) -> None:
        """Draw a task that takes long, and the tasks that contain it."""
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
        # Results may be redirected; only a terminal is shared with the bars.
        redirect_stdout=sys.stdout.isatty(),
    )


_screen = _Screen()
_log: TextIO | None = None
