"""`/events`: one stream of server-sent events for all data of a page.

- without a name, with a number: one record each, replayed after `Last-Event-ID` from memory,
  or from the store if they are older;
- `sources`: the states of the sources every second, so that proxies keep the stream open;
- `picture`: new data of a source named by `?picture=NAME` (see `pictures`).

HTTP/1.1 gives a browser six connections to a host, so there is one for all sources.
"""

from __future__ import annotations

import asyncio
import json
import math
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from streamsed.serve.page.feed import PageFeed
from streamsed.serve.page.pictures.moving import PERIOD, Pictures
from streamsed.serve.page.protocol import OpenStore, PageService
from streamsed.serve.store.reader import Choice
from streamsed.serve.store.stored import StoredEvent

MAX_VIEWERS = 50
"""Maximum number of open streams."""
STATUS_EVERY = 1.0
"""Seconds between two messages with the states of the sources."""
REPLAYED = 500
"""Maximum number of events that are replayed from the store."""
LONGEST = 86400.0
"""Seconds before the last record sent in which an ongoing event may have begun."""
SETTLED_WITHIN = 180.0
"""Seconds after its end in which an event may still have changed."""
RETRY = 2000
"""Milliseconds after which a browser reconnects."""


class Streams:
    """Serve the streams of all viewers.

    Parameters
    ----------
    service : PageService
        Provides the sources.
    feed : PageFeed
        Recent records.
    open_store : callable
        Opens the store.
    hello : mapping
        The first message to a browser, for JSON.
    """

    def __init__(
        self,
        service: PageService,
        feed: PageFeed,
        open_store: OpenStore,
        *,
        hello: Mapping[str, Any],
    ) -> None:
        self._hello = hello
        self._service = service
        self._feed = feed
        self._open_store = open_store
        self._pictures = Pictures(service)
        self._watched: dict[_Wake, frozenset[str]] = {}  # by stream
        self._closing = False
        self._asking = asyncio.Lock()
        self._asked_at = -math.inf
        self._status: list[dict[str, Any]] = []

    @property
    def n_viewers(self) -> int:
        """Number of open streams."""
        return len(self._watched)

    def close(self) -> None:
        """End all streams soon."""
        self._closing = True
        for wake in list(self._watched):
            wake.from_any_thread()

    async def run(self) -> None:
        """Create pictures while there are viewers, until cancelled."""
        while True:
            await asyncio.sleep(PERIOD)
            if names := frozenset[str]().union(*self._watched.values()):
                await to_thread.run_sync(self._pictures.step, names)

    async def answer(self, request: Request) -> Response:
        """Open a stream."""
        text = request.headers.get("last-event-id") or request.query_params.get("after")
        last = int(text) if text and text.isdecimal() and len(text) < 18 else None
        wanted = frozenset(request.query_params.getlist("picture"))
        names = wanted & {source["name"] for source in await self._statuses()}
        # Nothing may be awaited from the check to the entry, or many streams that are
        # asked for at once all pass it.
        if self.n_viewers >= MAX_VIEWERS:
            error = f"too many viewers: {MAX_VIEWERS} streams are open"
            headers = {"retry-after": "30"}
            return JSONResponse({"error": error}, status_code=503, headers=headers)
        wake = _Wake()
        self._watched[wake] = names
        return _WatchedStream(
            self._messages(names, last, wake), on_end=lambda: self._watched.pop(wake)
        )

    async def _messages(
        self, names: frozenset[str], last: int | None, wake: _Wake
    ) -> AsyncIterator[str]:
        with self._feed.watching(wake.from_any_thread):
            yield f"retry: {RETRY}\n\n"
            async for message in self._everything(names, last, wake):
                yield message

    async def _everything(
        self, names: frozenset[str], last: int | None, wake: _Wake
    ) -> AsyncIterator[str]:
        sent = self._feed.last if last is None else min(last, self._feed.last)
        # A number before the first record, for a browser that reconnects.
        yield _message(self._hello, kind="hello", number=sent)
        step: int | None = None
        status_at = -math.inf
        while not self._closing:
            found = self._feed.since(sent)
            if found is None:  # records after `sent` are no longer in the ring buffer
                for message in await self._replayed(sent):
                    yield message
                sent = self._feed.before
                continue
            messages = [_message(each.record, number=each.number) for each in found]
            sent = found[-1].number if found else sent
            if names:
                pictures, step = await self._new_pictures(names, step)
                messages += (f"event: picture\ndata: {made}\n\n" for made in pictures)
            if (now := time.monotonic()) >= status_at + STATUS_EVERY:
                status_at = now
                messages.append(_message(await self._statuses(), kind="sources"))
            if messages:
                yield "".join(messages)
            await wake.wait(PERIOD / 2 if names else STATUS_EVERY)

    async def _statuses(self) -> list[dict[str, Any]]:
        """Return the states of the sources, queried once for all viewers."""
        async with self._asking:
            if time.monotonic() >= self._asked_at + STATUS_EVERY / 2:
                self._status = await to_thread.run_sync(self._ask)
                self._asked_at = time.monotonic()
            return self._status

    def _ask(self) -> list[dict[str, Any]]:
        return [status_dict(source) for source in self._service.sources()]

    async def _new_pictures(
        self, names: frozenset[str], step: int | None
    ) -> tuple[list[str], int]:
        made = None if step is None else self._pictures.since(step, names)
        step = self._pictures.n_steps
        if made is None:
            made = await to_thread.run_sync(self._pictures.whole, names)
        return made, step

    async def _replayed(self, last: int) -> list[str]:
        """Return records that are no longer in the ring buffer, from the store.

        They have the number `last`: a viewer that is disconnected meanwhile starts there again.
        """
        try:
            events = await to_thread.run_sync(self._stored_since, last / 1e6)
        except (OSError, ValueError, sqlite3.Error):
            return []  # a page that is reloaded tries again
        return [_message(as_record(event), number=last) for event in events]

    def _stored_since(self, seconds: float) -> list[StoredEvent]:
        choice = Choice(since=seconds - LONGEST, states=())
        old = seconds - SETTLED_WITHIN
        with self._open_store() as store:
            events = list(store.events(choice, newest=REPLAYED))
        missed = [e for e in events if e.offset is None or e.offset > old]
        return sorted(missed, key=lambda event: event.onset)


class _WatchedStream(StreamingResponse):
    """A stream that reports its end, even if its first message was never sent."""

    def __init__(
        self, messages: AsyncIterator[str], *, on_end: Callable[[], object]
    ) -> None:
        headers = {"x-accel-buffering": "no"}
        super().__init__(messages, media_type="text/event-stream", headers=headers)
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_end()


class _Wake:
    """Wake a stream from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def from_any_thread(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:  # the page is closed
            return

    async def wait(self, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            return
        self._event.clear()


def status_dict(source: Any) -> dict[str, Any]:
    """Return the status of a source for JSON, which has no infinity."""
    found = asdict(source)
    return {
        name: (round(value, 3) if math.isfinite(value) else None)
        if isinstance(value, float)
        else value
        for name, value in found.items()
    }


def as_record(event: StoredEvent) -> dict[str, Any]:
    """Return a stored event as a record, without `at`."""
    ends = None if event.offset is None else _iso(event.offset)
    times = {"time": _iso(event.onset), "end": ends}
    about = {"source": event.source, "run": event.run, "id": event.number}
    state = "closed" if event.state == "unfinished" else event.state
    return {**about, "state": state, "label": event.label, "score": event.score} | times


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _message(data: Any, *, kind: str = "", number: int | None = None) -> str:
    head = "" if number is None else f"id: {number}\n"
    head += f"event: {kind}\n" if kind else ""
    return f"{head}data: {json.dumps(data, allow_nan=False)}\n\n"
