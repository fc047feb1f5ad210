"""What became of each event: found, or lost in which way.

F1 says how much is wrong, not what. Here every reference event has exactly one fate, and
every estimated event that hits nothing has one cause, so that the shares sum to one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from streamsed.events import Event
from train.metrics.criteria import COLLAR, match_events
from train.metrics.intervals import Spans, overlap

FATES = {
    "right": "In a pair of the event-based F1: onset within 0.2 s, offset within 0.2 s or "
    "20 % of the length.",
    "wrong onset": "One event of its label overlaps it and no other reference event, and "
    "begins more than 0.2 s off; its end may be off too.",
    "wrong offset": "The same, but it begins in time and ends too far off.",
    "fragmented": "Two or more events of its label overlap it, and none of them hits it.",
    "merged": "One event of its label overlaps it, and another reference event too.",
    "wrong label": "No event of its label overlaps it, and those of another label cover at "
    "least half of it.",
    "missed": "None of these.",
}
"""What can become of a reference event; the first that holds, in the order of `fates`."""

CAUSES = {
    "wrong ends": "A reference event of its label overlaps it: a piece of that, or all of "
    "it with an end too far off.",
    "another label's event": "None does, but a reference event of another label.",
    "another sound": "No reference event overlaps it, but a known sound without a label.",
    "the background": "None of these.",
}
"""What an estimated event that hits nothing was made of; the first that holds."""

WRONG_LABEL_SHARE = 0.5
"""Share of a reference event that another label must cover to be taken for it."""


def fates(reference: Sequence[Event], estimated: Sequence[Event]) -> list[str]:
    """Return what became of each reference event of a recording, by `FATES`.

    Parameters
    ----------
    reference, estimated : sequence of Event
        Of one recording; events of one label do not overlap within a list.

    Returns
    -------
    list of str
        In the order of `reference`.

    Examples
    --------
    >>> truth = [Event("Dog", 1.0, 2.0, 1.0), Event("Dog", 5.0, 9.0, 1.0)]
    >>> fates(truth, [Event("Dog", 1.1, 2.0, 0.9), Event("Cat", 5.0, 9.0, 0.8)])
    ['right', 'wrong label']
    """
    found = [""] * len(reference)
    for label in {event.label for event in reference}:
        places = [i for i, event in enumerate(reference) if event.label == label]
        there = [_span(reference[i]) for i in places]
        claimed = [_span(event) for event in estimated if event.label == label]
        others = [_span(event) for event in estimated if event.label != label]
        hit = set(match_events(there, claimed).values())
        for row, place in enumerate(places):
            right = row in hit
            found[place] = "right" if right else _fate(row, there, claimed, others)
    return found


def _fate(row: int, there: Spans, claimed: Spans, others: Spans) -> str:
    """Find what became of a reference event that no event hits."""
    onset, offset = span = there[row]
    touching = [each for each in claimed if overlap(span, [each]) > 0]
    if not touching:
        best = max((overlap(span, [each]) for each in others), default=0.0)
        return (
            "wrong label" if best >= WRONG_LABEL_SHARE * (offset - onset) else "missed"
        )
    if len(touching) > 1:
        return "fragmented"
    if sum(overlap(touching[0], [each]) > 0 for each in there) > 1:
        return "merged"
    return "wrong onset" if abs(touching[0][0] - onset) > COLLAR else "wrong offset"


def causes(
    reference: Sequence[Event], estimated: Sequence[Event], others: Sequence[Event]
) -> list[tuple[Event, str, str]]:
    """Return the estimated events that hit nothing, and what they were made of.

    Parameters
    ----------
    reference, estimated : sequence of Event
        Of one recording.
    others : sequence of Event
        Sounds without a label in it, under the names of their kinds.

    Returns
    -------
    list of (Event, str, str)
        The event, one of `CAUSES`, and the label or kind of what it overlaps most; ""
        for the background.
    """
    wrong: list[tuple[Event, str, str]] = []
    for label in sorted({event.label for event in estimated}):
        there = [_span(event) for event in reference if event.label == label]
        guesses = [event for event in estimated if event.label == label]
        hits = match_events(there, [_span(event) for event in guesses])
        for place, event in enumerate(guesses):
            if place in hits:
                continue
            if overlap(_span(event), there) > 0:
                wrong.append((event, "wrong ends", label))
            elif name := most_overlapping(event, reference):
                wrong.append((event, "another label's event", name))
            elif name := most_overlapping(event, others):
                wrong.append((event, "another sound", name))
            else:
                wrong.append((event, "the background", ""))
    return wrong


def most_overlapping(event: Event, others: Sequence[Event]) -> str:
    """Name what shares most seconds with an event; "" if nothing does."""
    shared: defaultdict[str, float] = defaultdict(float)
    for other in others:
        shared[other.label] += overlap(_span(event), [_span(other)])
    best = max(shared, key=lambda name: shared[name], default="")
    return best if best and shared[best] > 0 else ""


def _span(event: Event) -> tuple[float, float]:
    return event.onset, event.offset
