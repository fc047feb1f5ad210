"""Notifications to systemd, if it started the program: ready, alive, stopping.

The protocol of sd_notify(3) is a datagram to the socket that `NOTIFY_SOCKET` names. With
`WatchdogSec=` in the unit, systemd restarts the program if no sign of life comes in time; here it
is sent only while sources are visited, so a program whose process
runs but detects nothing any more is restarted too.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"


def reloading() -> str:
    """Return the notification before settings are read again; `READY` follows it."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"


class Supervisor:
    """Notify systemd of the state of the service; without systemd, do nothing.

    Parameters
    ----------
    progress : callable
        A number that grows while work is done.
    environment : mapping or None
        None takes that of the process.
    clock : callable
        Seconds, never backwards.
    """

    def __init__(
        self,
        progress: Callable[[], int],
        *,
        environment: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        environment = os.environ if environment is None else environment
        self._progress = progress
        self._clock = clock
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._period = _period(environment)
        self._known = -1
        self._due = 0.0

    def notify(self, *sentences: str) -> None:
        """Send notifications; a socket that is gone is no reason to stop listening."""
        if not self._address.startswith(("/", "@")):
            return
        address = self._address.replace("@", "\0", 1)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.sendto("\n".join(sentences).encode(), address)
        except OSError:
            return

    def tick(self) -> None:
        """Send a sign of life if one is due and work was done; call it often."""
        if self._period is None or self._clock() < self._due:
            return
        progress = self._progress()
        if progress != self._known:
            self._known, self._due = progress, self._clock() + self._period
            self.notify(WATCHDOG)


def _period(environment: Mapping[str, str]) -> float | None:
    """Return the seconds between two signs of life: a third of what systemd waits."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    text = environment.get("WATCHDOG_USEC", "")
    return int(text) / 3e6 if text.isdecimal() and int(text) else None
