"""Iterate in threads, ahead of the consumer, with bounded memory and in order.

`Prefetch` runs an iterator in its own thread, a few items ahead of the consumer;
`prefetch_each` starts several such iterators at once and yields them one after another.
An exception in a thread is raised in place of its item.

Simple queues are all that the threads share: Ctrl-C may interrupt the consumer anywhere, and
inside the locks of `threading`, which are written in Python, it would leave them as they are.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")
Origin = TypeVar("Origin")


class Prefetch(Generic[Item]):
    """Iterate in a separate thread.

    Parameters
    ----------
    items : iterable
        Iterated in the thread.
    length : int
        Maximum number of waiting items.

    Examples
    --------
    >>> with Prefetch(range(3), length=2) as prefetch:
    ...     list(prefetch)
    [0, 1, 2]
    """

    def __init__(self, items: Iterable[Item], *, length: int) -> None:
        self._items = items
        self._room: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[list[Item], BaseException | None]]
        self._done = queue.SimpleQueue()
        for _ in range(length):
            self._room.put(None)
        self._stopped = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def __enter__(self) -> Prefetch[Item]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Item]:
        """Yield the items in order; raise exceptions of the thread in place of items."""
        while True:
            items, error = self._done.get()
            if error is not None:
                raise error
            if not items:
                return
            yield items[0]
            self._room.put(None)

    def close(self) -> None:
        """Stop the thread after the current item, and wait for it."""
        self._stopped = True
        self._room.put(None)
        self._thread.join()

    def _work(self) -> None:
        try:
            for item in self._items:
                self._room.get()
                if self._stopped:
                    return
                self._done.put(([item], None))
        except BaseException as error:  # noqa: BLE001 - raised in the consumer
            self._done.put(([], error))
        else:
            self._done.put(([], None))


def prefetch_each(
    sources: Iterable[Origin],
    iterate: Callable[[Origin], Iterable[Item]],
    *,
    n_begun: int,
    length: int,
) -> Generator[tuple[Origin, Prefetch[Item]]]:
    """Start several iterations ahead of the current one.

    Parameters
    ----------
    sources : iterable
        Sources to iterate, one after another.
    iterate : callable
        Maps a source to its items; called in a thread.
    n_begun : int
        Number of active iterations, including the current one.
    length : int
        See `Prefetch`.

    Yields
    ------
    source, items
        In the order of the sources. The items of a source are closed when the next one is
        requested, and all when the generator is closed.
    """
    begun: deque[tuple[Origin, Prefetch[Item]]] = deque()
    waiting = iter(sources)
    try:
        while True:
            for source in waiting:
                begun.append((source, Prefetch(_late(iterate, source), length=length)))
                if len(begun) == n_begun:
                    break
            if not begun:
                return
            yield begun[0]
            begun.popleft()[1].close()
    finally:
        for _, items in begun:
            items.close()


def _late(
    iterate: Callable[[Origin], Iterable[Item]], source: Origin
) -> Iterator[Item]:
    """Call `iterate` when the first item is requested, in the thread."""
    yield from iterate(source)
