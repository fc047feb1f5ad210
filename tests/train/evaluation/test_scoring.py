"""Events of kept scores are those of the runtime, to the end of a clip of any length."""

import numpy as np
import pytest
from sounds import RATE, silence, tone

from streamsed.config import FrontendConfig, PostConfig
from streamsed.detector import Detector
from streamsed.events import Event
from streamsed.pipeline.extractor import SegmentExtractor, SegmentFeatures
from train.datasets.evaluation_set import EvaluationSet
from train.evaluation.scoring import score_psds, scores_to_events
from train.metrics.psds import psds

GRID = FrontendConfig()
FRAME = GRID.score_frame_length


def scores_of(model, samples):
    """Score a clip as an evaluation does: one segment, with its padding."""
    extractor = SegmentExtractor(GRID, step=128, partial=False)
    (segment,) = (
        each for each in extractor.run([samples]) if isinstance(each, SegmentFeatures)
    )
    return model.score(segment.features).scores


@pytest.mark.parametrize("post", [PostConfig(), PostConfig(0.5, 0.1, 0.0, 0.0)])
@pytest.mark.parametrize(
    "n_samples",
    [1, 3 * FRAME, 40 * FRAME, 40 * FRAME + 1, 40 * FRAME + 430, 441_000],
)
def test_a_clip_has_the_events_that_the_runtime_finds_in_it(model, post, n_samples):
    samples = np.concatenate([silence(1), tone(6000, 0.9), silence(0.3), tone(300, 9)])
    samples = samples[-n_samples:]
    events = scores_to_events(
        scores_of(model, samples), model.info.labels, post, GRID, n_samples=n_samples
    )
    assert events == sorted(Detector(model, post=post).events([samples]))
    assert all(event.offset <= n_samples / RATE for event in events)


def test_events_come_by_their_onsets_not_as_they_end():
    scores = np.zeros((128, 2), np.float32)
    scores[8:14, 0] = scores[5:25, 1] = 0.9
    events = scores_to_events(scores, ("Cat", "Dog"), PostConfig(), GRID)
    assert [event.label for event in events] == ["Dog", "Cat"]


def test_padding_makes_no_event_and_ends_none():
    scores = np.zeros((128, 2), np.float32)
    scores[8:30, 0] = 0.9
    scores[50:60, 1] = 0.9
    n_samples = 10 * FRAME + 10
    (event,) = scores_to_events(
        scores, ("Dog", "Cat"), PostConfig(), GRID, n_samples=n_samples
    )
    assert (event.label, event.onset) == ("Dog", 8 * FRAME / RATE)
    assert event.offset == n_samples / RATE
    whole = scores_to_events(scores, ("Dog", "Cat"), PostConfig(), GRID)
    assert [each.offset for each in whole] == [30 * FRAME / RATE, 60 * FRAME / RATE]


def test_a_frame_that_begins_as_the_clip_ends_counts_as_in_a_stream():
    """It has no sample of its own, but its window holds those before: it may join and last."""
    scores = np.zeros((128, 1), np.float32)
    scores[[6, 7, 10]] = 0.9
    (event,) = scores_to_events(
        scores, ("Dog",), PostConfig(), GRID, n_samples=10 * FRAME
    )
    assert (event.onset, event.offset) == (6 * FRAME / RATE, 10 * FRAME / RATE)


def test_psds_of_soundscapes_is_that_of_their_ten_seconds():
    labels = ("Dog", "Cat")
    reference = [[Event("Dog", 1.0, 2.0, 1.0)], [Event("Cat", 9.5, 10.0, 1.0)]]
    scores = np.random.default_rng(0).random((2, 128, 2), np.float32) / 3
    scores[0, 13:26, 0] = scores[1, 122:, 1] = 0.9
    recordings = EvaluationSet(np.zeros((2, 1024, 128)), reference, labels)
    expected = psds(reference, scores, labels, n_samples=[441_000] * 2, frontend=GRID)
    assert score_psds(scores, recordings, GRID) == expected
    assert expected[0] > 0
