"""Stretches of time: which share of one others cover, and joining those that overlap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streamsed.events import Event

Spans = list[tuple[float, float]]
Clips = Sequence[Sequence[Event]]
"""Events clip by clip, in the order of the clips."""


def is_covered(span: tuple[float, float], by: Spans, share: float) -> bool:
    """Return whether spans that do not overlap cover a share of another.

    Compared to the microsecond, so that a share that is met on paper is met.

    Examples
    --------
    >>> is_covered((0.0, 1.0), [(-1.0, 0.2), (0.7, 3.0)], 0.5)
    True
    >>> is_covered((0.0, 1.0), [(0.6, 1.0)], 0.5)
    False
    """
    return round(overlap(span, by), 6) >= round(share * (span[1] - span[0]), 6)


def overlap(span: tuple[float, float], others: Spans) -> float:
    """Sum how many seconds of a span others share with it."""
    onset, offset = span
    return sum(max(min(offset, b) - max(onset, a), 0.0) for a, b in others)


def merge_overlaps(events: Iterable[Event]) -> list[Event]:
    """Join events of one label that overlap or touch: a label is on or off at any time.

    Parameters
    ----------
    events : iterable of Event
        Of one clip.

    Returns
    -------
    list of Event
        Sorted. A joined event has the highest score.

    Examples
    --------
    >>> for event in merge_overlaps(
    ...     [Event("Dog", 0.0, 2.0, 1.0), Event("Cat", 1.0, 3.0, 1.0),
    ...      Event("Dog", 1.5, 2.5, 1.0), Event("Dog", 2.5, 4.0, 1.0)]):
    ...     print(event.label, event.onset, event.offset)
    Dog 0.0 4.0
    Cat 1.0 3.0
    """
    merged: list[Event] = []
    latest: dict[str, int] = {}  # label to the place of its last event in `merged`
    for event in sorted(events):
        place = latest.get(event.label)
        if place is not None and event.onset <= merged[place].offset:
            before = merged[place]
            merged[place] = Event(
                event.label,
                before.onset,
                max(before.offset, event.offset),
                max(before.score, event.score),
            )
        else:
            latest[event.label] = len(merged)
            merged.append(event)
    return sorted(merged)
