"""Middleware before every request: access control and security headers.

Plain ASGI, so that event streams are not buffered.

- the path below which a proxy serves the page is removed, if the proxy did not do that;
- a `Host` that is not of this machine is refused, and so are changes requested by other
  sites;
- without the token only the login page and `/healthz` are available;
- the headers of every response allow only the scripts and styles of this page.
"""

from __future__ import annotations

import math
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamsed.serve.page.access import Access

COOKIE = "streamsed"
"""Name of the session's cookie."""
OPEN = ("/login", "/healthz", "/static/", "/manifest.webmanifest")
"""Paths that need no token; a path that ends in `/` includes all below it."""
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; media-src 'self'; manifest-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'self'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """Pass on allowed requests.

    Parameters
    ----------
    app : ASGI application
        The protected application.
    access : Access
        Checks tokens and host names.
    root_path : str
        Path under which a proxy serves the page.
    """

    def __init__(self, app: ASGIApp, *, access: Access, root_path: str = "") -> None:
        self._app = app
        self._access = access
        self._root = root_path.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", caching)
            await send(message)

        scope = self._below_root(scope)
        is_static = scope["path"].startswith("/static/")
        caching = "no-cache" if is_static else "no-store"
        refusal = self._refuse(scope)
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _below_root(self, scope: Scope) -> Scope:
        """Remove the proxy's path; Starlette's own method would break static files."""
        path = scope["path"]
        if self._root and (path == self._root or path.startswith(f"{self._root}/")):
            return {**scope, "path": path[len(self._root) :], "raw_path": None}
        return scope

    def _refuse(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._access.knows(host):
            reason = "unknown host name; add it to `hosts` in [page]"
            return JSONResponse({"error": reason}, status_code=421)
        if scope["path"] == "":  # the proxy's path without a slash
            return RedirectResponse(f"{self._root}/", status_code=308)
        if scope["method"] not in ("GET", "HEAD") and not _same_site(headers, host):
            return JSONResponse({"error": "request from another site"}, status_code=403)
        if is_open(scope["path"]) or self._access.is_open:
            return None
        return self._check_token(scope, headers)

    def _check_token(self, scope: Scope, headers: Headers) -> Response | None:
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._check_bearer(client_of(scope), token.strip())
        if self._access.accepts_cookie(session_of(headers)):
            return None
        if "text/html" in headers.get("accept", "") and scope["path"] == "/":
            return RedirectResponse("login", status_code=303)
        return _unauthorized("log in, or send the token as `Authorization: Bearer`")

    def _check_bearer(self, client: str, token: str) -> Response | None:
        if refusal := too_many(self._access, client):
            return refusal
        if self._access.accepts(token):
            self._access.attempts.succeed(client)
            return None
        self._access.attempts.fail(client)
        return _unauthorized("wrong token")


def is_open(path: str) -> bool:
    """Whether a path needs no token."""
    return any(path.startswith(o) if o.endswith("/") else path == o for o in OPEN)


def session_of(headers: Headers) -> str:
    """Return the session that a browser sent, or ""."""
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""


def client_of(scope: Scope) -> str:
    """Return the address of the client."""
    return str(scope["client"][0]) if scope.get("client") else ""


def too_many(access: Access, client: str) -> Response | None:
    """Refuse an address with too many wrong tokens for some time."""
    if not (wait := access.attempts.wait(client)):
        return None
    seconds = math.ceil(wait)
    return JSONResponse(
        {"error": f"too many wrong tokens; try again in {seconds} s", "wait": seconds},
        status_code=429,
        headers={"retry-after": str(seconds)},
    )


def _unauthorized(error: str) -> Response:
    headers = {"www-authenticate": 'Bearer realm="streamsed"'}
    return JSONResponse({"error": error}, status_code=401, headers=headers)


def _same_site(headers: Headers, host: str) -> bool:
    """Whether a request is not from another site, by the headers that browsers send."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")  # the only such header without TLS
    if origin is None:
        return True  # not a browser
    return urlsplit(origin).netloc.lower() == host.lower()
