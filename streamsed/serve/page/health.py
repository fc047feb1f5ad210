"""`/healthz`: whether sound is received, not only whether the program runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamsed.serve.status import SourceStatus

PATIENCE = 30.0
"""Seconds without sound after which a source counts as silent."""


def is_flowing(source: SourceStatus) -> bool:
    """Whether a source delivered sound recently, or is in its quiet hours."""
    if source.state == "quiet":
        return True
    return source.state == "running" and source.since_audio <= PATIENCE


def health(sources: Sequence[SourceStatus]) -> tuple[bool, dict[str, Any]]:
    """Return whether the program is healthy, and a description for JSON.

    It is healthy while at least one source delivers sound: a supervisor should not restart
    everything for a camera that is switched off, since a restart would not help.
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
