"""The lifecycle of events: reported early under an id, final later.

Scores are final after `settle` seconds. Until then an event is provisional: it is reported
at once, and may still change::

    opened      started, and long enough to be an event, as far as is known
    ended       stopped, at least `latency` ago
    updated     onset or offset moved by more than `TOLERANCE`, or it continues after all
    closed      final: onset, offset and score will not change
    withdrawn   not an event after all: too short, or merged with an earlier one

An event is `opened`, then `updated` and `ended` any number of times, then `closed`, always
after an `ended`, or `withdrawn`. Every closed event was opened before, and every opened
event is closed or withdrawn in the end. An event is updated at most `MAX_UPDATES` times;
later changes appear in `closed`. The updates and their order depend on the recording
alone, not on how it was cut into chunks.
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
"""Seconds that an onset or offset must move by to cause an update."""

MAX_UPDATES = 5
"""Maximum number of updates of an event."""


@dataclass(frozen=True, slots=True)
class EventUpdate:
    """A change in the state of an event.

    Parameters
    ----------
    state : str
        "opened", "ended", "updated", "closed" or "withdrawn".
    id : int
        Number of the event, from 1, in the order of opening.
    event : Event
        The event as currently known; for a withdrawn one, as last known.
    ongoing : bool
        Whether it may continue; its offset is then the end of the part detected so far.
    """

    state: State
    id: int
    event: Event
    ongoing: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the update as a dict for JSON, without the offset of an ongoing event."""
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
    """An event that is not final: as last reported, and as currently known."""

    reported: EventUpdate
    known: Event
    n_updates: int = 0


class EventLifecycle:
    """Assign ids to provisional and final events, and report what changed.

    Parameters
    ----------
    latency : float
        Seconds after its end at which an event is reported as ended; also seconds after
        the last known end at which an event that disappeared is withdrawn.
    """

    def __init__(self, *, latency: float = 0.0) -> None:
        self._in_use = InUse("EventLifecycle")
        self._latency = latency
        self.reset()

    @exclusive
    def reset(self) -> None:
        """Return to the initial state."""
        self._n_opened = 0
        self._shown: dict[int, _Provisional] = {}

    @exclusive
    def push(self, events: Sequence[Event]) -> list[EventUpdate]:
        """Return the updates of the provisional events now that `events` are final."""
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
        """Return the updates of the provisional events, given their new versions.

        Parameters
        ----------
        ended, ongoing : sequence of Event
            From `EventTracker.provisional`.
        now : float
            Seconds of the recording so far.
        """
        updates = []
        alive, joined = set(), set()
        old = now - self._latency  # events that end before this have ended
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
        """End the recording: withdraw the events that were opened but not closed."""
        return [self._withdraw(other) for other in list(self._shown)]

    def _overlapping(self, event: Event) -> list[int]:
        """Return the ids of overlapping provisional events of the label, by onset."""
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
        """Store the new version of an event; report it if it differs enough."""
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
    """Return whether an event resumed, or its onset or offset moved enough."""
    if ongoing != before.ongoing:
        return True
    moved = abs(event.onset - before.event.onset)
    if not ongoing:
        moved = max(moved, abs(event.offset - before.event.offset))
    return moved > TOLERANCE
