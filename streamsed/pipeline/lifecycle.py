"""The life of an event: opened, updated, closed or withdrawn, under one id.

Final scores come `latency` late. Until then an event is provisional: it is shown at once,
and what is shown may still change::

    opened      long enough to be an event, as far as is known
    updated     its onset moved, or it ended, or it goes on after all
    closed      final; its onset, offset and score will not change
    withdrawn   it was no event after all: cut, or joined to an earlier one

Every event that closes was opened before, and every event that was opened is closed or
withdrawn in the end. Which updates come, and in which order, depends on the recording
alone, not on the chunks it came in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from streamsed.events import Event
from streamsed.exclusive import InUse, exclusive

State = Literal["opened", "updated", "closed", "withdrawn"]


@dataclass(frozen=True, slots=True)
class EventUpdate:
    """One moment in the life of an event.

    Parameters
    ----------
    state : str
        "opened", "updated", "closed" or "withdrawn".
    id : int
        Counts the events from 1, in the order in which they were opened.
    event : Event
        As it is now known; for a withdrawn one, as it was last known.
    ongoing : bool
        Whether it might go on; its offset is then the end of what was heard.
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


class EventLifecycle:
    """Give provisional and final events their ids and say what changed."""

    def __init__(self) -> None:
        self._in_use = InUse("EventLifecycle")
        self.reset()

    @exclusive
    def reset(self) -> None:
        """Forget everything, as if newly made."""
        self._n_opened = 0
        # The last word on each id that is not yet final.
        self._shown: dict[int, EventUpdate] = {}

    @exclusive
    def push(self, events: Sequence[Event]) -> list[EventUpdate]:
        """Say what becomes of the shown events now that `events` are final."""
        updates = []
        for event in events:
            earliest, *joined = self._overlapping(event) or [0]
            if not earliest:
                opened = self._open(event, ongoing=False)
                updates.append(opened)
                earliest = opened.id
            del self._shown[earliest]
            updates.append(EventUpdate("closed", earliest, event, ongoing=False))
            updates += [self._withdraw(other) for other in joined]
        return updates

    @exclusive
    def revise(
        self, ended: Sequence[Event], ongoing: Sequence[Event]
    ) -> list[EventUpdate]:
        """Say how what is shown changes, now that these events are provisional.

        Parameters
        ----------
        ended, ongoing : sequence of Event
            From `EventTracker.provisional`.
        """
        updates = []
        alive = set()
        for event, goes_on in [(e, False) for e in ended] + [
            (e, True) for e in ongoing
        ]:
            shown = [other for other in self._overlapping(event) if other not in alive]
            if shown:
                alive.add(shown[0])
                updates += self._update(shown[0], event, ongoing=goes_on)
            else:
                opened = self._open(event, ongoing=goes_on)
                alive.add(opened.id)
                updates.append(opened)
        lost = [other for other in self._shown if other not in alive]
        return updates + [self._withdraw(other) for other in lost]

    @exclusive
    def flush(self) -> list[EventUpdate]:
        """End the recording: withdraw what is shown and was not closed."""
        return [self._withdraw(other) for other in list(self._shown)]

    def _overlapping(self, event: Event) -> list[int]:
        """Return the ids shown for this label at this time, in order of onset."""
        found = [
            (shown.event.onset, shown.id)
            for shown in self._shown.values()
            if shown.event.label == event.label
            and shown.event.onset < event.offset
            and event.onset < shown.event.offset
        ]
        return [number for _, number in sorted(found)]

    def _open(self, event: Event, *, ongoing: bool) -> EventUpdate:
        self._n_opened += 1
        update = EventUpdate("opened", self._n_opened, event, ongoing)
        self._shown[update.id] = update
        return update

    def _update(self, number: int, event: Event, *, ongoing: bool) -> list[EventUpdate]:
        """Remember the newest word; it is an update unless the event just goes on."""
        before = self._shown[number]
        now = EventUpdate("updated", number, event, ongoing)
        self._shown[number] = now
        goes_on = before.ongoing and ongoing and before.event.onset == event.onset
        same = before.event == event and before.ongoing == ongoing
        return [] if goes_on or same else [now]

    def _withdraw(self, number: int) -> EventUpdate:
        last = self._shown.pop(number)
        return EventUpdate("withdrawn", number, last.event, last.ongoing)
