"""Work ahead of who needs it, in threads, with bounded memory and results in order.

`Prefetch` runs an iterator in a thread of its own, a few items ahead of its reader;
`prefetch_each`
has several such iterators begun at once, and gives them one after another. What goes wrong
in a thread is raised where its item would have come.
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
    """Iterate in a thread of its own.

    Parameters
    ----------
    items : iterable
        What is asked for in the thread.
    length : int
        Items that may wait for the reader.

    Examples
    --------
    >>> with Prefetch(range(3), length=2) as prefetch:
    ...     list(prefetch)
    [0, 1, 2]
    """

    def __init__(self, items: Iterable[Item], *, length: int) -> None:
        self._items = items
        self._room = threading.Semaphore(length)
        self._done: queue.SimpleQueue[tuple[list[Item], BaseException | None]]
        self._done = queue.SimpleQueue()
        self._stopped = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def __enter__(self) -> Prefetch[Item]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Item]:
        """Give the items in their order; raise what the thread met in its place."""
        while True:
            items, error = self._done.get()
            if error is not None:
                raise error
            if not items:
                return
            yield items[0]
            self._room.release()

    def close(self) -> None:
        """Stop the thread after the item in hand, and wait for it."""
        self._stopped = True
        self._room.release()
        self._thread.join()

    def _work(self) -> None:
        try:
            for item in self._items:
                self._room.acquire()
                if self._stopped:
                    return
                self._done.put(([item], None))
        except BaseException as error:  # noqa: BLE001 - it is raised for the reader
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
    """Begin several iterations ahead of the one that is read.

    Parameters
    ----------
    sources : iterable
        What is to be iterated, one after another.
    iterate : callable
        A source to its items, called in a thread.
    n_begun : int
        Iterations at work at once, the one that is read included.
    length : int
        See `Prefetch`.

    Yields
    ------
    source, items
        In the order of the sources; the items of one are closed when the next is asked
        for, and all when the generator is.
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
    """Call `iterate` when the first item is asked for: in the thread."""
    yield from iterate(source)
