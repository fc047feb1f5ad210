"""The life of an event: opened, updated, closed or withdrawn, under one id.

Final scores come `latency` late. Until then an event is provisional: it is shown at once,
and what is shown may still change::

    opened      long enough to be an event, as far as is known
    updated     its onset moved, or it ended, or it goes on after all
    closed      final; its onset, offset and score will not change
    withdrawn   it was no event after all: cut, or joined to an earlier one

Every event that closes was opened before, and every event that was opened is closed or
withdrawn in the end. Which changes come, and in which order, depends on the recording
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
class Change:
    """One moment in the life of an event.

    Parameters
    ----------
    state : str
        "opened", "updated", "closed" or "withdrawn".
    id : int
        Counts the events from 1, in the order in which they were opened.
    event : Event
        As it is now known; for a withdrawn one, as it was last known.
    sounding : bool
        Whether it might go on; its offset is then the end of what was heard.
    """

    state: State
    id: int
    event: Event
    sounding: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the change as a dict for JSON; a sounding event has no offset."""
        event = self.event
        return {
            "state": self.state,
            "id": self.id,
            "label": event.label,
            "onset": round(event.onset, 6),
            "offset": None if self.sounding else round(event.offset, 6),
            "score": round(event.score, 6),
        }


class Lives:
    """Give provisional and final events their ids and say what changed."""

    def __init__(self) -> None:
        self._in_use = InUse("Lives")
        self.reset()

    @exclusive
    def reset(self) -> None:
        """Forget everything, as if newly made."""
        self._n_opened = 0
        self._shown: dict[int, Change] = {}  # the last word on each id not yet final

    @exclusive
    def close(self, events: Sequence[Event]) -> list[Change]:
        """Say what becomes of the shown events now that `events` are final."""
        changes = []
        for event in events:
            earliest, *joined = self._overlapping(event) or [0]
            if not earliest:
                opened = self._open(event, sounding=False)
                changes.append(opened)
                earliest = opened.id
            del self._shown[earliest]
            changes.append(Change("closed", earliest, event, sounding=False))
            changes += [self._withdraw(other) for other in joined]
        return changes

    @exclusive
    def revise(self, ended: Sequence[Event], sounding: Sequence[Event]) -> list[Change]:
        """Say how what is shown changes, now that these events are provisional.

        Parameters
        ----------
        ended, sounding : sequence of Event
            From `EventTracker.provisional`.
        """
        changes = []
        alive = set()
        for event, goes_on in [(e, False) for e in ended] + [
            (e, True) for e in sounding
        ]:
            shown = [other for other in self._overlapping(event) if other not in alive]
            if shown:
                alive.add(shown[0])
                changes += self._update(shown[0], event, sounding=goes_on)
            else:
                opened = self._open(event, sounding=goes_on)
                alive.add(opened.id)
                changes.append(opened)
        lost = [other for other in self._shown if other not in alive]
        return changes + [self._withdraw(other) for other in lost]

    @exclusive
    def finish(self) -> list[Change]:
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

    def _open(self, event: Event, *, sounding: bool) -> Change:
        self._n_opened += 1
        change = Change("opened", self._n_opened, event, sounding)
        self._shown[change.id] = change
        return change

    def _update(self, number: int, event: Event, *, sounding: bool) -> list[Change]:
        """Remember the newest word; it is a change unless the event just goes on."""
        before = self._shown[number]
        now = Change("updated", number, event, sounding)
        self._shown[number] = now
        goes_on = before.sounding and sounding and before.event.onset == event.onset
        same = before.event == event and before.sounding == sounding
        return [] if goes_on or same else [now]

    def _withdraw(self, number: int) -> Change:
        last = self._shown.pop(number)
        return Change("withdrawn", number, last.event, last.sounding)
