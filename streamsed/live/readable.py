"""Wait until one of several pipes or processes has something to read."""

from __future__ import annotations

import math
import select
from collections.abc import Iterable

LONGEST = 2**31 - 1
"""Milliseconds that the system can wait at once: 24 days."""


def readable(descriptors: Iterable[int], timeout: float) -> list[int]:
    """Return the descriptors that can be read, or have ended, as soon as there are any.

    `select.select` refuses descriptors from 1024 on, which a service of many sources has.

    Parameters
    ----------
    descriptors : iterable of int
        Pipes, or processes as of `os.pidfd_open`.
    timeout : float
        Seconds to wait at most, and not more than `LONGEST`.
    """
    waiting = select.poll()
    for each in descriptors:
        waiting.register(each, select.POLLIN)
    milliseconds = min(LONGEST, math.ceil(max(0.0, timeout) * 1000))
    return [descriptor for descriptor, _ in waiting.poll(milliseconds)]
