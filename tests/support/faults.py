"""Faults of a file system, on purpose: full disks, bad disks, interruptions, short writes.

`Faults` stands between the program and the system's calls that write. Each call is given
to a plan, which lets it through, cuts it short, or fails it: a write after half of it has
arrived. In a process of its own, the
plan comes from the environment: see `main`.
"""

import errno
import os
import random
import sys

CALLS = ("write", "fsync", "replace", "rename", "ftruncate")
KINDS = {
    "full": errno.ENOSPC,
    "broken": errno.EIO,
    "interrupted": errno.EINTR,
    "quota": errno.EDQUOT,
}


class Faults:
    """Replace the calls while it is entered.

    Parameters
    ----------
    plan : callable
        (name of the call, its number from 0) to None, "short", or one of `KINDS`.
    calls : sequence of str
        Which may fail.
    """

    def __init__(self, plan, *, calls=CALLS):
        self.n_calls = 0
        self.n_faults = 0
        self._due = None  # a fault of which the first half has arrived
        self._plan = plan
        self._real = {name: getattr(os, name) for name in calls}

    def __enter__(self):
        for name in self._real:
            setattr(os, name, self._faulty(name))
        return self

    def __exit__(self, *_):
        for name, real in self._real.items():
            setattr(os, name, real)

    def _faulty(self, name):
        real = self._real[name]

        def call(first, *rest, **options):
            if isinstance(first, int) and first <= 2:  # what the tests read
                return real(first, *rest, **options)
            kind, self._due = self._due, None
            if kind is None:
                kind = self._plan(name, self.n_calls)
                self.n_calls += 1
                if kind is None:
                    return real(first, *rest, **options)
                self.n_faults += 1
                if name == "write" and len(rest[0]) > 1:
                    self._due = None if kind == "short" else kind
                    return real(first, bytes(rest[0])[: len(rest[0]) // 2])
            if kind == "short":
                return real(first, *rest, **options)
            raise OSError(KINDS[kind], os.strerror(KINDS[kind]))

        return call


def at(number, kind):
    """Fail one call."""
    return lambda _, n: kind if n == number else None


def between(first, stop, kind):
    """Fail the calls of a while."""
    return lambda _, n: kind if first <= n < stop else None


def now_and_then(seed, share=0.3, kinds=(*KINDS, "short")):
    """Fail calls at random."""
    rng = random.Random(seed)
    return lambda *_: rng.choice(kinds) if rng.random() < share else None


def main():
    """Run the command line with faults: FAULTS=first:stop:kind."""
    from streamsed.cli.app import main as run

    first, stop, kind = os.environ["FAULTS"].split(":")
    sys.argv[0] = "streamsed"
    with Faults(between(int(first), int(stop), kind), calls=("write",)):
        run()


if __name__ == "__main__":
    main()
