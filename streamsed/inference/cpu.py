"""Features of this machine's processor that matter for the choice of an engine."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


@cache
def processor_flags() -> frozenset[str]:
    """Return the flags in /proc/cpuinfo; none if it does not exist."""
    try:
        text = CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    found = re.search(r"^flags\s*:\s*(.*)$", text, re.MULTILINE)
    return frozenset(found[1].split()) if found else frozenset()


def has_bf16() -> bool:
    """Return whether there are instructions for 16-bit floats (bfloat16)."""
    return not processor_flags().isdisjoint({"avx512_bf16", "amx_bf16"})


def has_bf16_tiles() -> bool:
    """Return whether AMX multiplies bfloat16, as fast as 8-bit numbers."""
    return "amx_bf16" in processor_flags()


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def may_have_cuda() -> bool:
    """Return whether a CUDA driver exists; a quick check that does not import torch."""
    return any(Path(path).exists() for path in ("/dev/nvidiactl", "/dev/dxg"))
