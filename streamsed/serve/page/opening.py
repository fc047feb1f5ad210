"""Create the page with its sinks, pictures and metrics from the settings."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from streamsed import __version__
from streamsed.live.sinks.sink import Sink
from streamsed.serve.metrics import ServeMetrics
from streamsed.serve.page.feed import PageFeed
from streamsed.serve.page.pictures.event_pictures import EventPictures
from streamsed.serve.page.protocol import PageService
from streamsed.serve.page.server import PageServer
from streamsed.serve.settings import PageSettings, ServeSettings
from streamsed.serve.settings.in_force import in_force
from streamsed.serve.store.reader import StoreReader
from streamsed.serve.store.sink import StoreSink

UNSTORED_DAYS = 1.0
"""Days that events are kept without a store, in a temporary file."""


class Page:
    """The page, its sinks and its server; served from `start` on.

    Parameters
    ----------
    settings : ServeSettings
        With `page`.
    service : PageService
        Provides the sources; used from `start` on.
    failures : callable
        Returns the failures, by the name of the output.
    load : callable
        Returns the share of time that detection takes.
    engine : str
        Name of the engine, for the metrics.

    Raises
    ------
    OSError, ValueError
        See `PageServer`.
    """

    def __init__(
        self,
        settings: ServeSettings,
        service: PageService,
        *,
        page: PageSettings,
        failures: Callable[[], Mapping[str, Mapping[str, Any]]],
        load: Callable[[], float],
        engine: str,
    ) -> None:
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self.sinks: list[Sink] = []
        if settings.store is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="streamsed-")
            store = Path(self._scratch.name) / "events.sqlite"
            self.sinks.append(StoreSink(store, days=UNSTORED_DAYS))
        else:
            store = settings.store.path
        days = UNSTORED_DAYS if settings.store is None else settings.store.days
        pictures = EventPictures(pictures_of(store), service, days=days)
        feed = PageFeed()
        build = {"version": __version__, "model": settings.info.name, "engine": engine}
        metrics = ServeMetrics(
            service.sources, build=build, failures=failures, load=load
        )
        self.sinks += [feed, metrics, pictures]
        try:
            self._server = PageServer(
                page,
                service,
                model=settings.info,
                feed=feed,
                open_store=lambda: StoreReader(store),
                metrics=metrics.exposition,
                pictures=pictures,
                clips=_folder_of_clips(settings),
                in_force=in_force(settings),
            )
        except (OSError, ValueError):
            self._close_sinks()
            raise
        host = f"[{page.host}]" if ":" in page.host else page.host
        self.address = f"http://{host}:{self._server.port}{page.root_path or '/'}"

    def start(self) -> None:
        """Start the server."""
        self._server.start()

    def show_settings(self, settings: ServeSettings) -> None:
        """Update the settings that are shown, and the folder that clips are read from."""
        self._server.api.in_force = in_force(settings)
        self._server.api.clips = _folder_of_clips(settings)

    def stop(self) -> None:
        """Stop the server within seconds; the owner of the sinks closes them."""
        self._server.stop()
        if self._scratch is not None:
            self._scratch.cleanup()

    def _close_sinks(self) -> None:
        for sink in self.sinks:
            sink.close()
        if self._scratch is not None:
            self._scratch.cleanup()


def pictures_of(store: Path) -> Path:
    """Return the folder of the pictures of a store's events."""
    return store.with_name(f"{store.name}.pictures")


def _folder_of_clips(settings: ServeSettings) -> Path | None:
    return None if settings.clips is None else settings.clips.path
