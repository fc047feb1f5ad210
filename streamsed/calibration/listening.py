"""Counting the events of normal sound: in recordings at full pace, or live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsed.audio.source import Source
from streamsed.calibration.event_counts import EventCounts
from streamsed.detector import Detector
from streamsed.live.job import stopped_by_signals
from streamsed.live.listener import Listener
from streamsed.live.sinks.base_sink import BaseSink
from streamsed.pipeline.extractor import Progress
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.progress import Task, task
from streamsed.recordings.detection import (
    Recording,
    Scored,
    describe_error,
    extract_ahead,
)
from streamsed.recordings.prefetch import Prefetch
from streamsed.terminal import print_message


def count_in_recordings(
    detector: Detector,
    recordings: Sequence[Recording],
    counts: EventCounts,
    *,
    n_parallel: int,
) -> tuple[int, bool]:
    """Count in recordings, decoded and scored ahead in threads.

    Parameters
    ----------
    detector : Detector
        From `ThresholdLevels.detector`.
    recordings : sequence of Recording
        A bad one is reported, and its counts so far are kept.
    counts : EventCounts
        Where.
    n_parallel : int
        Segments scored at once.

    Returns
    -------
    n_failed : int
        Recordings that could not be read to their end.
    interrupted : bool
        Whether Ctrl-C or SIGTERM ended it.
    """
    n_failed = 0
    total = sum(recording.duration for recording in recordings)
    with (
        task("listening", total, "s of audio") as listening,
        extract_ahead(detector, recordings, n_parallel=n_parallel) as turns,
    ):
        try:
            for recording, extracted in turns:
                try:
                    _count(detector, extracted, counts, listening, recording.name)
                except Exception as error:  # noqa: BLE001 - it costs only itself
                    print_message(f"error: {describe_error(error, recording.path)}")
                    n_failed += 1
                counts.next_recording()
        except KeyboardInterrupt:
            return n_failed, True
    return n_failed, False


def _count(
    detector: Detector,
    extracted: Prefetch[Scored],
    counts: EventCounts,
    listening: Task,
    name: str,
) -> None:
    detector.reset()
    n_samples = 0
    for each, scored in extracted:
        counts.add(detector.consume(each, scored.result() if scored else None))
        if isinstance(each, Progress):
            seconds = (each.n_samples - n_samples) / detector.sample_rate
            n_samples = each.n_samples
            counts.advance(seconds)
            listening.advance(seconds, name)


def count_live(
    detector: Detector, source: Source, counts: EventCounts, *, duration: float
) -> bool:
    """Count in live sound; a first Ctrl-C, SIGTERM or hang-up ends it.

    Parameters
    ----------
    detector : Detector
        From `ThresholdLevels.detector`.
    source : Source
        Where the sound comes from; closed at the end.
    counts : EventCounts
        Where.
    duration : float
        Seconds to listen.

    Returns
    -------
    bool
        Whether all of it was listened to.
    """
    with task("listening", duration, "s") as listening:
        counter = _CountingSink(counts, listening, sample_rate=detector.sample_rate)
        listener = Listener(detector, source, [counter])
        with stopped_by_signals(listener, []):
            summary = listener.run(duration=duration)
    counts.advance(summary.listened)
    if summary.lost:
        print_message(f"{summary.lost:.1f} s of sound were lost, and are not counted")
    return summary.listened + summary.lost >= duration - 1 / detector.sample_rate


class _CountingSink(BaseSink):
    """A sink that counts, and shows how far the listening is."""

    name = "counts"

    def __init__(
        self, counts: EventCounts, listening: Task, *, sample_rate: int
    ) -> None:
        self._counts = counts
        self._listening = listening
        self._sample_rate = sample_rate

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Show how far the listening is."""
        self._listening.advance(len(samples) / self._sample_rate)

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Count an update; print messages for the user."""
        if update is not None:
            self._counts.add([update])
        elif record["state"] == "notice":
            print_message(record["text"])
