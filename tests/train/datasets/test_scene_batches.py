"""Batches of segments: the device's features are the core's, and targets fit the sound."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from streamsed.config import FrontendConfig
from streamsed.pipeline.frontend import Frontend, relative_levels
from train.config.scenes import SceneConfig
from train.config.train import TrainConfig
from train.datasets import scene_batches
from train.datasets.device_log_mel import DeviceLogMel
from train.datasets.scene_batches import (
    SceneBatches,
    SceneDataset,
    pad,
    recolour,
    relative,
    reverberate,
    scene_frames,
)
from train.mixing.scenes import SceneMixer
from train.mixing.soundbank import Clip, Soundbank

FRONTEND = FrontendConfig()
CPU = torch.device("cpu")


def frames_of(samples):
    frontend = Frontend(FRONTEND)
    return np.concatenate([frontend.push(samples), frontend.flush()])


def config(**scenes):
    return TrainConfig(
        scenes=SceneConfig(duration=12.0, **scenes), scaling="relative", batch_size=4
    )


def beeping_bank():
    time = np.arange(44100) / 44100
    beep = np.sin(2 * np.pi * 3000 * time).astype(np.float32)
    rumble = np.sin(2 * np.pi * 100 * np.arange(3 * 44100) / 44100).astype(np.float32)
    return Soundbank(
        {"Beep": (Clip(beep, ((0, beep.size),)),)},
        {"rumble": (Clip(rumble, ((0, rumble.size),)),)},
        44100,
    )


def batches(**scenes):
    settings = config(fresh=0.0, tonal=0.0, clipped=0.0, **scenes)
    dataset = SceneDataset(SceneMixer(beeping_bank(), settings.scenes), settings)
    return SceneBatches(dataset, CPU, n_workers=0)


def test_segments_do_not_depend_on_the_processes_that_mix_them():
    settings = config(fresh=0.0)  # variants depend on the draws before
    dataset = SceneDataset(SceneMixer(beeping_bank(), settings.scenes), settings)
    alone, shared = (
        iter(SceneBatches(dataset, CPU, n_workers=n_workers)) for n_workers in (0, 2)
    )
    kept = []
    for _ in range(3 * (scene_batches.PREFETCH + 2)):  # each place is used again
        one, other = next(alone), next(shared)
        for name, value in one.items():
            assert_array_equal(other[name], value)
        kept.append((one["x"], other["x"]))
    for one, other in kept:  # nothing is overwritten that was handed out
        assert_array_equal(other, one)


@pytest.mark.parametrize("seed", range(3))
def test_frames_of_the_device_are_those_of_the_core(seed):
    rng = np.random.default_rng(seed)
    samples = (0.1 * rng.standard_normal(50_000)).astype(np.float32)
    samples[10_000:20_000] *= 1e-3
    core = frames_of(samples)
    device = DeviceLogMel(FRONTEND, CPU)(torch.from_numpy(samples)[None])[0].numpy()
    loud = core > core.max() - 70
    assert_allclose(device[loud], core[loud], atol=1e-3)
    assert device.shape == core.shape


def test_the_device_scales_as_the_runtime_does():
    frames = np.random.default_rng(0).uniform(-110, -5, (1024, 128)).astype(np.float32)
    quiet = np.full((1024, 128), -100, np.float32)
    both = torch.from_numpy(np.stack([frames, quiet]))
    ours = relative(both, FRONTEND).numpy()
    assert_allclose(ours[0], relative_levels(frames), atol=1e-6)
    assert_array_equal(ours[1], relative_levels(quiet))


def test_targets_are_where_the_segments_hold_the_sound():
    mel = 100  # of 3 kHz the 128 mel bands have their maximum below this
    found = 0
    loader = iter(batches(silent=1.0, padded=0.0, empty=0.0, level=(20.0, 20.0)))
    for _ in range(3):
        batch = next(loader)
        assert batch["x"].shape == (4, 1, 1024, 128)
        loudest = batch["x"][:, 0, :, 55:mel].amax(2).reshape(4, 128, 8).amax(2)
        for x, y in zip(loudest, batch["y"][..., 0], strict=True):
            inside = y.clone()
            inside[1:] *= y[:-1]
            inside[:-1] *= y[1:]
            outside = torch.nn.functional.max_pool1d(y[None], 7, 1, 3)[0] == 0
            if inside.any() and outside.any():
                found += 1
                assert x[inside == 1].median() > x[outside].median() + 0.1
    assert found >= 3


def test_a_padded_segment_ends_in_silence_without_events():
    settings = config(padded=1.0)
    random = torch.Generator().manual_seed(0)
    segments, y = torch.zeros(4, 1024, 128), torch.ones(4, 128, 2)
    others = torch.ones(4, 128, 3)
    pad(segments, y, others, settings, random)
    for segment, target, other in zip(segments, y, others, strict=True):
        kept = int(target[:, 0].sum())
        assert 4 <= kept < 128
        assert (segment[: kept * 8] == 0).all()
        assert (segment[kept * 8 :] == -100).all()
        assert (other[:, 0] == target[:, 0]).all()


def test_a_room_keeps_the_direct_sound_and_adds_a_tail(monkeypatch):
    monkeypatch.setattr(scene_batches, "ROOM", 1.0)
    samples = torch.zeros(3, 44100)
    samples[:, 1000] = 1.0
    reverberant = reverberate(samples, 44100, torch.Generator().manual_seed(1))
    assert_allclose(reverberant[:, 1000], 1.0, atol=1e-4)
    assert_allclose(reverberant[:, :1000], 0.0, atol=1e-4)
    tail = reverberant[:, 1001:].square()
    assert (tail[:, :4000].sum(1) > tail[:, 20000:24000].sum(1) * 10).all()


def test_another_microphone_filters_every_frame_alike():
    segments = torch.zeros(16, 6, 128)
    recolour(segments, torch.Generator().manual_seed(0))
    assert (segments == segments[:, :1]).all()
    assert 0 < segments[:, 0].abs().amax(1).count_nonzero() <= 16


def test_the_same_seed_gives_the_same_batch():
    first, second = next(iter(batches())), next(iter(batches()))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_scenes_fill_whole_score_frames():
    assert scene_frames(config()) % FRONTEND.subsampling == 0
    example = batches()._loader.dataset[0]
    assert len(example["y"]) * FRONTEND.subsampling == scene_frames(config())
