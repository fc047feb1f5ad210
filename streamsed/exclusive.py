"""Let only one thread at a time use an object with state.

A stage keeps the state of its recording, so two threads that push into it would mix two
recordings. A lock would not help: this is an error in the caller, and raises
`RuntimeError`. The C++ core does the same for its own objects.

    thread 1   |--- push ---|      |--- push ---|
    thread 2        push: RuntimeError   |             push after that: no error

A thread may call again from inside a call (an observer that calls `pending`), and
objects may move from thread to thread between calls.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar


class InUse:
    """Which call is inside an object; used by `exclusive`.

    Parameters
    ----------
    name : str
        Name of the object in the error message.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.RLock()
        self.caller: object = None
        """The latest call, which owns the state."""

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise self.refusal()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def refusal(self) -> RuntimeError:
        """Return the error for a second caller."""
        return RuntimeError(
            f"{self._name} is in use by another thread; give each thread its own"
        )


class _Stateful(Protocol):
    _in_use: InUse


Stage = TypeVar("Stage", bound=_Stateful)
Given = ParamSpec("Given")
Result = TypeVar("Result")
Method = Callable[Concatenate[Stage, Given], Result]


def exclusive(
    method: Method[Stage, Given, Result],
) -> Method[Stage, Given, Result]:
    """Let only one thread at a time into the marked methods of an object.

    The object needs an `InUse` as `_in_use`. Each step of a generator counts as a call;
    a step after another call has begun is refused too, because the state has changed.

    Parameters
    ----------
    method : callable
        A method or a generator method.

    Examples
    --------
    >>> class Counter:
    ...     def __init__(self):
    ...         self._in_use = InUse("Counter")
    ...         self.n = 0
    ...
    ...     @exclusive
    ...     def push(self):
    ...         self.n += 1
    ...         return self.n
    >>> Counter().push()
    1
    """
    if inspect.isgeneratorfunction(method):

        @functools.wraps(method)
        def guarded(
            self: Stage, /, *args: Given.args, **kwargs: Given.kwargs
        ) -> Iterator[Any]:
            return _steps(self._in_use, method(self, *args, **kwargs))
    else:

        @functools.wraps(method)
        def guarded(
            self: Stage, /, *args: Given.args, **kwargs: Given.kwargs
        ) -> Result:
            with self._in_use:
                self._in_use.caller = None
                return method(self, *args, **kwargs)

    return guarded  # type: ignore[return-value]


def _steps(in_use: InUse, steps: Iterator[Any]) -> Iterator[Any]:
    """Treat each step of a generator as a call of its own."""
    turn = object()
    with in_use:
        in_use.caller = turn
    while True:
        with in_use:
            if in_use.caller is not turn:
                raise in_use.refusal()
            try:
                item = next(steps)
            except StopIteration:
                return
        yield item
