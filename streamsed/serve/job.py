"""What `streamsed serve` does, once its file is named.

SIGTERM or Ctrl-C closes what is open and ends the program; a second one does not wait for
that. A hang-up (SIGHUP) reads the file again, and opens the log anew.
"""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from streamsed.serve.service import Service
from streamsed.serve.settings import ServeSettings, SettingsError, read_serve_settings
from streamsed.serve.sources.ffmpeg import PROTOCOLS, REMEDY
from streamsed.terminal import say

LOOK_EVERY = 0.5
"""Seconds from one look for signals to the next, at most."""


@dataclass(frozen=True, slots=True)
class ServeJob:
    """Listen to the sources of a settings file until told to stop.

    Parameters
    ----------
    path : Path
        TOML.
    """

    path: Path

    def check(self) -> int:
        """Name every mistake in the file; return the exit code."""
        try:
            settings = read_serve_settings(self.path)
        except SettingsError as error:
            for mistake in error.mistakes:
                say(str(mistake))
            return 2
        for remark in remarks(settings):
            say(remark)
        n_sources = len(settings.sources)
        say(f"{self.path}: all settings are right, of {n_sources} sources")
        return 0

    def run(self) -> int:
        """Do it all and return the exit code."""
        settings = read_serve_settings(self.path)
        for remark in remarks(settings):
            say(remark)
        service = Service(settings, say=say)
        stop, again = threading.Event(), threading.Event()
        with _signals(stop, again):
            service.start()
            try:
                say(f"listening to {', '.join(s.name for s in settings.sources)}")
                while not stop.wait(LOOK_EVERY):
                    if again.is_set():
                        again.clear()
                        self._reload(service)
            finally:
                service.stop()
        failures = service.fan_out.failures()
        return 1 if any(each.get("lost") for each in failures.values()) else 0

    def _reload(self, service: Service) -> None:
        """Read the file again; keep the old settings if it is wrong."""
        service.reopen_logs()
        try:
            settings = read_serve_settings(self.path)
            service.reload(settings)
        except SettingsError as error:
            for mistake in error.mistakes:
                say(f"{mistake}; the old settings stay in force")
        except (OSError, ValueError) as error:
            say(f"{error}; the old settings stay in force")
        else:
            say(f"{self.path} is read again")


def remarks(settings: ServeSettings) -> list[str]:
    """Return what is no mistake in a file and yet will not work on this machine."""
    found = []
    by_ffmpeg = [
        s.name for s in settings.sources if urlsplit(s.url).scheme in PROTOCOLS
    ]
    if by_ffmpeg and shutil.which("ffmpeg") is None:
        found.append(
            f"ffmpeg is not found, which reads {', '.join(by_ffmpeg)}; {REMEDY}"
        )
    return found


@contextmanager
def _signals(stop: threading.Event, again: threading.Event) -> Iterator[None]:
    """Let the first signal set `stop`, and the second interrupt; a hang-up set `again`."""

    def on_stop(*_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, before[number])
        stop.set()

    def on_hang_up(*_: object) -> None:
        again.set()

    handlers = {
        signal.SIGINT: on_stop,
        signal.SIGTERM: on_stop,
        signal.SIGHUP: on_hang_up,
    }
    before = {
        number: signal.signal(number, handler) for number, handler in handlers.items()
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
