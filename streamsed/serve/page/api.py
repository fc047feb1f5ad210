"""`/api/`: states of sources, and events, as JSON.

Requests are GET, except arming a source, which is a POST. Errors are
`{"error": SENTENCE}`. Functions here run in threads, so queries of the store may block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from streamsed.serve.page.pictures.event_pictures import EventPictures, lead_and_column
from streamsed.serve.page.protocol import OpenStore, PageService
from streamsed.serve.page.query import choice_of, number_of
from streamsed.serve.page.stream import status_dict
from streamsed.serve.store.stored import StoredEvent

MAX_BODY = 1000
"""Maximum size of a request in bytes."""
LIMIT = 1000
"""Default number of events in a response."""


class Api:
    """Answer requests below `/api/`.

    Parameters
    ----------
    service : PageService
        Provides the sources.
    open_store : callable
        Opens the store.
    pictures : EventPictures or None
        Pictures of events.
    clips : Path or None
        Folder of clips; only files in it are served.
    in_force : mapping
        The settings for JSON, without credentials.
    """

    def __init__(
        self,
        service: PageService,
        open_store: OpenStore,
        *,
        pictures: EventPictures | None,
        clips: Path | None,
        in_force: Mapping[str, Any],
    ) -> None:
        self._service = service
        self._open_store = open_store
        self._pictures = pictures
        self.clips = clips
        self.in_force = in_force

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/api/sources", self.sources),
            Route("/api/sources/{name}/arm", self.arm, methods=["POST"]),
            Route("/api/events", self.events),
            Route("/api/events/{number:int}", self.event),
            Route("/api/events/{number:int}/picture", self.picture),
            Route("/api/events/{number:int}/clip", self.clip),
            Route("/api/hours", self.hours),
            Route("/api/settings", self.settings),
        ]

    def sources(self, _: Request) -> Response:
        """Return the states of all sources."""
        return JSONResponse([status_dict(each) for each in self._service.sources()])

    async def arm(self, request: Request) -> Response:
        """Arm or disarm a source: `{"armed": true}`."""
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY:
                raise HTTPException(413, "request too long")
        armed = {b'{"armed":true}': True, b'{"armed":false}': False}.get(
            bytes(body.replace(b" ", b""))
        )
        if armed is None:
            raise HTTPException(400, 'send {"armed": true} or {"armed": false}')
        name = request.path_params["name"]
        try:
            await run_in_threadpool(self._service.arm, name, armed=armed)
        except KeyError as error:
            raise HTTPException(404, "no source of this name") from error
        return JSONResponse({"source": name, "armed": armed})

    def events(self, request: Request) -> Response:
        """Return events by onset from `since` on, or the `newest` ones, newest first."""
        choice = choice_of(request)
        newest = None
        if "newest" in request.query_params:
            newest = number_of(request, "newest", default=LIMIT)
        limit = number_of(request, "limit", default=LIMIT)
        found = []
        with self._open_store() as store:
            for event in store.events(choice, newest=newest):
                found.append(self._described(event))
                if newest is None and len(found) == limit:
                    break
        return JSONResponse(found)

    def event(self, request: Request) -> Response:
        """Return one event."""
        return JSONResponse(self._described(self._found(request)))

    def picture(self, request: Request) -> Response:
        """Return the picture of an event, a PNG."""
        path = self._picture_of(self._found(request))
        if path is None:
            raise HTTPException(404, "no picture of this event")
        headers = {"cache-control": "private, max-age=86400"}
        return FileResponse(path, media_type="image/png", headers=headers)

    def clip(self, request: Request) -> Response:
        """Return the clip of an event, FLAC."""
        path = self._clip_of(self._found(request))
        if path is None:
            raise HTTPException(404, "no clip of this event")
        headers = {"cache-control": "private, max-age=86400"}
        return FileResponse(
            path, media_type="audio/flac", headers=headers, filename=path.name,
            content_disposition_type="inline",
        )  # fmt: skip

    def hours(self, request: Request) -> Response:
        """Return the number of events and seconds listened for each hour."""
        choice = choice_of(request)
        with self._open_store() as store:
            counts = [asdict(each) for each in store.counts(choice)]
            listened = [asdict(each) for each in store.listened(choice)]
        return JSONResponse({"counts": counts, "listened": listened})

    def settings(self, _: Request) -> Response:
        """Return the current settings."""
        return JSONResponse(self.in_force)

    def _found(self, request: Request) -> StoredEvent:
        number = request.path_params["number"]
        with self._open_store() as store:
            event = store.event(number) if number < 2**63 else None
        if event is None:
            raise HTTPException(404, "no such event, or it was deleted")
        return event

    def _described(self, event: StoredEvent) -> dict[str, Any]:
        """Return an event for JSON, with URLs instead of paths."""
        base = f"api/events/{event.id}"
        links: dict[str, Any] = {"clip": None, "picture": None}
        if self._clip_of(event) is not None:
            links["clip"] = f"{base}/clip"
        if (path := self._picture_of(event)) is not None:
            try:
                lead, column = lead_and_column(path)
                about = {"url": f"{base}/picture", "lead": lead, "column": column}
                links["picture"] = about
            except (OSError, ValueError, KeyError):
                links["picture"] = None  # just deleted, or not written by this program
        return event.to_dict() | links

    def _picture_of(self, event: StoredEvent) -> Path | None:
        if self._pictures is None:
            return None
        return self._pictures.path(
            source=event.source, run=event.run, number=event.number
        )

    def _clip_of(self, event: StoredEvent) -> Path | None:
        """Return the path of a clip: its file name in the folder of the settings."""
        if event.clip is None or self.clips is None:
            return None
        path = self.clips / Path(event.clip).name
        return path if path.suffix == ".flac" and path.is_file() else None
