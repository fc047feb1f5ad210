"""Check whether the sound server still records the requested source.

When a microphone is unplugged, PulseAudio and PipeWire silently move its recording to
another one. With several microphones the sound of one room would appear under the name of
another, so a recording that was moved counts as lost. `pactl subscribe` reports changes at
once; then the server is queried.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading

from streamsed.audio.sound_server import recorded_source

RETRY = 2.0
"""Seconds until the server is watched again after it ended."""


class PlacementWatch:
    """Notice when this process records another source than the requested one.

    Parameters
    ----------
    wanted : str
        Name of the source of the sound server.
    """

    def __init__(self, wanted: str) -> None:
        self.moved_to = ""
        """Description of the source that is recorded instead, or ""."""
        self._wanted = wanted
        self._process: subprocess.Popen[bytes] | None = None
        self._closing = threading.Event()
        self._lock = threading.Lock()  # of the process
        program = shutil.which("pactl")
        if program is not None:
            follow = threading.Thread(target=self._follow, args=(program,), daemon=True)
            follow.start()

    def look(self) -> None:
        """Query the server once."""
        source = recorded_source()
        if source is not None and source.name != self._wanted:
            self.moved_to = source.description

    def close(self) -> None:
        """Stop watching."""
        with self._lock:
            self._closing.set()
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def _follow(self, program: str) -> None:
        """Watch, and watch again whenever the server ended, as after an update."""
        while (process := self._subscribe(program)) is not None:
            with process:
                self.look()
                for line in process.stdout or ():
                    if b"source" in line:
                        self.look()
            self._closing.wait(RETRY)

    def _subscribe(self, program: str) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._closing.is_set():
                return None
            self._process = subprocess.Popen(
                [program, "subscribe"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )
            return self._process
