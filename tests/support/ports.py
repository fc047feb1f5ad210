"""Ports for servers that are started later, by another program or again."""

import contextlib
import random
import socket

PLACES = range(20_000, 32_000)
"""Below those that the system gives to whoever asks for any: no connection takes one."""


def free_port():
    """Return a port of loopback that nobody uses."""
    while True:
        port = random.SystemRandom().choice(PLACES)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
