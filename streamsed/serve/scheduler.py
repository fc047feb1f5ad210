"""Schedule the sources in the order in which they are due.

A source is visited a few times a second. A visit reads everything received since the last
one, scores at most the newest of the segments that it completes, and counts the others as
skipped. When the machine is too slow, fewer segments of every source are scored and no
source starves. A source that is dead or delivers too much does not delay the others: its
visits take no longer than theirs.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

TICK = 0.25
"""Seconds from one visit of a source to the next."""


class Visited(Protocol):
    """A source that the scheduler visits."""

    @property
    def name(self) -> str:
        """Unique name."""

    def visit(self) -> None:
        """Run the tasks that are due."""


class Scheduler:
    """Visit sources in turn, in several threads.

    Parameters
    ----------
    n_workers : int
        Number of threads, and so of segments that are scored in parallel.
    on_error : callable
        Called with a source and the exception that its visit raised. The source is visited
        again whatever happens there.
    tick : float
        Seconds from one visit of a source to the next.
    """

    def __init__(
        self,
        n_workers: int,
        *,
        on_error: Callable[[Visited, Exception], None],
        tick: float = TICK,
    ) -> None:
        self._tick = tick
        self._on_error = on_error
        self._due: list[tuple[float, int, Visited]] = []
        self._turn = itertools.count()
        self._in_hand: set[int] = set()  # by id
        self._removed: set[int] = set()
        self._changed = threading.Condition()
        self._stopping = False
        self._busy: deque[tuple[float, float]] = deque(maxlen=512)  # end and seconds
        self.n_visits = 0
        self._workers = [
            threading.Thread(target=self._work, name=f"scoring {i}", daemon=True)
            for i in range(n_workers)
        ]

    def start(self) -> None:
        """Start the threads."""
        for worker in self._workers:
            worker.start()

    def add(self, source: Visited) -> None:
        """Visit a source from now on."""
        with self._changed:
            n_sources = len(self._due) + len(self._in_hand)
            phase = self._tick * (n_sources * 0.618 % 1)  # spread over time
            self._removed.discard(id(source))
            self._put(time.monotonic() + phase, source)

    def remove(self, source: Visited) -> None:
        """Stop visiting a source; wait for a visit in progress."""
        with self._changed:
            self._due = [entry for entry in self._due if entry[2] is not source]
            heapq.heapify(self._due)
            self._removed.add(id(source))
            while id(source) in self._in_hand:
                self._changed.wait()
            self._removed.discard(id(source))

    def stop(self) -> None:
        """Stop all visits; wait for those in progress."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()

    @property
    def load(self) -> float:
        """Share of time that the threads spent on recent visits."""
        visits = list(self._busy)
        if len(visits) < 2:
            return 0.0
        span = visits[-1][0] - visits[0][0]
        busy = sum(seconds for _, seconds in visits[1:])
        return busy / span / len(self._workers) if span > 0 else 0.0

    def _put(self, due: float, source: Visited) -> None:
        heapq.heappush(self._due, (due, next(self._turn), source))
        self._changed.notify()

    def _work(self) -> None:
        while (entry := self._next()) is not None:
            due, source = entry
            began = time.monotonic()
            try:
                source.visit()
            except Exception as error:  # noqa: BLE001 - one source must not end the others
                with suppress(Exception):
                    self._on_error(source, error)
            now = time.monotonic()
            self._busy.append((now, now - began))
            with self._changed:
                self.n_visits += 1
                self._in_hand.discard(id(source))
                if id(source) not in self._removed:
                    self._put(max(due + self._tick, now), source)
                self._changed.notify_all()

    def _next(self) -> tuple[float, Visited] | None:
        """Wait for the source that is due first."""
        with self._changed:
            while not self._stopping:
                left = self._due[0][0] - time.monotonic() if self._due else None
                if left is not None and left <= 0:
                    due, _, source = heapq.heappop(self._due)
                    self._in_hand.add(id(source))
                    return due, source
                self._changed.wait(left)
            return None
