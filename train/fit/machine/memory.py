"""Memory: keep freed memory, and find the largest batch that fits.

Large temporary arrays should not cost a page fault for every page: glibc gives blocks
above a threshold back to the system as soon as they are freed. A training step frees and
takes hundreds of megabytes, so a third of its time went into page faults; told to keep
its memory, the same step took 72 ms a clip instead of 105.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

import torch

M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


def keep_freed_memory() -> bool:
    """Make the C library keep freed memory; False if it is not glibc."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))


def largest_fit(attempt: Callable[[int], object], n: int) -> int:
    """Find the largest of n, n / 2, n / 4 ... for which an attempt has memory enough.

    Parameters
    ----------
    attempt : callable
        Told how many; raises `torch.OutOfMemoryError` if these are too many.
    n : int
        Where to begin.

    Returns
    -------
    int
        How many; 0 if not even one fits.
    """
    while n > 0 and not _fits(attempt, n):
        n //= 2
    return n


def _fits(attempt: Callable[[int], object], n: int) -> bool:
    try:
        attempt(n)
    except torch.OutOfMemoryError:
        return False
    return True
