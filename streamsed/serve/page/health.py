"""`/healthz`: whether sound flows, which is more than that the program runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamsed.serve.status import SourceStatus

PATIENCE = 30.0
"""Seconds without sound after which a source does not count as flowing."""


def is_flowing(source: SourceStatus) -> bool:
    """Whether sound came from a source lately, or is not meant to now."""
    if source.state == "quiet":
        return True
    return source.state == "running" and source.since_audio <= PATIENCE


def health(sources: Sequence[SourceStatus]) -> tuple[bool, dict[str, Any]]:
    """Return whether the program does its work, and a description for JSON.

    It does while sound flows from one source at least: a camera that is switched off does
    not make a supervisor restart everything, since a restart would not help.
    """
    flowing = [source.name for source in sources if is_flowing(source)]
    silent = {
        source.name: source.reason or source.state
        for source in sources
        if not is_flowing(source)
    }
    ok = bool(flowing)
    status = "ok" if ok and not silent else "degraded" if ok else "no sound"
    return ok, {"status": status, "flowing": flowing, "silent": silent}
