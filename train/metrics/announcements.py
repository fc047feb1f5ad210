"""Announcements: how late an event is reported to a listener, and false reports.

A listener does not wait until an event is final: the runtime announces it (`opened`) as
soon as it looks like one. An announcement is *of* a reference event if it has its label
and what it announces overlaps it; the first such announces the event, further ones are
repetitions, and an announcement of no event is false, even if it is withdrawn later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from streamsed.events import Event
from streamsed.pipeline.lifecycle import EventUpdate

SOON = 1.0
"""Seconds after its onset by which an event should be announced."""


class TimedUpdate(NamedTuple):
    """An update of a stream, and the seconds of the recording after which it is known.

    The time for computing and for waiting until a chunk is full comes on top.
    """

    time: float
    update: EventUpdate


@dataclass(frozen=True, slots=True)
class Announcements:
    """The announcements of one recording.

    Parameters
    ----------
    delays : list of float or None
        Seconds from each reference event's onset until it was announced; None if it never
        was.
    false : list of Event
        Announcements of no reference event.
    repeated : int
        Announcements of an event that was announced already.
    """

    delays: list[float | None]
    false: list[Event]
    repeated: int


def announcements(
    reference: Sequence[Event], updates: Sequence[TimedUpdate]
) -> Announcements:
    """Find the announcement of each reference event, and the others.

    Parameters
    ----------
    reference : sequence of Event
        The truth of one recording.
    updates : sequence of TimedUpdate
        Every update of the stream, in order.
    """
    delays: list[float | None] = [None] * len(reference)
    false: list[Event] = []
    repeated = 0
    for time, update in updates:
        if update.state != "opened":
            continue
        event = update.event
        meant = [
            place
            for place, truth in enumerate(reference)
            if truth.label == event.label
            and truth.onset < event.offset
            and event.onset < truth.offset
        ]
        if not meant:
            false.append(event)
        repeated += bool(meant) and all(delays[place] is not None for place in meant)
        for place in meant:
            if delays[place] is None:
                delays[place] = time - reference[place].onset
    return Announcements(delays, false, repeated)


def summarise(delays: Sequence[float | None]) -> dict[str, float | int | None]:
    """Describe delays, with what they leave out.

    Returns
    -------
    dict
        `n` reference events; `never`, the share that was not announced; `median` and
        `p90`, seconds, of those that were (None if none was); `within_1_s`, the share of
        *all* that was announced within a second of the onset.
    """
    known = np.array([delay for delay in delays if delay is not None])
    n = len(delays)
    return {
        "n": n,
        "never": round(1 - len(known) / n, 4) if n else None,
        "median": round(float(np.median(known)), 3) if len(known) else None,
        "p90": round(float(np.quantile(known, 0.9)), 3) if len(known) else None,
        "within_1_s": round(float((known <= SOON).sum()) / n, 4) if n else None,
    }
