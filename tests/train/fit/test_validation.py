"""What is measured of a network in training: by this its ensemble is weighted."""

import numpy as np
import pytest
import torch

from streamsed.config import FrontendConfig
from streamsed.events import Event
from train.config.preset import load_preset
from train.datasets.evaluation_set import EvaluationSet
from train.evaluation.scoring import network_scores
from train.fit.clock import Clock
from train.fit.machine.distributed import Parallel
from train.fit.validation import Validation
from train.networks.resnet import Outputs

GRID = FrontendConfig()


class Fixed(torch.nn.Module):
    """Gives one table of scores for every segment, and a region as if there was nothing."""

    def __init__(self, scores):
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(()))
        self.scores = torch.from_numpy(scores)

    def forward(self, x):
        shape = len(x), *self.scores.shape
        return Outputs(self.scores.expand(shape), torch.zeros(shape[:2]))


def test_f1_on_validation_is_that_of_events_after_connect_and_cut():
    frame = GRID.score_frame_duration
    scores = np.zeros((128, 2), np.float32)
    scores[10:40, 0] = 0.9
    scores[20:22, 0] = 0.0  # a gap of two frames
    scores[60:62, 1] = 0.9  # and an event of as many
    reference = [[Event("a", 10 * frame, 40 * frame, 1.0)]]
    data = EvaluationSet(np.zeros((1, 1024, 1), np.float32), reference, ("a", "b"))
    found = Validation.of(Fixed(scores), data, None, GRID, loss=0.25)
    assert found.f1.per_label == {"a": 1.0, "b": 0.0}
    assert found.f1.micro == 1.0  # the short event is no false alarm
    assert found.rank == found.loss == 0.25
    assert found.to_checkpoint()["f1_per_label"] == found.f1.per_label


def test_events_are_made_of_the_scores_alone():
    """Clip scores, regions and the self-mask are for training (figure 1)."""
    scores = np.random.default_rng(0).random((128, 2), np.float32)
    (table,) = network_scores(Fixed(scores), np.zeros((1, 1024, 1), np.float32))
    np.testing.assert_array_equal(table, scores)


@pytest.mark.parametrize(
    ("preset", "distance"),
    [("nec_alpha_0.1", 1000), ("nec_alpha_0.01", 1000), ("baseline_crnn", 210)],
)
def test_the_rows_of_table_1_are_validated_at_equal_distances(preset, distance):
    """The baseline after each epoch, however its part of the run is rounded."""
    config = load_preset(preset)
    clock = Clock(config, Parallel("cpu"))
    validated, measured = 0.0, []
    for clock.step in range(1, config.steps + 1):
        if clock.is_due(validated):
            validated = clock.progress
            measured.append(clock.step)
    assert measured == list(range(distance, config.steps + 1, distance))
