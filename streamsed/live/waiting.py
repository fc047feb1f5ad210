"""Wait for a microphone: a service may start before one is plugged in."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from streamsed.audio.devices import portaudio, rescan
from streamsed.terminal import print_message

Opened = TypeVar("Opened")

RETRY = 2.0
"""Seconds between attempts."""


def wait_for(find: Callable[[], Opened], *, retry: float = RETRY) -> Opened:
    """Try to find or open a microphone until it is there; print once why it is not.

    Parameters
    ----------
    find : callable
        Raises ValueError or OSError while there is none.
    retry : float
        Seconds between attempts.

    Raises
    ------
    OSError
        PortAudio is missing: waiting would not help.
    """
    portaudio()
    reason, again = "", False
    while True:
        try:
            if again:
                rescan()
            return find()
        except (OSError, ValueError) as error:
            if str(error) != reason:
                reason = str(error)
                print_message(f"waiting for a microphone: {reason}")
        time.sleep(retry)
        again = True
