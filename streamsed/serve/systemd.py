"""Notifications to systemd, if it started the program: ready, alive, stopping.

The protocol of sd_notify(3) is a datagram to the socket that `NOTIFY_SOCKET` names. With
`WatchdogSec=` in the unit, systemd restarts the program if a watchdog notification is late. It is
sent only while sources are visited, so a program that runs but has stopped detecting is
restarted too.
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
    """Return the notification before settings are reloaded; `READY` follows it."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"


class Supervisor:
    """Notify systemd of the state of the service; without systemd, do nothing.

    Parameters
    ----------
    progress : callable
        Returns a number that grows while sources are visited.
    environment : mapping or None
        Environment variables; None for those of the process.
    clock : callable
        Monotonic clock, in seconds.
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
        """Send notifications; ignore a missing socket."""
        if not self._address.startswith(("/", "@")):
            return
        address = self._address.replace("@", "\0", 1)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.sendto("\n".join(sentences).encode(), address)
        except OSError:
            return

    def tick(self) -> None:
        """Send a watchdog notification if one is due and sources were visited."""
        if self._period is None or self._clock() < self._due:
            return
        progress = self._progress()
        if progress != self._known:
            self._known, self._due = progress, self._clock() + self._period
            self.notify(WATCHDOG)


def _period(environment: Mapping[str, str]) -> float | None:
    """Return the seconds between two watchdog notifications: a third of the timeout."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    text = environment.get("WATCHDOG_USEC", "")
    return int(text) / 3e6 if text.isdecimal() and int(text) else None
