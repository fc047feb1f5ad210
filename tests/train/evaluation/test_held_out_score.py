"""By what the baseline chooses its checkpoint: F1 of events and tags it did not learn."""

import dataclasses

import numpy as np
import pytest
import torch
from bars import CONFIG, LABELS, make_trainer
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from streamsed.config import FrontendConfig
from streamsed.events import Event
from train.config.preset import load_preset
from train.config.train import TrainConfig
from train.datasets.evaluation_set import EvaluationSet
from train.datasets.held_out import HeldOut, split_names
from train.evaluation.held_out_score import HeldOutScore, score_held_out, tagging_f1
from train.fit import validation
from train.fit.checkpoint import load_best, load_trained
from train.fit.mean_teacher import MeanTeacher
from train.networks.crnn import ClipOutputs

GRID = load_preset("baseline_crnn").frontend
TAGS = arrays(np.bool_, st.tuples(st.integers(1, 6), st.just(3)))


@given(TAGS, st.randoms(use_true_random=False))
def test_tagging_f1_is_the_mean_over_labels_of_precision_and_recall(truth, random):
    found = np.array([[random.random() < 0.5 for _ in row] for row in truth])
    per_label = []
    for label in range(3):
        true = {clip for clip, row in enumerate(truth) if row[label]}
        claimed = {clip for clip, row in enumerate(found) if row[label]}
        precision = len(true & claimed) / len(claimed) if claimed else 0
        recall = len(true & claimed) / len(true) if true else 0
        both = precision + recall
        per_label.append(2 * precision * recall / both if both else 0)
    assert tagging_f1(truth, found) == pytest.approx(sum(per_label) / 3)


class Fixed(torch.nn.Module):
    """Gives its scores to strong clips and its clip scores to weak ones, one by one."""

    def __init__(self, scores, clips):
        super().__init__()
        self.linear = torch.nn.Linear(1, scores.shape[-1])
        self.scores, self.clips = torch.tensor(scores), torch.tensor(clips)

    def forward(self, x):
        which = x[:, 0, 0, 0].long()  # a segment says which clip it is
        return ClipOutputs(
            self.scores[which % len(self.scores)], self.clips[which % len(self.clips)]
        )


def numbered(n):
    segments = np.zeros((n, GRID.segment_frames, 1), np.float32)
    segments[:] = np.arange(n)[:, None, None]
    return segments


def test_events_pass_the_median_filter_and_tags_a_threshold_of_one_half():
    duration = GRID.score_frame_duration
    scores = np.zeros((1, 108, 2), np.float32)
    scores[0, 10:30, 0] = 0.5
    scores[0, 20, 0] = 0.1  # mended by the filter
    scores[0, 60, 1] = 0.9  # removed by it
    event = Event("a", 10 * duration, 30 * duration, 1.0)
    strong = EvaluationSet(numbered(1), [[event]], ("a", "b"))
    clips = np.array([[0.5, 0.1], [0.4, 0.9]], np.float32)
    weak_tags = np.array([[True, False], [True, True]])
    held_out = HeldOut(strong, numbered(2), weak_tags)
    found = score_held_out(Fixed(scores, clips), held_out, GRID)
    assert found.events == 1.0
    assert found.tags == pytest.approx((2 / 3 + 1) / 2)
    assert found.total == found.events + found.tags


def test_without_weak_clips_events_alone_count():
    scores = np.zeros((1, 108, 1), np.float32)
    strong = EvaluationSet(numbered(1), [[]], ("a",))
    held_out = HeldOut(strong, numbered(0), np.zeros((0, 1), bool))
    assert score_held_out(Fixed(scores, scores[0]), held_out, GRID) == HeldOutScore(
        0, 0
    )


@given(st.integers(2, 60), st.floats(0.01, 0.99), st.integers(0, 9))
def test_held_out_clips_and_the_others_are_all_clips_once_in_their_order(
    n, share, seed
):
    names = [f"{i:02d}.wav" for i in range(n)]
    trained_on, held = split_names(names, share, seed=[seed])
    assert trained_on == sorted(trained_on)
    assert held == sorted(held)
    assert sorted(trained_on + held) == names
    assert trained_on
    assert held
    assert abs(len(held) - share * n) <= 1
    assert split_names(names, share, seed=[seed]) == (trained_on, held)


def test_of_desed_the_baseline_keeps_as_many_clips_as_published():
    parts = (
        split_names([str(i) for i in range(n)], 0.2, seed=[0]) for n in (1578, 2045)
    )
    assert [tuple(map(len, each)) for each in parts] == [(1262, 316), (1636, 409)]


def test_other_seeds_hold_other_clips_out_and_no_share_none():
    names = [str(i) for i in range(40)]
    parts = [split_names(names, 0.2, seed=[seed])[1] for seed in range(3)]
    assert len(set(map(tuple, parts))) == 3
    assert split_names(names, 0.0, seed=[0]) == (names, [])
    with pytest.raises(
        ValueError, match=r"held_out=0\.2 must leave a clip to train on"
    ):
        split_names(["a"], 0.2, seed=[0])


def test_the_baseline_keeps_what_scores_best_on_held_out_clips_not_the_lowest_loss(
    tmp_path, monkeypatch
):
    trainer = make_trainer(tmp_path)
    segments = np.zeros((1, 1024, 128), np.float32)
    recordings = EvaluationSet(segments, [[Event("low", 1.0, 2.0, 1.0)]], LABELS)
    measured = [(0.1, 0.2, 0.1), (0.5, 0.3, 0.4), (0.9, 0.6, 0.0), (0.4, 0.0, 0.0)]
    for trainer.clock.step, (loss, events, tags) in enumerate(measured):
        losses = {"total": torch.tensor(loss)}
        monkeypatch.setattr(
            trainer, "_validation_losses", lambda _, losses=losses: losses
        )
        found = HeldOutScore(events, tags)
        monkeypatch.setattr(validation, "score_held_out", lambda *_, found=found: found)
        trainer.validate(recordings, held_out=object())
    assert [each.step for each in load_best(tmp_path)] == [1, 2, 0, 3]
    rows = (tmp_path / "validation.csv").read_text().splitlines()
    assert rows[0].endswith("low,high,held_out_events,held_out_tags")
    assert rows[2].endswith(",0.3,0.4")


BASELINE = dataclasses.replace(
    CONFIG,
    system="crnn",
    frontend=FrontendConfig(n_mels=64, segment_frames=64),
    augment=False,
    evaluate_average=False,
    steps=1,
)


def test_the_baselines_student_is_measured_and_kept_not_its_teacher(tmp_path):
    assert load_preset("baseline_crnn").evaluate_average is False
    trainer = make_trainer(tmp_path, BASELINE, MeanTeacher())
    with torch.no_grad():
        for weight in trainer.learner.average.parameters():
            weight.fill_(0.5)  # the teacher would give itself away
    segments = np.random.default_rng(0).random((2, 64, 64), np.float32)
    recordings = EvaluationSet(segments, [[Event("low", 0.1, 0.2, 1.0)], []], LABELS)
    trainer.validate(recordings, HeldOut(recordings, segments, np.ones((2, 2), bool)))
    kept = load_trained(tmp_path).network.state_dict()
    student = trainer.learner.network.state_dict()
    assert all(torch.equal(kept[name], student[name]) for name in student)
    assert not torch.equal(kept["linear.weight"], trainer.learner.average.linear.weight)


def test_a_held_out_share_is_for_the_baseline_alone():
    assert load_preset("baseline_crnn").held_out == 0.2
    with pytest.raises(ValueError, match=r"held_out=0\.2 must be 0 for system=resnet"):
        TrainConfig(held_out=0.2)
    with pytest.raises(ValueError, match=r"held_out=1\.0 must be from 0 to below 1"):
        TrainConfig(system="crnn", held_out=1.0)
    with pytest.raises(ValueError, match="target_rounding=up must be one of nearest, "):
        TrainConfig(target_rounding="up")
