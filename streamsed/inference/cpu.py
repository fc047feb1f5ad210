"""What this machine's processor can do, as far as the choice of an engine needs it."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


@cache
def processor_flags() -> frozenset[str]:
    """Return the features that Linux names; none where there is no /proc/cpuinfo."""
    try:
        text = CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    found = re.search(r"^flags\s*:\s*(.*)$", text, re.MULTILINE)
    return frozenset(found[1].split()) if found else frozenset()


def has_bf16() -> bool:
    """Whether 16-bit floats (bfloat16) are multiplied by instructions of their own."""
    return not processor_flags().isdisjoint({"avx512_bf16", "amx_bf16"})


def has_bf16_tiles() -> bool:
    """Whether they are multiplied by the matrix (AMX), as fast as 8-bit numbers are."""
    return "amx_bf16" in processor_flags()


def available_cores() -> int:
    """Return the processor's cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def may_have_cuda() -> bool:
    """Whether a driver for CUDA devices is there; torch knows more, and is slow to ask."""
    return any(Path(path).exists() for path in ("/dev/nvidiactl", "/dev/dxg"))
