"""A pool of worker processes, one per core, which are watched and replaced.

Every process has two tasks, the one that it scores and the next, whose decoding has
started. If it dies, both are returned and retried once, alone, to find out which one is
the cause. A process that takes too long or too much memory is killed, with the same
effect. If the parent dies, its workers notice that their pipe is closed, and exit.
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
"""Tasks per process: the current one and the next."""

PIECE_LIMIT = 600.0
"""Seconds of audio for which the time limit holds; longer tasks may take longer."""

SMALLEST_RATE = 8000
"""Bytes per second of highly compressed audio, for files of unknown length."""

START_LIMIT = 300.0
"""Maximum time in seconds to load the model."""

_PAGE = os.sysconf("SC_PAGE_SIZE")
_MAX_FAILED_STARTS = 3

Make = Callable[[WorkSettings], CorpusWorker]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a task, after which its process is killed.

    Parameters
    ----------
    time : float
        Seconds for a task of up to ten minutes of audio; longer ones have more.
    memory : int
        Maximum memory of a process, in bytes.
    """

    time: float = 300.0
    memory: int = 4 << 30

    def seconds(self, task: FileTask) -> float:
        """Return the time limit of a task."""
        if task.piece is not None:
            return self.time * 10  # pieces may have any length
        return self.time * max(1.0, task.listed.size / SMALLEST_RATE / PIECE_LIMIT)


@dataclass(frozen=True, slots=True)
class Death:
    """A process died.

    Parameters
    ----------
    tasks : tuple of FileTask
        Its tasks.
    reason : str
        Why it died, if known.
    """

    tasks: tuple[FileTask, ...]
    reason: str


@dataclass
class _Process:
    """The parent's record of a worker process."""

    process: Any
    pipe: Connection
    ready: bool = False
    in_hand: deque[FileTask] = field(default_factory=deque)
    since: float = field(default_factory=time.monotonic)  # start of the current task
    killed: str = ""

    def room(self) -> bool:
        alone = any(task.alone for task in self.in_hand)
        return self.ready and not alone and len(self.in_hand) < IN_HAND


class Pool:
    """A pool of worker processes.

    Parameters
    ----------
    settings : WorkSettings
        Settings of the workers.
    n_workers : int
        Processes.
    limits : Limits
        What a task may take.
    make : callable
        Creates a worker in its process; must be importable there.
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
        """Number of tasks without an outcome."""
        return sum(len(process.in_hand) for process in self._processes)

    @property
    def pids(self) -> list[int]:
        """Ids of the processes."""
        return [process.process.pid for process in self._processes]

    def give(self, task: FileTask) -> bool:
        """Give a task to a process that has room for it; return whether there was one."""
        for process in sorted(self._processes, key=lambda each: len(each.in_hand)):
            if process.room() and not (task.alone and process.in_hand):
                if not process.in_hand:
                    process.since = time.monotonic()
                process.in_hand.append(task)
                with contextlib.suppress(OSError):  # it died; `collect` will notice
                    process.pipe.send(task)
                return True
        return False

    def collect(self, patience: float) -> list[Outcome | Death]:
        """Wait for outcomes for up to `patience` seconds and return them.

        Raises
        ------
        ValueError
            Workers cannot be created.
        """
        pipes = {process.pipe: process for process in self._processes}
        outcomes: list[Outcome | Death] = []
        for pipe in wait(list(pipes), patience):
            process = pipes[pipe]  # type: ignore[index]
            try:
                outcome = process.pipe.recv()
            except (EOFError, OSError):
                outcomes.append(self._replace(process))
                continue
            if isinstance(outcome, Outcome):
                process.in_hand.popleft()
                process.since = time.monotonic()
                outcomes.append(outcome)
            elif outcome:
                raise ValueError(outcome)
            else:
                process.ready = True
                self._n_failed_starts = 0
        for process in self._processes:
            self._watch(process)
        return outcomes

    def close(self) -> None:
        """Kill all processes."""
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

    def _replace(self, process: _Process) -> Death:
        """Replace a dead process; return its tasks and the reason."""
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
        """Kill a process that exceeds a limit."""
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
    """Return the memory of a process in bytes; 0 if unknown."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as stream:  # noqa: PTH123
            return int(stream.read().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def _serve(pipe: Connection, settings: WorkSettings, make: Make) -> None:
    """Run a worker: receive tasks from a pipe and send outcomes until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tasks: queue.SimpleQueue[FileTask] = queue.SimpleQueue()

    def receive() -> None:
        try:
            while True:
                tasks.put(pipe.recv())
        except (EOFError, OSError):
            os._exit(0)  # the parent is gone

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
