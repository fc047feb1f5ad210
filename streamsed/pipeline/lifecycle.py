"""The life of an event under one id: announced early, settled late.

Final scores come `settle` late. Until then an event is provisional: it is reported at once,
and what was reported may still change::

    opened      it sounds: long enough to be an event, as far as is known
    ended       it stopped, at least `latency` ago
    updated     its onset or offset moved by more than `TOLERANCE`, or it goes on after all
    closed      settled: its onset, offset and score will not change
    withdrawn   it was no event after all: cut, or joined to an earlier one

So a life is `opened`, then `updated` and `ended` in turns, then `closed`, which follows an
`ended` in any case, or `withdrawn`. Every event that closes was opened before, and every
event that was opened is closed or withdrawn in the end. An event is updated at most
`MAX_UPDATES` times; what moves after that is settled by `closed`. Which updates come, and
in which order, depends on the recording alone, not on the chunks it came in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from streamsed.events import Event
from streamsed.exclusive import InUse, exclusive

State = Literal["opened", "ended", "updated", "closed", "withdrawn"]

TOLERANCE = 0.25
"""Seconds that an onset or offset must move by to be worth an update."""

MAX_UPDATES = 5
"""Updates of one event at most."""


@dataclass(frozen=True, slots=True)
class EventUpdate:
    """One moment in the life of an event.

    Parameters
    ----------
    state : str
        "opened", "ended", "updated", "closed" or "withdrawn".
    id : int
        Counts the events from 1, in the order in which they were opened.
    event : Event
        As it is now known; for a withdrawn one, as it was last known.
    ongoing : bool
        Whether it might go on; its offset is then the end of what was heard of it.
    """

    state: State
    id: int
    event: Event
    ongoing: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the update as a dict for JSON; an ongoing event has no offset."""
        event = self.event
        return {
            "state": self.state,
            "id": self.id,
            "label": event.label,
            "onset": round(event.onset, 6),
            "offset": None if self.ongoing else round(event.offset, 6),
            "score": round(event.score, 6),
        }


@dataclass(slots=True)
class _Provisional:
    """An event that is not settled: as it was last reported, and as it is now known."""

    reported: EventUpdate
    known: Event
    n_updates: int = 0


class EventLifecycle:
    """Give provisional and final events their ids and report what changed.

    Parameters
    ----------
    latency : float
        Seconds after its end at which an event is reported as ended, and after the end of
        what was known of it at which one that is gone is withdrawn.
    """

    def __init__(self, *, latency: float = 0.0) -> None:
        self._in_use = InUse("EventLifecycle")
        self._latency = latency
        self.reset()

    @exclusive
    def reset(self) -> None:
        """Forget everything, as if newly made."""
        self._n_opened = 0
        self._shown: dict[int, _Provisional] = {}

    @exclusive
    def push(self, events: Sequence[Event]) -> list[EventUpdate]:
        """Report what becomes of the provisional events now that `events` are final."""
        updates = []
        for event in events:
            earliest, *joined = self._overlapping(event) or [0]
            if not earliest:
                updates.append(self._open(event))
                earliest = self._n_opened
            if self._shown.pop(earliest).reported.ongoing:
                updates.append(EventUpdate("ended", earliest, event, ongoing=False))
            updates.append(EventUpdate("closed", earliest, event, ongoing=False))
            updates += [self._withdraw(other) for other in joined]
        return updates

    @exclusive
    def revise(
        self, ended: Sequence[Event], ongoing: Sequence[Event], *, now: float = math.inf
    ) -> list[EventUpdate]:
        """Report how what was reported changes, now that these events are provisional.

        Parameters
        ----------
        ended, ongoing : sequence of Event
            From `EventTracker.provisional`.
        now : float
            Seconds of the recording that they are known from.
        """
        updates = []
        alive, joined = set(), set()
        old = now - self._latency  # what ended before this has ended
        for event, goes_on in [(e, e.offset > old) for e in ended] + [
            (e, True) for e in ongoing
        ]:
            found = [other for other in self._overlapping(event) if other not in alive]
            if not found:
                updates.append(self._open(event))
                found = [self._n_opened]
            alive.add(found[0])
            joined.update(found[1:])
            updates += self._update(found[0], event, ongoing=goes_on)
        gone = [
            other
            for other, shown in self._shown.items()
            if other not in alive and (other in joined or shown.known.offset <= old)
        ]
        return updates + [self._withdraw(other) for other in gone]

    @exclusive
    def flush(self) -> list[EventUpdate]:
        """End the recording: withdraw what was reported and was not closed."""
        return [self._withdraw(other) for other in list(self._shown)]

    def _overlapping(self, event: Event) -> list[int]:
        """Return the provisional ids of this label at this time, in order of onset."""
        found = [
            (shown.known.onset, number)
            for number, shown in self._shown.items()
            if shown.known.label == event.label
            and shown.known.onset < event.offset
            and event.onset < shown.known.offset
        ]
        return [number for _, number in sorted(found)]

    def _open(self, event: Event) -> EventUpdate:
        self._n_opened += 1
        update = EventUpdate("opened", self._n_opened, event, ongoing=True)
        self._shown[update.id] = _Provisional(update, event)
        return update

    def _update(self, number: int, event: Event, *, ongoing: bool) -> list[EventUpdate]:
        """Remember how an event is now known; report it if that makes a difference."""
        shown = self._shown[number]
        shown.known = event
        before = shown.reported
        state: State = "ended" if before.ongoing and not ongoing else "updated"
        if state == "updated":
            if not _differs(before, event, ongoing=ongoing):
                return []
            if shown.n_updates == MAX_UPDATES:
                return []
            shown.n_updates += 1
        shown.reported = EventUpdate(state, number, event, ongoing)
        return [shown.reported]

    def _withdraw(self, number: int) -> EventUpdate:
        shown = self._shown.pop(number)
        return EventUpdate("withdrawn", number, shown.known, shown.reported.ongoing)


def _differs(before: EventUpdate, event: Event, *, ongoing: bool) -> bool:
    """Tell whether an event is worth an update: it resumed, or an end of it moved."""
    if ongoing != before.ongoing:
        return True
    moved = abs(event.onset - before.event.onset)
    if not ongoing:
        moved = max(moved, abs(event.offset - before.event.offset))
    return moved > TOLERANCE
