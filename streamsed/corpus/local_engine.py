"""The local engine: process the files of a shard with a pool of worker processes.

    manifest > tasks > Pool > outcomes > rows > PartWriter
                 ^                 |
                 `- pieces of long files, tasks of dead workers

Files whose rows are written are not processed again; all others are. This is all that
resuming takes, so a run may be killed at any time.
"""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from streamsed.audio.decode import AudioInfo
from streamsed.corpus.files.listing import Listed
from streamsed.corpus.files.storage import Staging
from streamsed.corpus.pool import Death, Limits, Make, Pool
from streamsed.corpus.status import Status
from streamsed.corpus.tables.parts import PartWriter, Row
from streamsed.corpus.tables.rows import event_rows, file_row, score_rows
from streamsed.corpus.worker import (
    Assembly,
    CorpusWorker,
    FileTask,
    Outcome,
    WorkSettings,
)
from streamsed.inference.model_file import ModelInfo
from streamsed.terminal import print_message

PATIENCE = 0.2
"""Seconds that the loop waits for results before it checks clock and workers."""

MAX_UNREACHABLE = 10
"""Consecutive unreachable files after which a run gives up."""

MAX_FILES = 20_000
"""Files per part."""


@dataclass
class _Long:
    """A recording that is processed in pieces, with the results so far."""

    info: AudioInfo
    n_pieces: int
    assembly: Assembly
    waiting: dict[int, Outcome] = field(default_factory=dict)  # arrived out of order
    n_joined: int = 0
    n_samples: int = 0
    scores: list[Row] = field(default_factory=list)
    wall_time: float = 0.0
    error: str = ""


@dataclass
class LocalEngine:
    """Process files with worker processes on this machine.

    Parameters
    ----------
    settings : WorkSettings
        Settings of the workers.
    model : ModelInfo
        The workers' model.
    n_workers : int
        Processes.
    limits : Limits
        Limits of a task.
    flush_every : float
        Seconds between parts.
    make : callable
        Creates a worker; see `Pool`.
    """

    settings: WorkSettings
    model: ModelInfo
    n_workers: int
    limits: Limits
    flush_every: float = 60.0
    make: Make = CorpusWorker
    start_time: float = field(default=0.0, init=False)
    """Seconds until the first task was given to a worker."""
    _long: dict[str, _Long] = field(default_factory=dict, init=False)
    _tasks: deque[FileTask] = field(default_factory=deque, init=False)
    _n_unreachable: int = field(default=0, init=False)
    _stopping: bool = field(default=False, init=False)
    _announced: bool = field(default=False, init=False)

    def run(self, files: Iterable[Listed], writer: PartWriter, status: Status) -> bool:
        """Process files and write their rows.

        Parameters
        ----------
        files : iterable of Listed
            Consumed lazily.
        writer : PartWriter
            Writes the rows.
        status : Status
            Updated with the progress.

        Returns
        -------
        bool
            Whether all files were processed; False if interrupted.

        Raises
        ------
        OSError
            The rows cannot be written, or too many files cannot be reached.
        ValueError
            The workers cannot start.
        """
        state = "stopped"
        pool = Pool(self.settings, self.n_workers, self.limits, self.make)
        try:
            with self._interruptible(), pool:
                self.work(pool, files, writer, status)
            writer.flush()
            state = "interrupted" if self._stopping else "finished"
        finally:
            with suppress(OSError):  # there may be no room for this either
                Staging(self.settings.staging).clear()
                status.report(state)
        return not self._stopping

    def work(
        self, pool: Pool, files: Iterable[Listed], writer: PartWriter, status: Status
    ) -> None:
        """Process files with an existing pool; see `run` for the rest."""
        self._writer, self._status = writer, status
        self._staging = Staging(self.settings.staging)
        self._loop(pool, (FileTask(listed) for listed in files))

    def _loop(self, pool: Pool, todo: Iterator[FileTask]) -> None:
        started = written = time.monotonic()
        while True:
            self._announce_stop()
            more = not self._stopping and self._fill(pool, todo)
            if not pool.n_in_hand and not more:
                return
            if not self.start_time and pool.n_in_hand:
                self.start_time = time.monotonic() - started
            for outcome in pool.collect(PATIENCE):
                if isinstance(outcome, Death):
                    self._retry_tasks(outcome)
                else:
                    self._take(outcome)
            late = time.monotonic() - written > self.flush_every
            if late or self._writer.n_files >= MAX_FILES:
                self._writer.flush()
                written = time.monotonic()
            self._status.report()

    def _fill(self, pool: Pool, todo: Iterator[FileTask]) -> bool:
        """Submit tasks while there is room; return whether some are left.

        A task that must run alone goes first, and others wait for it.
        """
        while True:
            if not self._tasks:
                task = next(todo, None)
                if task is None:
                    return False
                self._tasks.append(task)
            if not pool.give(self._tasks[0]):
                return True
            self._tasks.popleft()

    def _retry_tasks(self, death: Death) -> None:
        """Retry the tasks of a dead worker once, alone; then record the error."""
        for task in death.tasks:
            if task.alone:
                error = f"{task.listed.uri}: failed twice: {death.reason}"
                self._take(Outcome(task, error=error))
            else:
                self._tasks.appendleft(replace(task, alone=True))

    def _take(self, outcome: Outcome) -> None:
        """Process the outcome of a task."""
        task = outcome.task
        if outcome.pieces and outcome.info is not None:
            assembly = Assembly(self.model.labels, self.settings, self.model.frontend)
            n_pieces = len(outcome.pieces)
            self._long[task.listed.uri] = _Long(outcome.info, n_pieces, assembly)
            self._tasks.extendleft(
                FileTask(task.listed, piece, number)
                for number, piece in reversed(list(enumerate(outcome.pieces)))
            )
        elif task.piece is not None:
            self._take_piece(outcome)
        else:
            rows = score_rows(outcome, self.model) if outcome.scores is not None else []
            self._write(outcome, rows)

    def _take_piece(self, outcome: Outcome) -> None:
        """Append a piece to those before it, as soon as they are available.

        The error of a file is that of its first bad piece, regardless of the order in
        which the pieces were processed.
        """
        uri = outcome.task.listed.uri
        long = self._long.get(uri)
        if long is None:  # an earlier piece failed, and the file is recorded
            return
        long.waiting[outcome.task.number] = outcome
        while (piece := long.waiting.pop(long.n_joined, None)) is not None:
            long.n_joined += 1
            long.wall_time += piece.wall_time
            long.n_samples = piece.n_samples
            if piece.error:
                self._finish_long(long, piece)
                return
            assert piece.scores is not None
            long.assembly.push(piece.scores)
            if self.settings.keep_scores:
                long.scores += score_rows(piece, self.model)
        if long.n_joined == long.n_pieces:
            self._finish_long(long, outcome)

    def _finish_long(self, long: _Long, last: Outcome) -> None:
        """Record a recording that was processed in pieces; drop the remaining pieces."""
        listed = last.task.listed
        del self._long[listed.uri]
        self._tasks = deque(task for task in self._tasks if task.listed != listed)
        whole = Outcome(
            FileTask(listed),
            info=long.info,
            n_samples=long.n_samples,
            error=last.error,
            unreachable=last.unreachable,
            wall_time=long.wall_time,
        )
        if not last.error:
            whole.events = long.assembly.finish(long.n_samples)
        self._write(whole, long.scores)

    def _write(self, outcome: Outcome, scores: list[Row]) -> None:
        """Write the rows of a finished file."""
        listed = outcome.task.listed
        row = file_row(outcome, self.model)
        self._writer.add(row, event_rows(outcome), [] if outcome.error else scores)
        self._staging.release(listed.uri, listed.size, listed.etag)
        self._status.add(
            row["status"], row["seconds"] or 0.0, max(0, listed.size), outcome.error
        )
        self._n_unreachable = self._n_unreachable + 1 if outcome.unreachable else 0
        if self._n_unreachable >= MAX_UNREACHABLE:
            self._writer.flush()
            raise OSError(
                f"{MAX_UNREACHABLE} files in a row could not be reached (the last: "
                f"{outcome.error}); check the network and run the same command again"
            )

    def _announce_stop(self) -> None:
        """Say once what happens now: a signal's handler must not print."""
        if self._stopping and not self._announced:
            self._announced = True
            print_message(
                "finishing the current files; interrupt again to stop immediately"
            )

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Finish the current files at the first Ctrl-C or SIGTERM; stop at the second."""

        def stop(*_: Any) -> None:
            if self._stopping:
                raise KeyboardInterrupt
            self._stopping = True

        try:
            before = {
                s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)
            }
        except ValueError:  # not in the main thread, which alone receives signals
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
