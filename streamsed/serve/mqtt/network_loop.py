"""The thread that keeps paho's client connected, and reads and writes its packets.

paho's own thread waits by select(), which takes no descriptor above 1023: a service of
hundreds of sources has more, and its connections would be lost as soon as they are made.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from paho.mqtt.client import Client

SHORTEST_DELAY, LONGEST_DELAY = 1.0, 60.0
"""Seconds between attempts to connect: at first, and after many; each is twice the last."""

MISC_EVERY = 1.0
"""Seconds between looks whether the broker still answers."""


class NetworkLoop:
    """Connect a client, again and again, until stopped.

    Parameters
    ----------
    client : Client
        Its callbacks are called in the thread.
    on_failure : callable
        Called with the error of an attempt to connect, and any other.
    """

    def __init__(
        self, client: Client, *, on_failure: Callable[[Exception], None]
    ) -> None:
        self._client, self._on_failure = client, on_failure
        self._stop = threading.Event()
        self._waker: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="mqtt loop", daemon=True)
        client.on_socket_register_write = self._wake

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Let it write what the client has queued, and wait for its end."""
        self._stop.set()
        self._wake()
        self._thread.join()
        self._client.on_socket_register_write = None

    def _wake(self, *_: Any) -> None:
        """Wake the thread: there is something to write."""
        if self._waker is not None:
            with suppress(OSError):  # it is awake, or has ended
                self._waker.send(b"\0")

    def _run(self) -> None:
        delay = SHORTEST_DELAY
        woken, self._waker = socket.socketpair()
        with woken, self._waker:
            self._waker.settimeout(0)
            while not self._stop.is_set():
                try:
                    self._client.reconnect()
                    while self._exchange(woken):
                        if self._client.is_connected():
                            delay = SHORTEST_DELAY
                except Exception as error:  # noqa: BLE001 - none may end the thread
                    self._on_failure(error)
                self._stop.wait(delay)
                delay = min(2 * delay, LONGEST_DELAY)

    def _exchange(self, woken: socket.socket) -> bool:
        """Wait for packets, read and write them; return whether there may be more."""
        client = self._client
        connection = client.socket()
        if connection is None or (self._stop.is_set() and not client.want_write()):
            return False
        descriptor = connection.fileno()
        waiting = select.poll()
        waiting.register(woken, select.POLLIN)
        to_write = select.POLLOUT if client.want_write() else 0
        waiting.register(descriptor, select.POLLIN | to_write)
        decrypted = getattr(connection, "pending", lambda: 0)()
        found = dict(waiting.poll(0 if decrypted else 1000 * MISC_EVERY))
        if woken.fileno() in found:
            woken.recv(4096)
        events = found.get(descriptor, 0)
        if decrypted or events & ~select.POLLOUT:
            client.loop_read()
        if events & select.POLLOUT:
            client.loop_write()
        client.loop_misc()
        return True
