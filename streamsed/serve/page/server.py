"""The server of the page, in a thread of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvicorn

from streamsed.inference.model_file import ModelInfo
from streamsed.serve.page.access import Access, read_token
from streamsed.serve.page.api import Api
from streamsed.serve.page.app import Metrics, make_app
from streamsed.serve.page.connection import MAX_CONNECTIONS, PageConnection
from streamsed.serve.page.feed import PageFeed
from streamsed.serve.page.pictures.event_pictures import EventPictures
from streamsed.serve.page.protocol import OpenStore, PageService
from streamsed.serve.page.stream import Streams
from streamsed.serve.settings import PageSettings

PATIENCE = 2.0
"""Seconds for completing requests when the program ends."""


class PageServer:
    """Serve the page.

    Parameters
    ----------
    settings : PageSettings
        Address, and access.
    service : PageService
        Provides the sources.
    model : ModelInfo
        Provides the labels, and the frequencies of the pictures.
    feed : PageFeed
        Recent records; one of the sinks of `service`.
    open_store : callable
        Opens the store.
    metrics : callable
        Returns the metrics as text, and their media type.
    pictures : EventPictures or None
        Pictures of events.
    clips : Path or None
        Folder of clips.
    in_force : mapping
        The settings for JSON, without credentials.

    Raises
    ------
    OSError
        The address is in use or not of this machine, or the token cannot be read.
    ValueError
        Others may read the token, or it is too short.
    """

    def __init__(
        self,
        settings: PageSettings,
        service: PageService,
        *,
        model: ModelInfo,
        feed: PageFeed,
        open_store: OpenStore,
        metrics: Metrics,
        pictures: EventPictures | None = None,
        clips: Path | None = None,
        in_force: Mapping[str, Any] | None = None,
    ) -> None:
        file = settings.token_file
        access = Access(
            None if file is None else read_token(file), hosts=settings.hosts
        )
        self._socket = _bound(settings.host, settings.port)
        self.port: int = self._socket.getsockname()[1]
        self.api = Api(
            service, open_store, pictures=pictures, clips=clips, in_force=in_force or {}
        )
        span = model.frontend.fmin, model.frontend.fmax
        hello = {"labels": model.labels, "hertz": span, "token": file is not None}
        self._streams = Streams(service, feed, open_store, hello=hello)
        app = make_app(
            service,
            api=self.api,
            streams=self._streams,
            access=access,
            metrics=metrics,
            root_path=settings.root_path,
        )
        config = uvicorn.Config(
            app, http=PageConnection, ws="none", loop="asyncio", lifespan="on", log_config=None,
            access_log=False, log_level="error", server_header=False,
            limit_concurrency=MAX_CONNECTIONS, timeout_graceful_shutdown=1,
            timeout_keep_alive=15,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="page", daemon=True
        )

    @property
    def n_viewers(self) -> int:
        """Number of open streams."""
        return self._streams.n_viewers

    def start(self) -> None:
        """Start the server."""
        self._thread.start()

    def stop(self) -> None:
        """Close all streams and stop the server within seconds."""
        self._streams.close()
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(PATIENCE)
        self._socket.close()


def _bound(host: str, port: int) -> socket.socket:
    """Return a bound socket, so that an invalid address is reported at once."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(128)  # connections wait until the server is ready
        except BaseException:
            bound.close()
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            f"[page] address {host}:{port} cannot be used ({reason}); choose another"
        ) from error
    return bound
