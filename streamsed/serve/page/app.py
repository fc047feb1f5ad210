"""The web application: its routes.

All addresses are relative to the page, so it works below any path of a proxy.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from streamsed.serve.page.access import SESSION, Access
from streamsed.serve.page.api import MAX_BODY, Api
from streamsed.serve.page.guard import COOKIE, Guard, client_of, session_of, too_many
from streamsed.serve.page.health import health
from streamsed.serve.page.protocol import PageService
from streamsed.serve.page.stream import Streams

STATIC = Path(__file__).parent / "static"

Metrics = Callable[[], tuple[bytes, str]]
"""Returns the metrics as text, and their media type."""


def make_app(
    service: PageService,
    *,
    api: Api,
    streams: Streams,
    access: Access,
    metrics: Metrics,
    root_path: str = "",
) -> Starlette:
    """Return the application.

    Parameters
    ----------
    service : PageService
        Provides the sources.
    api, streams
        Handlers of `/api/` and `/events`.
    access : Access
        Controls access.
    metrics : callable
        Handler of `/metrics`.
    root_path : str
        Path under which a proxy serves the page, or "".
    """
    visits = _Visits(service, access, metrics)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(streams.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    return Starlette(
        routes=[
            Route("/", _file("index.html")),
            Route("/login", visits.login_page),
            Route("/login", visits.log_in, methods=["POST"]),
            Route("/logout", visits.log_out, methods=["POST"]),
            Route("/manifest.webmanifest", _file("manifest.webmanifest")),
            Route("/events", streams.answer),
            Route("/healthz", visits.healthz),
            Route("/metrics", visits.metrics),
            *api.routes(),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(Guard, access=access, root_path=root_path)],
        exception_handlers={
            HTTPException: _explain,
            ClientDisconnect: _gone,
            OSError: _unavailable,
            ValueError: _unavailable,
            sqlite3.Error: _unavailable,
        },
        lifespan=lifespan,
    )


class _Visits:
    """Login and logout, health and metrics."""

    def __init__(self, service: PageService, access: Access, metrics: Metrics) -> None:
        self._service = service
        self._access = access
        self._metrics = metrics

    def login_page(self, request: Request) -> Response:
        if self._may_enter(request):
            return RedirectResponse("./", status_code=303)
        return _file("login.html")(request)

    async def log_in(self, request: Request) -> Response:
        """Check the token of a form and set a cookie."""
        client = client_of(request.scope)
        if refusal := too_many(self._access, client):
            return _on_login_page(request, refusal)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY:
                raise HTTPException(413, "request too long")
        form = parse_qs(body.decode(errors="replace"))
        if not self._access.accepts(form.get("token", [""])[0].strip()):
            self._access.attempts.fail(client)
            refusal = JSONResponse({"error": "wrong token"}, status_code=403)
            return _on_login_page(request, too_many(self._access, client) or refusal)
        self._access.attempts.succeed(client)
        answer = RedirectResponse("./", status_code=303)
        answer.set_cookie(
            COOKIE, self._access.cookie(), max_age=SESSION, path=None,
            httponly=True, samesite="strict", secure=request.url.scheme == "https",
        )  # fmt: skip
        return answer

    def log_out(self, _: Request) -> Response:
        answer = RedirectResponse("login", status_code=303)
        answer.delete_cookie(COOKIE, path="")
        return answer

    def healthz(self, request: Request) -> Response:
        """Return whether sound is received; with the token, also from which sources."""
        sources = self._service.sources()
        if wanted := request.query_params.getlist("source"):
            sources = [source for source in sources if source.name in wanted]
        ok, about = health(sources)
        if not self._may_enter(request):
            about = {"status": about["status"]}
        return JSONResponse(about, status_code=200 if ok else 503)

    def metrics(self, _: Request) -> Response:
        text, kind = self._metrics()
        return Response(text, headers={"content-type": kind})

    def _may_enter(self, request: Request) -> bool:
        if self._access.is_open:
            return True
        return self._access.accepts_cookie(session_of(request.headers))


def _on_login_page(request: Request, refusal: Response) -> Response:
    """Redirect a browser to the login page, which shows the reason."""
    if "text/html" not in request.headers.get("accept", ""):
        return refusal
    wait = refusal.headers.get("retry-after", "0")
    return RedirectResponse(f"login?wait={wait}", status_code=303)


def _file(name: str) -> Callable[[Request], Response]:
    def answer(_: Request) -> Response:
        kinds = {"webmanifest": "application/manifest+json"}
        kind = kinds.get(name.rsplit(".", 1)[-1])
        headers = {"cache-control": "no-cache"}
        return FileResponse(STATIC / name, media_type=kind, headers=headers)

    return answer


def _explain(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


def _gone(_: Request, __: Exception) -> Response:
    """Answer nobody; without this, who leaves early fills the journal."""
    return Response(status_code=400)


def _unavailable(_: Request, __: Exception) -> Response:
    """Respond while the store cannot be read, without its path."""
    sentence = "the store cannot be read now"
    return JSONResponse({"error": sentence}, 503, {"retry-after": "5"})
