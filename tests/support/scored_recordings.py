"""Continuous recordings with scores of a network that never ran."""

import numpy as np

from streamsed.config import FrontendConfig, StreamConfig
from streamsed.events import Event
from train.evaluation.continuous.recording_scores import RecordingScores, segment_ends
from train.evaluation.continuous.recordings import ScoredRecording

FRONTEND = FrontendConfig()
FRAME = FRONTEND.score_frame_duration
STREAM = StreamConfig(step=0.25, latency=10.0)
LABELS = ("Dog", "Vacuum_cleaner")


def recording(part, events, levels, *, duration=40.0, false=(), holes=()):
    """A recording whose network is sure of `levels` in events and in what is false."""
    n_samples = round(duration * FRONTEND.sample_rate)
    step, _ = STREAM.in_score_frames(FRONTEND)
    ends = segment_ends(n_samples, FRONTEND, step=step, partial=True)
    final = np.full((ends[-1] + FRONTEND.segment_score_frames, 2), 0.02, np.float32)
    for event, level in [*zip(events, levels, strict=True), *false]:
        first, last = round(event.onset / FRAME), round(event.offset / FRAME)
        final[first:last, LABELS.index(event.label)] = level
    for onset, offset in holes:
        final[round(onset / FRAME) : round(offset / FRAME), 1] = 0.1
    height = FRONTEND.segment_score_frames
    scores = np.stack([final[max(0, end - height) :][:height] for end in ends])
    kept = RecordingScores(scores, np.array(ends), n_samples, LABELS, FRONTEND)
    return ScoredRecording(part, kept, list(events), [], [])


def dog(onset, duration=1.0):
    return Event("Dog", onset, onset + duration, 1.0)


def vacuum(onset, duration):
    return Event("Vacuum_cleaner", onset, onset + duration, 1.0)
