"""The local engine: files of a shard to rows, with workers that may die.

    manifest > tasks > Pool > outcomes > rows > PartWriter
                 ^                 |
                 `- pieces of long files, tasks of dead workers

Work that is written is never done again; work that is not written is done again. That is
all there is to resuming, and why it does not matter when a run is killed.
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
from streamsed.terminal import say

PATIENCE = 0.2
"""Seconds that the loop waits for news before it looks after clock and workers."""

MAX_UNREACHABLE = 10
"""Files in a row that cannot be reached before a run gives up."""

MAX_FILES = 20_000
"""Files of one part."""


@dataclass
class _Long:
    """A recording that is done in pieces: what is known of it so far."""

    info: AudioInfo
    n_pieces: int
    assembly: Assembly
    waiting: dict[int, Outcome] = field(default_factory=dict)  # came before their turn
    n_joined: int = 0
    n_samples: int = 0
    scores: list[Row] = field(default_factory=list)
    wall_time: float = 0.0
    error: str = ""


@dataclass
class LocalEngine:
    """Do files with processes of this machine.

    Parameters
    ----------
    settings : WorkSettings
        Of the workers.
    model : ModelInfo
        The model that they load.
    n_workers : int
        Processes.
    limits : Limits
        What a task may take.
    flush_every : float
        Seconds between two parts.
    make : callable
        Makes a worker; see `Pool`.
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

    def run(self, files: Iterable[Listed], writer: PartWriter, status: Status) -> bool:
        """Do files and write their rows.

        Parameters
        ----------
        files : iterable of Listed
            Are asked for as they are needed.
        writer : PartWriter
            Takes the rows.
        status : Status
            Is kept up to date.

        Returns
        -------
        bool
            Whether all were done; False if this was interrupted.

        Raises
        ------
        OSError
            The rows cannot be written, or nothing can be reached any more.
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
            with suppress(OSError):  # no room for this either
                Staging(self.settings.staging).clear()
                status.report(state)
        return not self._stopping

    def work(
        self, pool: Pool, files: Iterable[Listed], writer: PartWriter, status: Status
    ) -> None:
        """Do files with a pool that is there; see `run` for the rest."""
        self._writer, self._status = writer, status
        self._staging = Staging(self.settings.staging)
        self._loop(pool, (FileTask(listed) for listed in files))

    def _loop(self, pool: Pool, todo: Iterator[FileTask]) -> None:
        started = written = time.monotonic()
        while True:
            more = not self._stopping and self._fill(pool, todo)
            if not pool.n_in_hand and not more:
                return
            if not self.start_time and pool.n_in_hand:
                self.start_time = time.monotonic() - started
            for news in pool.collect(PATIENCE):
                if isinstance(news, Death):
                    self._mourn(news)
                else:
                    self._take(news)
            late = time.monotonic() - written > self.flush_every
            if late or self._writer.n_files >= MAX_FILES:
                self._writer.flush()
                written = time.monotonic()
            self._status.report()

    def _fill(self, pool: Pool, todo: Iterator[FileTask]) -> bool:
        """Give out tasks while there is room; say whether some are left.

        A task that is to be alone goes first, and others wait until it is given.
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

    def _mourn(self, death: Death) -> None:
        """Try what a dead worker had in hand once more, alone; then record it."""
        for task in death.tasks:
            if task.alone:
                error = f"{task.listed.uri}: failed twice: {death.reason}"
                self._take(Outcome(task, error=error))
            else:
                self._tasks.appendleft(replace(task, alone=True))

    def _take(self, outcome: Outcome) -> None:
        """Take what became of a task."""
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
        """Join a piece to those before it, as soon as they are there.

        What is wrong with a file is what is wrong with its first bad piece, in whatever
        order they were done.
        """
        uri = outcome.task.listed.uri
        long = self._long.get(uri)
        if long is None:  # an earlier piece was bad, and the file is recorded
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
        """Record a recording that was done in pieces; drop its pieces that are left."""
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
        """Take the rows of a file that is done."""
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

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Finish what is in hand at the first Ctrl-C or SIGTERM; stop at the second."""

        def stop(*_: Any) -> None:
            if self._stopping:
                raise KeyboardInterrupt
            self._stopping = True
            say("finishing the files in hand; interrupt again to stop at once")

        try:
            before = {
                s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)
            }
        except ValueError:  # not in the main thread, where no signal arrives
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
