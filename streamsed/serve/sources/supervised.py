"""A source that is reopened whenever it is lost, by a thread of its own.

The thread reads into a `TimeLine`, which the scheduler empties. A feed without data for too
long is stopped, and reopened after a wait that grows; one that delivers faster than real time
is slowed down. A failure is reported once when it begins and once when it is over, and not
again within minutes for a source that fails repeatedly.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from streamsed.audio.source import Piece
from streamsed.serve.sources.backoff import Backoff
from streamsed.serve.sources.feed import Decoder, Feed
from streamsed.serve.sources.time_line import MARGIN, TimeLine
from streamsed.serve.sources.troubles import Troubles

READ_EVERY = 0.1
"""Seconds that a read waits for data."""

AWAY_AFTER = 2.0
"""Seconds of missing sound after which a microphone counts as away."""

GRACE = 1.0
"""Seconds that a feed may take to end."""

JOIN = 2.0
"""Seconds that a thread may take to end."""


class Unavailable(Exception):  # noqa: N818 - a state of the world
    """A feed cannot be opened.

    Parameters
    ----------
    reason : str
        What is wrong and what to do, for the user.
    permanent : bool
        Whether another attempt is unlikely to help.
    """

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt to read a source ended.

    Parameters
    ----------
    reason : str
        Reason, for the user.
    permanent : bool
        Whether another attempt is unlikely to help.
    duration : float
        Seconds from its first sound to its last.
    over : bool
        Whether the source is complete, such as a recording.
    """

    reason: str
    permanent: bool = False
    duration: float = 0.0
    over: bool = False


def _reason(error: Exception) -> str:
    """Return why a source cannot be read, in one line."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return " ".join(f"{where}{error.strerror}".split())
    return " ".join(str(error).split()) or type(error).__name__


class SupervisedSource:
    """Read one feed after another as one stream without gaps.

    The scheduler decides when it is read, so unlike a `Source` it has no `wait`.

    Parameters
    ----------
    name : str
        Name of the source.
    open_feed : callable
        Called with the number of failures in a row; returns a feed and its decoder, or
        raises `Unavailable` or, for a reason that may pass, another exception.
    explain : callable
        Returns, for the error output of a feed, the reason and whether it is permanent.
    sample_rate : int
        Hz.
    live, checked
        As for `TimeLine`.
    """

    def __init__(
        self,
        name: str,
        open_feed: Callable[[int], tuple[Feed, Decoder]],
        *,
        explain: Callable[[str], tuple[str, bool]],
        sample_rate: int,
        live: bool = True,
        checked: bool = False,
    ) -> None:
        self.name = name
        self.capture_rate = sample_rate
        self.state, self.reason = "starting", ""
        self.n_reconnects = 0
        self.last_audio = float("-inf")
        """Time of the last received sound, by the monotonic clock."""
        self._open_feed = open_feed
        self._explain = explain
        self._line = TimeLine(
            sample_rate, began=time.monotonic(), live=live, checked=checked
        )
        self._backoff = Backoff()
        self._n_failures = 0  # in a row
        self._notices: deque[str] = deque()  # added by the thread, removed by `notices`
        self._troubles = Troubles()
        self._sound_since = 0.0  # monotonic clock, of this attempt; 0 before any sound
        self._away = "no connection yet"  # reason of missing samples
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"source {name}")
        self._thread.daemon = True
        self._thread.start()

    @property
    def waiting(self) -> float:
        """Seconds of sound that wait to be read."""
        return self._line.waiting

    def read(self) -> list[Piece] | None:
        """Return the pieces since the last call, or None after the end of a recording."""
        ended = self.state == "ended"
        pieces = self._line.take()
        return None if ended and not pieces else pieces

    def notices(self) -> list[str]:
        """Return new messages for the user."""
        return [self._notices.popleft() for _ in range(len(self._notices))]

    def stop(self) -> None:
        """Start to close, without waiting."""
        self._stopped.set()

    def close(self) -> None:
        """End the feed and the thread within seconds."""
        self.stop()
        self._thread.join(JOIN)

    def _run(self) -> None:
        while not self._stopped.is_set():
            ending = self._attempt()
            if ending.over or self._stopped.is_set():
                self._set_state("ended" if ending.over else "stopped")
                return
            self._n_failures = 0 if ending.duration else self._n_failures + 1
            wait = self._backoff.failed(
                lasted=ending.duration, permanent=ending.permanent
            )
            self._set_state(
                "broken" if self._backoff.broken else "waiting", ending.reason
            )
            self._wait_for_retry(wait)
        self._set_state("stopped")

    def _attempt(self) -> Ending:
        """Open a feed and read it to its end."""
        try:
            feed, decoder = self._open_feed(self._n_failures)
        except Unavailable as error:
            return Ending(str(error), permanent=error.permanent)
        except Exception as error:  # noqa: BLE001 - the source is tried again
            return Ending(_reason(error))
        reason: str | None = None
        self._sound_since = 0.0
        try:
            reason = self._pump(feed, decoder)
        except Exception as error:  # noqa: BLE001 - no sound, a disk that fails, ...
            reason = _reason(error)
        finally:
            output = feed.stop(grace=0.0 if self._stopped.is_set() else GRACE)
            self._line.lose(self.last_audio)
        duration = self.last_audio - self._sound_since if self._sound_since else 0.0
        if reason is not None:
            return Ending(reason, duration=duration)
        if not feed.again:
            return Ending("", duration=duration, over=True)
        why, permanent = self._explain(output)
        return Ending(why, permanent=permanent and not duration, duration=duration)

    def _pump(self, feed: Feed, decoder: Decoder) -> str | None:
        """Pass sound on until the feed ends (None), or fails (the reason)."""
        flowing, last = False, time.monotonic()
        while not self._stopped.is_set():
            if (
                flowing
                and (early := self._line.ahead - feed.burst - time.monotonic()) > 0
            ):
                self._stopped.wait(min(early, 1.0))  # faster than real time
                last = time.monotonic()
                continue
            data = feed.read(READ_EVERY)
            now = time.monotonic()
            if data is None:
                return None
            if data:
                last = now
                flowing = self._pass_on(decoder, data, flowing=flowing)
                self._stopped.wait(feed.rest)
            silent = now - last
            if silent > (feed.deadline if self._sound_since else feed.start_limit):
                return f"no data for {silent:.0f} s"
            if silent > feed.idle_after and flowing:
                flowing = False
                self._line.lose(self.last_audio)
                self._set_state("waiting", "no data")
            if not flowing:
                self._line.put_missing(now - MARGIN, self._away)
        return "stopped"

    def _pass_on(self, decoder: Decoder, data: bytes, *, flowing: bool) -> bool:
        """Add recorded samples to the time line; return whether there is sound."""
        pieces = decoder.push(data)
        now = time.monotonic()
        while decoder.notices:
            self._notices.append(decoder.notices.pop(0))
        for piece in pieces:
            if not flowing:
                self._line.connect(now, len(piece.samples), self._away)
                self.n_reconnects += self.last_audio > 0
                self._sound_since = self._sound_since or now
                self._set_state("running")
                flowing = True
            self._line.put(piece, now)
            if not piece.missing:
                self.last_audio = now
                self.state, self.reason = "running", ""
            elif now - self.last_audio > AWAY_AFTER:  # it delivers missing samples only
                self.state, self.reason = "waiting", piece.missing
        if flowing and decoder.trouble:
            self._line.lose(now)
            flowing = False
        if decoder.trouble:
            self._set_state("waiting", decoder.trouble)
        return flowing

    def _wait_for_retry(self, seconds: float) -> None:
        """Wait for the next attempt; add missing samples to the time line meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._stopped.is_set():
            self._stopped.wait(min(left, MARGIN))
            self._line.put_missing(time.monotonic() - MARGIN, self._away)

    def _set_state(self, state: str, reason: str = "") -> None:
        """Change the state; add a notice if it is new."""
        self.state, self.reason = state, reason
        if state in ("waiting", "broken"):
            self._away = "no connection" if self.last_audio > 0 else "no connection yet"
            self._notices.extend(self._troubles.lost(reason, time.monotonic()))
        elif state == "running":
            self._notices.extend(self._troubles.back())
