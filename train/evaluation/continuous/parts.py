"""What a model does where nothing, or only one thing, happens: counts of three parts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from streamsed.config import PostConfig, StreamConfig
from streamsed.events import Event
from train.evaluation.continuous.recordings import ScoredRecording
from train.evaluation.continuous.replay import replay
from train.metrics.event_errors import most_overlapping
from train.metrics.intervals import merge_overlaps, overlap


def false_events(
    recordings: Sequence[ScoredRecording], stream: StreamConfig, post: PostConfig
) -> dict[str, Any]:
    """Count events of backgrounds alone, by the kind of background and by label."""
    hours = sum(each.scores.duration for each in recordings) / 3600
    over: Counter[tuple[str, str]] = Counter()
    for each in recordings:
        for event in replay(each.scores, stream, post)[0]:
            over[most_overlapping(event, each.beds), event.label] += 1
    return {
        "events": over.total(),
        "per_hour": round(over.total() / hours, 1) if recordings else None,
        "by_kind": _nested(over),
    }


def other_sounds(
    recordings: Sequence[ScoredRecording], stream: StreamConfig, post: PostConfig
) -> dict[str, Any]:
    """Count the other sounds that an event overlaps, and the events."""
    hours = sum(each.scores.duration for each in recordings) / 3600
    n_events = n_sounds = n_triggering = 0
    taken_for: Counter[tuple[str, str]] = Counter()
    for each in recordings:
        events = replay(each.scores, stream, post)[0]
        n_events += len(events)
        n_sounds += len(each.others)
        for sound in each.others:
            labels = {event.label for event in events if _overlaps(event, sound)}
            n_triggering += bool(labels)
            taken_for.update((sound.label, label) for label in labels)
    return {
        "sounds": n_sounds,
        "triggering": n_triggering,
        "events_per_hour": round(n_events / hours, 1) if recordings else None,
        "by_kind": _nested(taken_for),
    }


def steady_sounds(
    recordings: Sequence[ScoredRecording], stream: StreamConfig, post: PostConfig
) -> dict[str, dict[str, float]]:
    """Count the events into which steady sounds fall, and the share that they cover."""
    rows: dict[str, list[tuple[int, float, int]]] = defaultdict(list)
    for each in recordings:
        truth = each.events[0]
        during = [
            event
            for event in replay(each.scores, stream, post)[0]
            if _overlaps(event, truth)
        ]
        own = merge_overlaps([event for event in during if event.label == truth.label])
        spans = [(event.onset, event.offset) for event in own]
        covered = overlap((truth.onset, truth.offset), spans) / truth.duration
        rows[truth.label].append((len(own), covered, len(during) - len(own)))
    return {
        label: {
            "sounds": len(found),
            "events_per_sound": round(sum(n for n, _, _ in found) / len(found), 2),
            "covered": round(sum(share for _, share, _ in found) / len(found), 4),
            "other_labels_per_sound": round(sum(n for *_, n in found) / len(found), 2),
        }
        for label, found in sorted(rows.items())
    }


def _overlaps(event: Event, other: Event) -> bool:
    return event.onset < other.offset and other.onset < event.offset


def _nested(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Turn counts by pairs into counts by the first, then the second."""
    nested: dict[str, dict[str, int]] = {}
    for (first, second), n in sorted(counts.items()):
        nested.setdefault(first, {})[second] = n
    return nested
