"""CorpusWorker processes that may die: one for each core, watched, and replaced.

Every process holds two tasks, the one that it scores and the next, whose decoding has
begun. Who dies takes both along; they come back to be tried once more, alone, so that it is
known which of them is to blame. A process that takes too long or too much memory is killed,
which is a death like others. If the parent dies, its workers see their pipe close and end.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Self

from streamsed.corpus.worker import CorpusWorker, FileTask, Outcome, WorkSettings

IN_HAND = 2
"""Tasks of a process: the one at work, and the next."""

PIECE_LIMIT = 600.0
"""Seconds of audio that the time limit is for; a longer task may take longer."""

SMALLEST_RATE = 8000
"""Bytes a second of the most compressed audio, for files that do not say how long."""

START_LIMIT = 300.0
"""Seconds that a process may take to load its model."""

_PAGE = os.sysconf("SC_PAGE_SIZE")
_MAX_FAILED_STARTS = 3

Make = Callable[[WorkSettings], CorpusWorker]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a task may take before its process is killed.

    Parameters
    ----------
    time : float
        Seconds for a task of up to ten minutes of audio; longer ones have more.
    memory : int
        Bytes of a process.
    """

    time: float = 300.0
    memory: int = 4 << 30

    def seconds(self, task: FileTask) -> float:
        """Return the time limit of a task."""
        if task.piece is not None:
            return self.time * 10  # pieces of any length that was asked for
        return self.time * max(1.0, task.listed.size / SMALLEST_RATE / PIECE_LIMIT)


@dataclass(frozen=True, slots=True)
class Death:
    """A process died.

    Parameters
    ----------
    tasks : tuple of FileTask
        What it had in hand.
    reason : str
        Of what, as far as it is known.
    """

    tasks: tuple[FileTask, ...]
    reason: str


@dataclass
class _Process:
    """A worker process as its parent sees it."""

    process: Any
    pipe: Connection
    ready: bool = False
    in_hand: deque[FileTask] = field(default_factory=deque)
    since: float = field(default_factory=time.monotonic)  # start of the one at work
    killed: str = ""

    def room(self) -> bool:
        alone = any(task.alone for task in self.in_hand)
        return self.ready and not alone and len(self.in_hand) < IN_HAND


class Pool:
    """Some worker processes.

    Parameters
    ----------
    settings : WorkSettings
        Of every worker.
    n_workers : int
        Processes.
    limits : Limits
        What a task may take.
    make : callable
        Makes a worker in its process; importable there.
    """

    def __init__(
        self,
        settings: WorkSettings,
        n_workers: int,
        limits: Limits,
        make: Make = CorpusWorker,
    ) -> None:
        self._settings, self._limits, self._make = settings, limits, make
        self._context = multiprocessing.get_context("spawn")
        self._n_failed_starts = 0
        self._processes: list[_Process] = []
        for _ in range(n_workers):
            self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def n_in_hand(self) -> int:
        """Tasks that were given out and have not come back."""
        return sum(len(process.in_hand) for process in self._processes)

    @property
    def pids(self) -> list[int]:
        """The processes."""
        return [process.process.pid for process in self._processes]

    def give(self, task: FileTask) -> bool:
        """Give a task to a process that has room for it; say whether there is one."""
        for process in sorted(self._processes, key=lambda each: len(each.in_hand)):
            if process.room() and not (task.alone and process.in_hand):
                if not process.in_hand:
                    process.since = time.monotonic()
                process.in_hand.append(task)
                with contextlib.suppress(OSError):  # dead: `collect` will see it
                    process.pipe.send(task)
                return True
        return False

    def collect(self, patience: float) -> list[Outcome | Death]:
        """Wait for news of up to `patience` seconds and return it.

        Raises
        ------
        ValueError
            Workers cannot be made; the message is theirs.
        """
        pipes = {process.pipe: process for process in self._processes}
        news: list[Outcome | Death] = []
        for pipe in wait(list(pipes), patience):
            process = pipes[pipe]  # type: ignore[index]
            try:
                outcome = process.pipe.recv()
            except (EOFError, OSError):
                news.append(self._bury(process))
                continue
            if isinstance(outcome, Outcome):
                process.in_hand.popleft()
                process.since = time.monotonic()
                news.append(outcome)
            elif outcome:
                raise ValueError(outcome)
            else:
                process.ready = True
                self._n_failed_starts = 0
        for process in self._processes:
            self._watch(process)
        return news

    def close(self) -> None:
        """End all processes at once."""
        for process in self._processes:
            process.process.kill()
        for process in self._processes:
            process.process.join()
            process.pipe.close()
        self._processes = []

    def _start(self) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_serve, args=(theirs, self._settings, self._make), daemon=True
        )
        process.start()
        theirs.close()
        self._processes.append(_Process(process, ours))

    def _bury(self, process: _Process) -> Death:
        """Replace a dead process; say what it had in hand."""
        process.process.join()
        process.pipe.close()
        self._processes.remove(process)
        code = process.process.exitcode
        reason = process.killed or f"the worker exited with code {code}"
        if not process.killed and code < 0:
            reason = f"the worker was killed by {signal.Signals(-code).name}"
        if not process.ready:
            self._n_failed_starts += 1
            if self._n_failed_starts >= _MAX_FAILED_STARTS:
                raise ValueError(
                    f"the workers do not start ({reason}); try fewer --workers, or run "
                    "`streamsed doctor`"
                )
        self._start()
        return Death(tuple(process.in_hand), reason)

    def _watch(self, process: _Process) -> None:
        """Kill a process that takes more than it may."""
        if process.killed or (process.ready and not process.in_hand):
            return
        limit = START_LIMIT
        if process.in_hand:
            limit = self._limits.seconds(process.in_hand[0])
        if _memory(process.process.pid) > self._limits.memory:
            megabytes = self._limits.memory >> 20
            process.killed = f"it took more memory than the limit of {megabytes} MB"
        elif time.monotonic() - process.since > limit:
            process.killed = f"it took longer than the limit of {limit:.0f} s"
        if process.killed:
            process.process.kill()


def _memory(pid: int) -> int:
    """Return the bytes that a process holds; 0 where the system does not say."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as stream:  # noqa: PTH123
            return int(stream.read().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def _serve(pipe: Connection, settings: WorkSettings, make: Make) -> None:
    """Be a worker: take tasks from a pipe and send outcomes, until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tasks: queue.SimpleQueue[FileTask] = queue.SimpleQueue()

    def receive() -> None:
        try:
            while True:
                tasks.put(pipe.recv())
        except (EOFError, OSError):
            os._exit(0)  # the parent is gone, and with it who wants to know

    try:
        worker = make(settings)
    except (OSError, ValueError, ModuleNotFoundError) as error:
        pipe.send(str(error))
        return
    pipe.send("")
    threading.Thread(target=receive, daemon=True).start()
    begun: deque[Any] = deque()
    while True:
        while len(begun) < IN_HAND:
            try:
                task = tasks.get(block=not begun)
            except queue.Empty:
                break
            begun.append((task, worker.begin(task)))
        pipe.send(worker.finish(*begun[0]))
        begun.popleft()
