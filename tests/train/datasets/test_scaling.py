"""Scalings against slow twins, and that a checkpoint gives back the same one."""

import json
import math
import pickle

import numpy as np
import pytest
import reference
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sounds import scene

from streamsed.config import FrontendConfig, StreamConfig
from streamsed.pipeline.frontend import normalize
from train.datasets.clip_features import log_mel
from train.datasets.scaling import (
    SCALINGS,
    Relative,
    Single,
    Standardize,
    Triple,
    fit_scaling,
    scaling_from_dict,
    spread_frames,
)

BASELINE = FrontendConfig(hop_length=511, n_mels=64, segment_frames=864)


def random_frames(seed=0, n_frames=50, n_mels=6):
    rng = np.random.default_rng(seed)
    return rng.uniform(-100, 20, (n_frames, n_mels)).astype(np.float32)


def each_scaling(top_db=80.0):
    clips = [random_frames(seed) for seed in (1, 2)]
    return [fit_scaling(name, clips, top_db=top_db) for name in SCALINGS]


def test_there_are_four_by_name():
    assert [type(scaling) for scaling in each_scaling()] == [
        Triple,
        Single,
        Relative,
        Standardize,
    ]
    assert list(SCALINGS) == ["triple", "single", "relative", "standardize"]


def test_triple_is_the_runtimes():
    frames = random_frames()
    assert_array_equal(Triple(top_db=40.0)(frames), normalize(frames, top_db=40.0))


def test_single_is_one_min_max_scaling_of_everything_above_the_floor():
    frames = random_frames()
    floored = np.maximum(frames.astype(float), frames.max() - 40.0)
    expected = reference.min_max(floored, (0, 1))
    assert_allclose(Single(top_db=40.0)(frames), expected, atol=1e-6)


def test_single_leaves_the_order_of_values_and_reaches_0_and_1():
    frames = random_frames()
    x = Single(top_db=200.0)(frames)
    assert_array_equal(np.argsort(x, axis=None), np.argsort(frames, axis=None))
    assert (x.min(), x.max()) == (0, 1)


def test_standardized_training_clips_have_mean_0_and_deviation_1_in_each_band():
    clips = [random_frames(seed, n_frames) for seed, n_frames in ((0, 30), (1, 70))]
    scaling = Standardize.fit(iter(clips), top_db=60.0)
    x = np.concatenate([scaling(clip) for clip in clips])
    assert_allclose(x.mean(axis=0), 0, atol=1e-5)
    assert_allclose(x.std(axis=0), 1, atol=1e-5)


def test_fitting_is_numpys_mean_and_deviation_over_all_frames():
    clips = [random_frames(seed, n_frames) for seed, n_frames in ((3, 10), (4, 25))]
    floored = [np.maximum(clip, clip.max() - 50.0) for clip in clips]
    frames = np.concatenate(floored).astype(float)
    scaling = Standardize.fit(clips, top_db=50.0)
    assert_allclose(scaling.mean, frames.mean(axis=0), rtol=1e-6)
    assert_allclose(scaling.deviation, frames.std(axis=0), rtol=1e-6)


@pytest.mark.parametrize("value", [-100.0, -33.3, 0.1])
def test_what_never_changes_scales_to_0(value):
    frames = np.full((20, 3), value, np.float32)
    for name in SCALINGS:
        assert_array_equal(fit_scaling(name, [frames], top_db=80.0)(frames), 0 * frames)


@pytest.mark.parametrize("value", [-33.3, -61.7, 17.1])
def test_rounding_leaves_no_deviation_in_a_constant_band(value):
    clips = [np.full((n_frames, 2), value, np.float32) for n_frames in (997, 331, 7)]
    assert Standardize.fit(clips, top_db=80.0).deviation == (0.0, 0.0)


def test_all_give_finite_float32_of_the_same_shape_and_leave_the_frames_alone():
    frames = random_frames()
    kept = frames.copy()
    for scaling in each_scaling():
        for n_frames in (0, 1, 50):
            x = scaling(frames[:n_frames])
            assert x.dtype == np.float32
            assert x.shape == (n_frames, 6)
            assert np.isfinite(x).all()
            assert x.flags.c_contiguous
    assert_array_equal(frames, kept)


def test_nothing_below_the_floor_counts():
    frames = random_frames()
    deeper = np.where(frames < frames.max() - 40, np.float32(-1000), frames)
    for scaling in each_scaling(top_db=40.0):
        assert_array_equal(scaling(frames), scaling(deeper))


def test_the_order_of_frames_does_not_matter():
    frames = random_frames()
    order = np.random.default_rng(0).permutation(len(frames))
    for scaling in each_scaling():
        assert_array_equal(scaling(frames[order]), scaling(frames)[order])


def test_a_checkpoint_gives_back_the_same_scaling(tmp_path):
    for scaling in each_scaling(top_db=70.0):
        settings = scaling.to_dict()
        torch.save(settings, tmp_path / "scaling.pt")
        loaded = torch.load(tmp_path / "scaling.pt", weights_only=True)
        for kept in (settings, loaded, json.loads(json.dumps(settings))):
            assert scaling_from_dict(kept) == scaling
        assert pickle.loads(pickle.dumps(scaling)) == scaling  # for loading workers


def test_scalings_that_fit_nothing_ask_for_no_clips():
    def clips():
        raise AssertionError("a clip was drawn")
        yield

    assert fit_scaling("single", clips(), top_db=80.0) == Single()
    assert fit_scaling("triple", clips(), top_db=80.0) == Triple()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: fit_scaling("double", [], top_db=80.0),
            "scaling=double must be one of",
        ),
        (
            lambda: fit_scaling("standardize", [], top_db=80.0),
            "n_frames=0 of the clips",
        ),
        (lambda: Single(top_db=0.0), "top_db=0.0 must"),
        (lambda: Standardize((0.0, 1.0), (1.0,)), "of 2 and 1 bands must"),
        (lambda: Standardize((math.nan,), (1.0,)), "mean=nan of a band must"),
        (lambda: Standardize((0.0,), (-1.0,)), "deviation=-1.0 of a band must"),
        (lambda: Standardize((0.0,), (1.0,))(random_frames()), "n_mels=6 must be 1"),
    ],
)
def test_what_is_wrong_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


class Names:
    """Features whose decibels are the names of their clips."""

    def read(self, name):
        return name


@pytest.mark.parametrize(
    ("sizes", "counts"),
    [
        ((40, 9, 0), (40, 9, 0)),
        ((2045, 1578, 3000), (341, 263, 500)),
        ((999, 1000, 0), (999, 1000, 0)),
    ],
)
def test_a_scaling_is_fitted_to_a_thousand_clips_of_all_sets_or_to_all(sizes, counts):
    sets = [
        (Names(), [f"{which}{i}" for i in range(n)])
        for which, n in zip("swu", sizes, strict=True)
    ]
    names = list(spread_frames(sets))
    assert len(set(names)) == len(names)
    assert tuple(sum(n[0] == which for n in names) for which in "swu") == counts


def test_the_front_end_gives_the_baselines_864_frames_of_64_bands():
    samples = scene(10.0)
    assert len(samples) == 441000
    frames = log_mel(samples, BASELINE)
    assert frames.shape == (864, 64)
    assert np.count_nonzero(frames[-1] > -100)  # the last frame is sound, not padding
    assert BASELINE.segment_score_frames == 108
    # What was made for the report's grid holds on this one: steps and latency fit.
    assert StreamConfig().in_score_frames(BASELINE) == (54, 108)


def test_the_front_end_computes_the_baselines_bands_as_its_slow_twin_does():
    samples = scene(1.0)
    settings = BASELINE.to_dict()
    for name in ("top_db", "segment_frames", "subsampling", "scaling"):
        del settings[name]
    expected = reference.log_mel(samples, **settings)
    frames = log_mel(samples, BASELINE)[: len(expected)]
    loud = expected > expected.max() - 70
    assert_allclose(frames[loud], expected[loud], atol=1e-3)
    assert (
        reference.mel_weights(
            sample_rate=44100, n_fft=2048, n_mels=64, fmin=0.0, fmax=22050.0
        ).sum(axis=1)
        > 0
    ).all()
