"""Everything behind the network again, from kept scores."""

from __future__ import annotations

import numpy as np

from streamsed.config import PostConfig, StreamConfig
from streamsed.detector import Detector
from streamsed.events import Event
from streamsed.inference.model import Model, SegmentScores
from streamsed.inference.model_file import ModelInfo
from streamsed.inference.selection import Candidate
from streamsed.pipeline.extractor import Progress
from streamsed.pipeline.stitcher import ScoreFrames, Stitcher
from train.evaluation.continuous.recording_scores import Float32, RecordingScores
from train.metrics.announcements import TimedUpdate


def final_scores(recorded: RecordingScores, stream: StreamConfig) -> Float32:
    """Stitch the segments into final scores, float32 (n_score_frames, K).

    Raises
    ------
    ValueError
        See `RecordingScores.select`.
    """
    length = recorded.frontend.segment_score_frames
    region = np.zeros(length, np.float32)  # not kept
    stitcher = Stitcher(
        n_labels=len(recorded.labels),
        segment_length=length,
        latency=stream.settle_score_frames(recorded.frontend),
    )
    final = [
        stitcher.push(ScoreFrames(scores, region), segment.start, segment.end)
        for segment, scores in recorded.select(stream)
        if not segment.early
    ]
    return ScoreFrames.joined([*final, stitcher.flush()]).scores


def replay(
    recorded: RecordingScores, stream: StreamConfig, post: PostConfig
) -> tuple[list[Event], list[TimedUpdate]]:
    """Run everything behind the network again, as a stream runs it.

    Parameters
    ----------
    recorded : RecordingScores
        A recording.
    stream : StreamConfig
        Its step must be that of the scores or a multiple.
    post : PostConfig
        How scores become events.

    Returns
    -------
    events : list of Event
        All that close, sorted.
    updates : list of TimedUpdate
        All that a listener is shown, in their order.

    Raises
    ------
    ValueError
        The settings do not fit the scores.
    """
    detector = Detector(_played_back(recorded), stream=stream, post=post)
    updates: list[TimedUpdate] = []
    region = np.zeros(recorded.frontend.segment_score_frames, np.float32)
    last = 0
    for segment, scores in recorded.select(stream):
        for between in range(last + 1, segment.end):  # events close there too
            time = recorded.time_of(between)
            due = detector.consume(
                Progress(round(time * detector.sample_rate), between)
            )
            updates += [TimedUpdate(time, update) for update in due]
        time, last = recorded.time_of(segment.end), segment.end
        taken = detector.consume(segment, SegmentScores(scores, region))
        updates += [TimedUpdate(time, update) for update in taken]
    ended = detector.consume(Progress(recorded.n_samples, last, ended=True))
    updates += [TimedUpdate(recorded.duration, update) for update in ended]
    closed = [each.update.event for each in updates if each.update.state == "closed"]
    return sorted(closed), updates


class _NoEngine:
    """An engine that is never called, since the scores are given."""

    place, threads = "cpu", 1

    def run(self, features: Float32) -> tuple[Float32, Float32]:
        """Refuse."""
        raise ValueError(f"no network runs here, on {features.shape} or anything")


def _played_back(recorded: RecordingScores) -> Model:
    """Make the model that a `Detector` wants, with nothing behind it."""
    latency = recorded.frontend.segment_duration
    stream = StreamConfig(step=latency, latency=latency)
    info = ModelInfo("kept", recorded.labels, recorded.frontend, stream, PostConfig())
    return Model(info, _NoEngine(), Candidate("kept", "fp32"))
