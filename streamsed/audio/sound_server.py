"""The sound server between PortAudio and the microphones: PulseAudio or PipeWire.

PortAudio sees one device, `pulse` or `default`; behind it the server decides which of its
sources is recorded, and may silently move a recording to another one: when a microphone
is unplugged, or when the user selects another. `pactl`, which both servers provide, lists
the sources and the one that this process records. Without `pactl` or a server, no sources
are listed and moves are not reported.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections import deque
from typing import Any, NamedTuple

TIMEOUT = 3.0
"""Seconds that `pactl` may take."""

INTERVAL = 3.0
"""Seconds between queries of the server."""

CHOICE = "PULSE_SOURCE"
"""Environment variable that selects the source for the server's client library."""


class ServerSource(NamedTuple):
    """A source of the sound server.

    Parameters
    ----------
    name : str
        Name in the server, such as `alsa_input.usb-Blue_Yeti-00.analog-stereo`.
    description : str
        Name for people.
    """

    name: str
    description: str


def server_sources() -> list[ServerSource]:
    """Return the sources that can be recorded; empty if no sound server answers."""
    return list(_sources().values())


def find_source(wanted: str) -> ServerSource | None:
    """Return the source that matches a name, or part of its name or description.

    Raises
    ------
    ValueError
        Several match; the message lists them.
    """
    sources = server_sources()
    low = wanted.lower()
    found = [source for source in sources if wanted in source] or [
        source for source in sources if any(low in text.lower() for text in source)
    ]
    if len(found) > 1:
        listed = "; ".join(source.name for source in found)
        raise ValueError(f"--device: {wanted!r} matches several sources: {listed}")
    return found[0] if found else None


def recorded_source() -> ServerSource | None:
    """Return the source that this process currently records, if known."""
    ours = str(os.getpid())
    for output in _listed("source-outputs"):
        if output.get("properties", {}).get("application.process.id") == ours:
            return _sources().get(output.get("source", -1))
    return None


class SourceWatch:
    """Detect when the server moves the recording of this process to another source.

    It queries the server every few seconds in its own thread, as the answer may be slow.
    """

    def __init__(self) -> None:
        self._source: ServerSource | None = None
        self._moves: deque[str] = deque()  # added by `look`, removed by `notices`
        self._next = 0.0
        self._thread: threading.Thread | None = None

    def notices(self) -> list[str]:
        """Return a message for each move since the last call."""
        busy = self._thread is not None and self._thread.is_alive()
        if not busy and time.monotonic() >= self._next:
            self._next = time.monotonic() + INTERVAL
            self._thread = threading.Thread(target=self.look, daemon=True)
            self._thread.start()
        return [self._moves.popleft() for _ in range(len(self._moves))]

    def look(self) -> None:
        """Query the server once."""
        source = recorded_source()
        if source is None:
            return
        before, self._source = self._source, source
        if before is not None and before.name != source.name:
            self._moves.append(
                f"the sound server moved the recording from {before.description} "
                f"({before.name}) to {source.description} ({source.name})"
            )


def _sources() -> dict[int, ServerSource]:
    return {
        int(source["index"]): ServerSource(
            str(source["name"]), str(source.get("description") or source["name"])
        )
        for source in _listed("sources")
    }


def _listed(kind: str) -> list[dict[str, Any]]:
    """Return what `pactl` lists of a kind; empty if it cannot be run."""
    if shutil.which("pactl") is None:
        return []
    try:
        run = subprocess.run(
            ["pactl", "--format=json", "list", kind],
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            capture_output=True,
            timeout=TIMEOUT,
            check=True,
        )
        listed = json.loads(run.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
    return [each for each in listed if isinstance(each, dict)]
