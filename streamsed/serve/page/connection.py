"""Connections of the page: limits on how long a request takes to arrive, and how many.

uvicorn waits for a request without end. So whoever opens connections and sends nothing,
which needs no token, would take all that are allowed and lock everybody else out, the
watchdog that asks `/healthz` included. Here a request has some seconds to arrive, its body
included, and one address leaves connections for the others.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 250
"""Connections that are answered; further ones get the status 503."""
MAX_OF_ADDRESS = 200
"""Maximum number of connections from one address, which may be that of a proxy."""
MAX_OPEN = 300
"""Connections above this are closed at once, so that they take no file descriptors."""
REQUEST_WITHIN = 10.0
"""Seconds within which a request must have arrived."""


class PageConnection(H11Protocol):
    """One connection of a client."""

    _overdue: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, unless its address has too many."""
        super().connection_made(transport)
        own = _address(self)
        n_own = sum(_address(each) == own for each in self.connections)
        if n_own > MAX_OF_ADDRESS or len(self.connections) > MAX_OPEN:
            transport.abort()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Take bytes of a request, and note whether it is complete."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_watching()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Limit the time until a request that has not arrived completely must be there.

        More of it does not extend the time.
        """
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._stop_watching()
        elif self._overdue is None:
            self._overdue = self.loop.call_later(REQUEST_WITHIN, self.transport.abort)

    def _stop_watching(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None


def _address(connection: object) -> str:
    client = getattr(connection, "client", None)
    return str(client[0]) if client else ""
