"""One thread at a time for an object with state: a second one is refused, not let in.

A stage remembers what came before, so two threads that push into one would mix two
recordings. Waiting for each other would not help: that is an error in the caller, and
`RuntimeError` says so. The C++ core does the same for its own objects.

    thread 1   |--- push ---|      |--- push ---|
    thread 2        push: RuntimeError   |             push after that: no error

A thread may call again while it is inside (an observer that asks for `pending`), and
objects may be handed from thread to thread between calls.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar


class InUse:
    """Who is inside an object; used by `exclusive`.

    Parameters
    ----------
    name : str
        What the error calls the object.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.RLock()
        self.caller: object = None
        """The newest call, to which the state belongs."""

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

    The object keeps an `InUse` as `_in_use`. Of a generator each step counts as a call;
    a step after another call has begun is refused too, as the state has moved on.

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
    """Take each step of a generator as a call of its own."""
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
