"""What becomes of provisional events: by hand, without a network."""

import numpy as np
import pytest

from streamsed.config import FrontendConfig, PostConfig, StreamConfig
from streamsed.pipeline.extractor import Progress, SegmentFeatures
from streamsed.pipeline.post_processor import PostProcessor
from streamsed.pipeline.stitcher import ScoreFrames
from streamsed.pipeline.trace import Trace

GRID = FrontendConfig()
FRAME = GRID.score_frame_duration


def make(**stream):
    return PostProcessor(
        ("Dog",), GRID, stream=StreamConfig(**stream), post=PostConfig()
    )


def score(processor, end, *sounds, start=0, early=False):
    """Push a segment in which these frames score 0.9; return all updates."""
    view = ScoreFrames(np.zeros((128, 1), np.float32), np.zeros(128, np.float32))
    for first, last in sounds:
        view.scores[first - start : last - start] = 0.9
    features = np.zeros((1024, 128), np.float32)
    segment = SegmentFeatures(features, start, end, early)
    return processor.push(view, segment) + processor.revise(end)


def states(updates):
    return [(update.state, update.id) for update in updates]


def end_of(processor, n_frames):
    n_samples = n_frames * GRID.score_frame_length
    return processor.advance(Progress(n_samples, n_frames, ended=True))


def test_what_is_still_open_when_the_recording_ends_is_withdrawn():
    processor = make(step=1.0, latency=10.0)
    assert states(score(processor, 64, (55, 60))) == [("opened", 1)]
    assert score(processor, 100) == []  # the new view outweighs: it is gone, but new
    assert states(end_of(processor, 100)) == [("withdrawn", 1)]


def test_the_first_whole_segment_replaces_what_early_ones_said():
    processor = make(step=1.0, latency=1.0, settle=10.0)
    assert states(score(processor, 64, (20, 50), early=True)) == [
        ("opened", 1),
        ("ended", 1),
    ]
    assert states(score(processor, 128)) == [("withdrawn", 1)]
    assert not processor.pending().scores.any()


@pytest.mark.parametrize("early", [True, False])
def test_a_reset_processor_knows_of_nothing(early):
    processor = make(step=1.0, latency=1.0, settle=10.0)
    assert states(score(processor, 64, (20, 60), early=early)) == [("opened", 1)]
    processor.reset()
    assert len(processor.pending()) == 0
    assert score(processor, 64, early=early) == []
    assert states(score(processor, 80, (70, 80), early=early)) == [("opened", 1)]


def test_an_end_is_reported_by_the_latency_and_closed_by_the_settling():
    processor = make(step=1.0, latency=1.0, settle=5.0)  # 13 and 64 score frames
    assert processor.latency == 64 + 3
    assert states(score(processor, 30, (10, 20))) == [("opened", 1)]
    assert score(processor, 32, (10, 20)) == []  # 12 frames after the end
    assert states(score(processor, 33, (10, 20))) == [("ended", 1)]
    for now in range(33, 22 + 64):
        assert processor.advance(Progress(0, now)) == []
    (closed,) = processor.advance(Progress(0, 22 + 64))  # frame 22, the gap's third
    assert (closed.state, closed.event.offset) == ("closed", pytest.approx(20 * FRAME))


def test_an_observer_receives_every_frame_once_when_it_is_final():
    processor = make(step=1.0, latency=5.0)
    processor.observer = trace = Trace()
    score(processor, 100, (10, 20))
    assert len(trace.scores) == processor.n_final == 100 - 64 + 1
    end_of(processor, 100)
    assert np.flatnonzero(trace.scores[:, 0]).tolist() == list(range(10, 20))
    assert len(trace.scores) == 100
