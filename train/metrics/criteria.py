"""Scoring: what counts as a hit, for the three F1 of sound event detection.

Each function compares reference and estimated events clip by clip and gives `Counts`,
from which F1 and its bootstrap intervals follow; `DEFINITIONS` says the same in words.
Counting is done here, in a fraction of the time that `sed_eval` needs, and the tests hold
it to the counts of `sed_eval` (events, segments) and `sed_scores_eval` (intersections).

Differences are taken in float64 as they are, as `sed_eval` does: two times that are 0.2 s
apart on paper, on the collar, hit or miss by what their difference is rounded to (7.688 -
7.488 is 0.2 - 7e-16 and hits, 2.56 - 2.36 is 0.2 + 2e-16 and misses).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from streamsed.events import Event
from train.metrics.f1 import F1, Counts
from train.metrics.intervals import Clips, Spans, is_covered, merge_overlaps

COLLAR = 0.2
"""Seconds that an onset, and at least that an offset, may be off."""
OFFSET_COLLAR_RATE = 0.2
"""Share of the reference event's length that its offset may be off."""
INTERSECTION = 0.5
"""Share of an event that must be covered, on both sides."""
DEFINITIONS = {
    "event": "Event-based F1: an estimated event hits a reference event of its label if "
    "its onset is at most 0.2 s off and its offset at most 0.2 s or 20 % of the "
    "reference's length, whichever is more; each event is in one pair at most.",
    "segment": "Segment-based F1: clips are cut into segments of 1 s, and a label that "
    "sounds anywhere in a segment sounds in all of it; each segment and label counts "
    "once.",
    "intersection": "Intersection-based F1: an estimated event is valid if reference "
    "events of its label cover at least half of it; a reference event is hit if valid "
    "estimated events cover at least half of it.",
}
"""What each F1 means, in a sentence."""


def event_f1(reference: Clips, estimated: Clips, labels: Sequence[str]) -> F1:
    """Compute event-based F1; see `event_counts` for what goes in."""
    return event_counts(reference, estimated, labels).f1()


def event_counts(reference: Clips, estimated: Clips, labels: Sequence[str]) -> Counts:
    """Count events that hit: `DEFINITIONS["event"]`.

    Parameters
    ----------
    reference, estimated : sequence of sequences of Event
        One inner sequence per clip, in the same order.
    labels : sequence of str
        What is scored.

    Returns
    -------
    Counts
        Of as many pairs as can be made.

    Raises
    ------
    ValueError
        The two have different numbers of clips, or an event is of another label.
    """
    return _count(reference, estimated, labels, _event_hits)


def segment_counts(reference: Clips, estimated: Clips, labels: Sequence[str]) -> Counts:
    """Count segments of 1 s: `DEFINITIONS["segment"]`; see `event_counts`."""
    return _count(reference, estimated, labels, _segment_hits)


def intersection_counts(
    reference: Clips, estimated: Clips, labels: Sequence[str]
) -> Counts:
    """Count events that are covered: `DEFINITIONS["intersection"]`; see `event_counts`.

    Overlapping events of a label are joined first. So that F1 has its one form,
    `n_estimated` counts the hits in place of the valid estimated events (several of these
    can make one hit), plus the estimated events that are not valid.
    """
    return _count(_joined(reference), _joined(estimated), labels, _intersection_hits)


def _joined(clips: Clips) -> Clips:
    return [merge_overlaps(clip) for clip in clips]


def _count(
    reference: Clips,
    estimated: Clips,
    labels: Sequence[str],
    hits: Callable[[Spans, Spans], tuple[int, int, int]],
) -> Counts:
    """Count clip by clip and label by label."""
    if len(reference) != len(estimated):
        raise ValueError(
            f"estimated clips={len(estimated)} must be as many as reference clips="
            f"{len(reference)}"
        )
    columns = {label: column for column, label in enumerate(labels)}
    counts = np.zeros((3, len(reference), len(columns)), np.int64)
    for row, (truth, guess) in enumerate(zip(reference, estimated, strict=True)):
        there, claimed = _by_label(truth, columns), _by_label(guess, columns)
        for label in there.keys() | claimed.keys():
            counts[:, row, columns[label]] = hits(there[label], claimed[label])
    return Counts(tuple(labels), *counts)


def _by_label(
    events: Sequence[Event], columns: dict[str, int]
) -> defaultdict[str, Spans]:
    """Gather onsets and offsets by label."""
    spans: defaultdict[str, Spans] = defaultdict(list)
    for event in events:
        if event.label not in columns:
            raise ValueError(
                f"label={event.label!r} must be one of those scored: "
                f"{', '.join(columns)}"
            )
        # float: arithmetic on numpy's scalars is ten times slower.
        spans[event.label].append((float(event.onset), float(event.offset)))
    return spans


def _event_hits(reference: Spans, estimated: Spans) -> tuple[int, int, int]:
    """Count pairs within the collars, in the best pairing, and events."""
    return len(match_events(reference, estimated)), len(reference), len(estimated)


def match_events(reference: Spans, estimated: Spans) -> dict[int, int]:
    """Pair reference and estimated events of a label that hit, as many as possible.

    Returns
    -------
    dict of int to int
        From the place of an estimated event to that of its reference event.

    Examples
    --------
    >>> match_events([(1.0, 2.0), (4.0, 5.0)], [(3.9, 5.1), (7.0, 8.0)])
    {0: 1}
    """
    near = [
        [
            place
            for place, (start, stop) in enumerate(estimated)
            if abs(onset - start) <= COLLAR
            and abs(offset - stop) <= max(COLLAR, OFFSET_COLLAR_RATE * (offset - onset))
        ]
        for onset, offset in reference
    ]
    return _largest_matching(near)


def _largest_matching(near: list[list[int]]) -> dict[int, int]:
    """Pair as many as possible: an augmenting path for each that is still alone."""
    partners: dict[int, int] = {}

    def pair(one: int, tried: set[int]) -> bool:
        for other in near[one]:
            if other not in tried:
                tried.add(other)
                if other not in partners or pair(partners[other], tried):
                    partners[other] = one
                    return True
        return False

    for one in range(len(near)):
        pair(one, set())
    return partners


def _segment_hits(reference: Spans, estimated: Spans) -> tuple[int, int, int]:
    """Count segments of 1 s that both, one and the other touch."""
    there, claimed = (
        {second for a, b in spans for second in range(math.floor(a), math.ceil(b))}
        for spans in (reference, estimated)
    )
    return len(there & claimed), len(there), len(claimed)


def _intersection_hits(reference: Spans, estimated: Spans) -> tuple[int, int, int]:
    """Count reference events hit, all of them, and hits with false alarms."""
    valid = [span for span in estimated if is_covered(span, reference, INTERSECTION)]
    hits = sum(is_covered(span, valid, INTERSECTION) for span in reference)
    return hits, len(reference), hits + len(estimated) - len(valid)
