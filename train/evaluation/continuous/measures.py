"""The figures of a model on continuous recordings.

A network scores each recording once (`train.evaluation.continuous.recordings`);
everything here follows from the kept scores, by the stages of the runtime, so another
latency or another threshold costs seconds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from streamsed.config import PostConfig, StreamConfig
from streamsed.events import Event
from streamsed.progress import track
from train.evaluation.continuous.latencies import latency_row, latency_streams
from train.evaluation.continuous.parts import false_events, other_sounds, steady_sounds
from train.evaluation.continuous.recording_scores import STEP
from train.evaluation.continuous.recordings import ScoredRecording
from train.evaluation.continuous.replay import final_scores, replay
from train.metrics.announcements import Announcements, announcements, summarise
from train.metrics.criteria import event_counts
from train.metrics.event_errors import CAUSES, FATES, causes, fates
from train.metrics.psds import psds, psds1

LIVE = StreamConfig(step=STEP, latency=1.0)
"""How a microphone is listened to."""

PostFor = Callable[[StreamConfig], PostConfig]
"""The settings that a stream of these settings uses."""


def measure_continuous(
    recordings: Sequence[ScoredRecording], post_for: PostFor
) -> dict[str, Any]:
    """Measure everything at the latency of a microphone and at full context.

    Parameters
    ----------
    recordings : sequence of ScoredRecording
        Of the same network; at least one of "events".
    post_for : callable
        The settings for each latency; none of them may be chosen on these recordings.

    Returns
    -------
    dict
        For JSON: `live` and `settled` (see `measure_stream`), `by_latency` (see
        `latency_row`), and what was measured on.

    Raises
    ------
    ValueError
        There is no recording with events.
    """
    with_events = [each for each in recordings if each.part == "events"]
    if not with_events:
        raise ValueError("recordings must include one of part=events")
    labels, config = with_events[0].scores.labels, with_events[0].scores.frontend
    n_events = Counter(event.label for each in with_events for event in each.events)
    streams = latency_streams(config)
    whole = {
        stream: measure_stream(recordings, stream, post_for(stream))
        for stream in (LIVE, streams[-1])
    }
    rows = [
        latency_row(
            whole.get(stream) or measure_latency(with_events, stream, post_for(stream))
        )
        for stream in track(streams, "measuring", total=len(streams), unit="latencies")
    ]
    return {
        "n_events": {label: n_events[label] for label in labels},
        "seconds": {
            part: round(sum(e.scores.duration for e in recordings if e.part == part), 1)
            for part in ("events", "backgrounds", "others", "steady")
        },
        "live": whole[LIVE],
        "settled": whole[streams[-1]],
        "by_latency": rows,
    }


def measure_latency(
    recordings: Sequence[ScoredRecording], stream: StreamConfig, post: PostConfig
) -> dict[str, Any]:
    """Measure recordings with events at one latency, in a quarter of the time of all.

    Parameters
    ----------
    recordings : sequence of ScoredRecording
        Of "events" alone.
    stream : StreamConfig
        Step and latency.
    post : PostConfig
        How scores become events.

    Returns
    -------
    dict
        For JSON: what `measure_events` gives, `latency` and `psds1`.
    """
    return {
        "step": stream.step,
        "latency": stream.latency,
        **measure_events(recordings, stream, post),
        **_psds(recordings, stream, confusions=False),
    }


def measure_stream(
    recordings: Sequence[ScoredRecording], stream: StreamConfig, post: PostConfig
) -> dict[str, Any]:
    """Measure all parts at one latency.

    Returns
    -------
    dict
        For JSON: what `measure_events` gives, `psds1` and `psds2` (None without events),
        and `backgrounds`, `others` and `steady`, each with its own counts.
    """
    with_events = [each for each in recordings if each.part == "events"]
    return {
        **measure_detections(recordings, stream, post),
        **_psds(with_events, stream),
    }


def measure_detections(
    recordings: Sequence[ScoredRecording], stream: StreamConfig, post: PostConfig
) -> dict[str, Any]:
    """Measure all parts at one latency, without PSDS, which no threshold changes.

    Returns
    -------
    dict
        For JSON: what `measure_stream` gives but for `psds1` and `psds2`.
    """
    parts: dict[str, list[ScoredRecording]] = defaultdict(list)
    for each in recordings:
        parts[each.part].append(each)
    return {
        "step": stream.step,
        "latency": stream.latency,
        **measure_events(parts["events"], stream, post),
        "backgrounds": false_events(parts["backgrounds"], stream, post),
        "others": other_sounds(parts["others"], stream, post),
        "steady": steady_sounds(parts["steady"], stream, post),
    }


def measure_events(
    recordings: Sequence[ScoredRecording], stream: StreamConfig, post: PostConfig
) -> dict[str, Any]:
    """Measure events and announcements at one latency.

    Returns
    -------
    dict
        For JSON: event F1; `fates`, the share of the reference events with each of
        `train.metrics.event_errors.FATES`; `false_per_hour`, estimated events that hit nothing by
        each of `CAUSES`; `announced`, see `train.metrics.announcements.summarise`;
        `false_announcements_per_hour`; the same by label.
    """
    labels = recordings[0].scores.labels
    hours = sum(each.scores.duration for each in recordings) / 3600
    reference = [each.events for each in recordings]
    estimated, announced, wrong = _replay_all(recordings, stream, post)
    truth = [event for events in reference for event in events]
    of = {k: [i for i, event in enumerate(truth) if event.label == k] for k in labels}
    fate = [f for a, b in zip(reference, estimated, strict=True) for f in fates(a, b)]
    delays = [delay for each in announced for delay in each.delays]
    false = Counter(event.label for each in announced for event in each.false)
    repeated = sum(each.repeated for each in announced)
    return {
        **event_counts(reference, estimated, labels).f1().to_dict(),
        "fates": _shares(fate),
        "fates_per_label": {k: _shares([fate[i] for i in of[k]]) for k in labels},
        "false_per_hour": _causes(wrong, labels, hours),
        "false_per_hour_per_label": {k: _causes(wrong, (k,), hours) for k in labels},
        "announced": summarise(delays),
        "announced_per_label": {
            k: summarise([delays[i] for i in of[k]]) for k in labels
        },
        "false_announcements_per_hour": round(false.total() / hours, 1),
        "false_announcements_per_hour_per_label": {
            k: round(false[k] / hours, 1) for k in labels
        },
        "repeated_announcements_per_hour": round(repeated / hours, 1),
    }


def _replay_all(
    recordings: Sequence[ScoredRecording], stream: StreamConfig, post: PostConfig
) -> tuple[list[list[Event]], list[Announcements], Counter[tuple[str, str]]]:
    """Give the events and announcements of each, and count false events by cause."""
    estimated: list[list[Event]] = []
    announced: list[Announcements] = []
    wrong: Counter[tuple[str, str]] = Counter()
    for each in recordings:
        events, updates = replay(each.scores, stream, post)
        estimated.append(events)
        announced.append(announcements(each.events, updates))
        false = causes(each.events, events, each.others)
        wrong.update((event.label, cause) for event, cause, _ in false)
    return estimated, announced, wrong


def _causes(
    wrong: Counter[tuple[str, str]], labels: Sequence[str], hours: float
) -> dict[str, float]:
    """Sum the false events of some labels, an hour, by cause."""
    return {
        cause: round(sum(wrong[label, cause] for label in labels) / hours, 1)
        for cause in CAUSES
    }


def _shares(fate: Sequence[str]) -> dict[str, float]:
    return {
        name: round(sum(each == name for each in fate) / max(len(fate), 1), 4)
        for name in FATES
    }


def _psds(
    recordings: Sequence[ScoredRecording],
    stream: StreamConfig,
    *,
    confusions: bool = True,
) -> dict[str, float | None]:
    """Compute PSDS 1 of the final scores, and PSDS 2 if confusions are to be counted."""
    names = ("psds1", "psds2") if confusions else ("psds1",)
    if not any(each.events for each in recordings):
        return dict.fromkeys(names)
    scores = [each.scores for each in recordings]
    areas = (psds if confusions else psds1)(
        [each.events for each in recordings],
        [final_scores(each, stream) for each in scores],
        scores[0].labels,
        n_samples=[each.n_samples for each in scores],
        frontend=scores[0].frontend,
    )
    return {name: round(area, 4) for name, area in zip(names, areas, strict=True)}
