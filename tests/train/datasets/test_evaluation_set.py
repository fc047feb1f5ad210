"""Recordings to measure on: their truth on the grid, their batches, equal seeds."""

import numpy as np
import pytest
import torch

from streamsed.config import FrontendConfig
from streamsed.events import Event
from streamsed.pipeline.frontend import normalize
from train.config.mixing import EVALUATION_MIXING
from train.datasets.clip_features import log_mel
from train.datasets.evaluation_set import (
    EvaluationSet,
    draw_evaluation_set,
    gather,
    rebuild_evaluation_set,
)
from train.datasets.scaling import Single
from train.mixing.mixer import Mixer, Soundscape
from train.mixing.soundbank import Soundbank
from train.mixing.toy_bank import write_bank

CONFIG = FrontendConfig()
FRAME = CONFIG.score_frame_duration


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    folder = write_bank(tmp_path_factory.mktemp("bank"), n_recordings=5)
    return Soundbank.load(folder, split="heldout")


def test_targets_mark_the_score_frames_of_events():
    b, a = Event("b", 2 * FRAME, 5 * FRAME, 1.0), Event("a", 4 * FRAME, 6 * FRAME, 1.0)
    recordings = EvaluationSet(
        np.zeros((2, 1024, 128), np.float32), [[b, a], []], ("a", "b")
    )
    targets = recordings.targets(CONFIG)
    assert targets.shape == (2, 128, 2)
    assert np.argwhere(targets[..., 1]).tolist() == [[0, 2], [0, 3], [0, 4]]
    assert np.argwhere(targets[..., 0]).tolist() == [[0, 4], [0, 5]]


def test_an_event_that_begins_past_the_segment_has_no_target():
    events = [[Event("a", 127.9 * FRAME, 130 * FRAME, 1.0)], [Event("a", 15, 16, 1.0)]]
    recordings = EvaluationSet(np.zeros((2, 1024, 128), np.float32), events, ("a",))
    assert np.argwhere(recordings.targets(CONFIG)).tolist() == [[0, 127, 0]]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 8])
def test_batches_are_all_recordings_in_their_order(batch_size):
    segments = np.random.default_rng(0).random((5, 1024, 128), np.float32)
    events = [[Event("a", float(i), i + 1.0, 1.0)] for i in range(5)]
    recordings = EvaluationSet(segments, events, ("a",))
    batches = list(recordings.batches(CONFIG, batch_size))
    assert [len(each["x"]) for each in batches[:-1]] == [batch_size] * (
        len(batches) - 1
    )
    x = torch.cat([each["x"] for each in batches])
    assert torch.equal(x, torch.from_numpy(segments)[:, None])
    y = torch.cat([each["y"] for each in batches])
    assert np.array_equal(y.numpy(), recordings.targets(CONFIG))
    assert torch.cat([each["strong"] for each in batches]).tolist() == [True] * 5


def test_soundscapes_go_through_the_scaling_that_is_asked_for():
    samples = np.random.default_rng(0).standard_normal(441000).astype(np.float32)
    frames = log_mel(samples, CONFIG)
    soundscapes = [Soundscape(samples, [])]
    plain = gather(soundscapes, ("a",), CONFIG).segments[0]
    np.testing.assert_array_equal(plain, normalize(frames, top_db=CONFIG.top_db))
    single = gather(soundscapes, ("a",), CONFIG, Single()).segments[0]
    np.testing.assert_array_equal(single, Single()(frames))


def test_equal_seeds_draw_equal_recordings(bank):
    mixer = Mixer(bank, EVALUATION_MIXING)
    first = draw_evaluation_set(mixer, CONFIG, n_soundscapes=3, seed=5)
    more = draw_evaluation_set(
        Mixer(bank, EVALUATION_MIXING), CONFIG, n_soundscapes=2, seed=5
    )
    np.testing.assert_array_equal(first.segments[:2], more.segments)
    assert first.reference[:2] == more.reference
    other = draw_evaluation_set(mixer, CONFIG, n_soundscapes=2, seed=6)
    assert other.reference != more.reference


def test_a_list_is_rebuilt_clip_by_clip(bank):
    layouts = [[Event("Beeping", 1.0, 2.0, 1.0)], [], [Event("Humming", 0.0, 3.0, 1.0)]]
    recordings = rebuild_evaluation_set(
        Mixer(bank, EVALUATION_MIXING), layouts, CONFIG, seed=0
    )
    assert recordings.reference == layouts
    assert recordings.segments.shape == (3, 1024, 128)
    assert recordings.labels == bank.labels


def test_recordings_are_scored_by_the_labels_of_the_network(bank):
    mixer = Mixer(bank, EVALUATION_MIXING)
    labels = ("Aeroplane", *bank.labels)
    drawn = draw_evaluation_set(mixer, CONFIG, n_soundscapes=1, seed=0, labels=labels)
    assert drawn.labels == labels
    assert drawn.targets(CONFIG).shape == (1, 128, len(labels))
    with pytest.raises(
        ValueError, match="its label 'Beeping' is not one that the netw"
    ):
        draw_evaluation_set(mixer, CONFIG, n_soundscapes=1, seed=0, labels=("Cat",))


def test_a_bank_of_another_rate_than_the_network_is_refused(bank):
    other = FrontendConfig(sample_rate=22050, fmax=11025.0)
    with pytest.raises(
        ValueError, match="sample_rate=22050 must be that of the bank, 44"
    ):
        draw_evaluation_set(Mixer(bank), other, n_soundscapes=1, seed=0)


def test_nothing_to_measure_on_is_refused(bank):
    with pytest.raises(ValueError, match="n_soundscapes=0 must be at least 1"):
        rebuild_evaluation_set(Mixer(bank, EVALUATION_MIXING), [], CONFIG, seed=0)
