"""Post the records of events one after another, each until it is accepted or too old."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from streamsed.live.sinks.base_sink import BaseSink
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.serve.records import source_of
from streamsed.serve.settings import WebhookSettings
from streamsed.serve.webhook.post import post
from streamsed.serve.webhook.signature import read_secret, signature

MAX_WAITING = 1000
"""Maximum number of waiting messages; beyond it the oldest is dropped."""

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds until the next attempt; doubled each time, with jitter."""

GIVE_UP = 3600.0
"""Seconds after which a message is dropped."""

LAST_TRIES = 1.5
"""Seconds for sending the waiting messages when the program ends."""


class Waiting(NamedTuple):
    """A message to post.

    Parameters
    ----------
    id : str
        The same for all attempts.
    body : bytes
        JSON.
    since : float
        When it was queued, by a monotonic clock.
    """

    id: str
    body: bytes
    since: float


class WebhookSink(BaseSink):
    """Post events to an address.

    Each is a JSON record as in a log. The header `webhook-id` is the same for every attempt
    to deliver it, so a receiver can ignore duplicates; `webhook-timestamp` and
    `webhook-signature` are those of `streamsed.serve.webhook.signature`.

    Parameters
    ----------
    settings : WebhookSettings
        Address, and which events to post.
    version : str
        Version of the program, sent as User-Agent.
    first_wait : float
        Seconds until the second attempt.

    Raises
    ------
    OSError, ValueError
        The secret cannot be read.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        *,
        version: str = "",
        first_wait: float = FIRST_WAIT,
    ) -> None:
        self.name = f"webhook {_place(settings.url)}"
        self._settings = settings
        self._secret = (
            None if settings.secret_file is None else read_secret(settings.secret_file)
        )
        self._agent = f"streamsed/{version}" if version else "streamsed"
        self._first_wait = first_wait
        self._waiting: deque[Waiting] = deque()
        self._condition = threading.Condition()
        self._end: float | None = None
        self._n_failed = self._n_lost = 0
        self._reason = ""
        self._is_failing = False
        self._reported: tuple[bool, int] = (False, 0)
        self._thread = threading.Thread(target=self._work, name=self.name, daemon=True)
        self._thread.start()

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Queue the record of an event, if the settings select it."""
        settings = self._settings
        if update is None or update.state not in settings.on:
            return
        if settings.sources and source_of(record) not in settings.sources:
            return
        if settings.labels and update.event.label not in settings.labels:
            return
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
        number = f"{record.get('run', '')}-{update.id}-{update.state}"
        message = Waiting(number, text.encode(errors="replace"), time.monotonic())
        with self._condition:
            self._waiting.append(message)
            if len(self._waiting) > MAX_WAITING:
                self._waiting.popleft()
                self._n_lost += 1
            self._condition.notify_all()

    def notices(self) -> list[str]:
        """Report when posting starts to fail, when it works again, and lost messages."""
        notices, (was_failing, n_reported) = [], self._reported
        failing, n_lost = self._is_failing, self._n_lost
        if failing and not was_failing:
            notices.append(f"{self.name}: {self._reason}; trying again")
        if was_failing and not failing:
            notices.append(f"{self.name}: works again")
        if n_lost > 2 * n_reported:
            notices.append(f"{self.name}: {n_lost} messages were lost ({self._reason})")
            n_reported = n_lost
        self._reported = failing, n_reported
        return notices

    def failures(self) -> dict[str, Any]:
        """Return the numbers of failed attempts and lost messages, and the reason."""
        if not self._n_failed and not self._n_lost:
            return {}
        counts = {"failed": self._n_failed, "lost": self._n_lost}
        return {**counts, "waiting": len(self._waiting), "reason": self._reason}

    def close(self) -> None:
        """Send waiting messages for some seconds."""
        with self._condition:
            if self._end is not None:
                return
            self._end = time.monotonic() + LAST_TRIES
            self._condition.notify_all()
        self._thread.join(LAST_TRIES)
        with self._condition:
            self._n_lost += len(self._waiting)
            self._waiting.clear()

    def _work(self) -> None:
        wait = self._first_wait
        while (message := self._next()) is not None:
            answer = post(
                self._settings.url,
                message.body,
                self._headers(message),
                timeout=self._settings.timeout,
            )
            if answer.is_accepted:
                self._is_failing = False
                self._forget(message)
                wait = self._first_wait
                continue
            self._n_failed += 1
            self._reason = answer.reason
            is_old = time.monotonic() - message.since > GIVE_UP
            if not answer.try_again or is_old:
                self._n_lost += self._forget(message)
                continue
            self._is_failing = True
            self._pause(max(answer.wait, wait * random.uniform(0.75, 1.25)))
            wait = min(2 * wait, LONGEST_WAIT)

    def _next(self) -> Waiting | None:
        """Return the oldest waiting message; None ends the thread."""
        with self._condition:
            self._condition.wait_for(lambda: self._waiting or self._end is not None)
            if self._end is not None and time.monotonic() >= self._end:
                return None
            return self._waiting[0] if self._waiting else None

    def _forget(self, message: Waiting) -> bool:
        """Remove a message from the queue; return whether it was still there."""
        with self._condition:
            if self._waiting and self._waiting[0] is message:
                self._waiting.popleft()
                return True
            return False

    def _pause(self, seconds: float) -> None:
        with self._condition:
            if self._end is not None:
                self._condition.wait(0.1)
            else:
                self._condition.wait_for(lambda: self._end is not None, seconds)

    def _headers(self, message: Waiting) -> dict[str, str]:
        now = int(time.time())
        headers = {"User-Agent": self._agent, "webhook-id": message.id}
        headers["webhook-timestamp"] = str(now)
        if self._secret is not None:
            signed = signature(self._secret, message.id, now, message.body)
            headers["webhook-signature"] = signed
        return headers


def _place(url: str) -> str:
    """Return host and port of an address; path and login may be secret."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port}" if parts.port else f"{host}"
