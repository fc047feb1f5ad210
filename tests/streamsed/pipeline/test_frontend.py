import math

import numpy as np
import pytest
import reference
from numpy.testing import assert_array_equal
from sounds import cut, scene, silence, tone

from streamsed.config import FrontendConfig
from streamsed.pipeline.frontend import (
    Frontend,
    normalize,
    relative_levels,
    scale_segment,
)

SMALL = FrontendConfig(n_mels=4, segment_frames=64)  # 8 score frames a segment


def random_frames(n_frames, config=SMALL, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-100, 0, (n_frames, config.n_mels)).astype(np.float32)


def test_frames_do_not_depend_on_the_chunks():
    samples = scene(1.5)
    at_once = Frontend()
    expected = np.concatenate([at_once.push(samples), at_once.flush()])
    frontend = Frontend()
    chunks = cut(samples, [0, 1, 1023, 1, 2048, 0, 431, 30000])
    frames = [*(frontend.push(chunk) for chunk in chunks), frontend.flush()]
    assert_array_equal(np.concatenate(frames), expected)
    assert len(expected) == 1 + len(samples) // 431


def scaled(values):
    """Scale to [0, 1]; what has no range to 0."""
    span = values.max() - values.min()
    return (values - values.min()) / span if span else 0 * values


@pytest.mark.parametrize("gain", [1.0, 1e-4], ids=["loud", "faint"])
def test_by_default_features_are_librosas_log_mel_scaled_by_row_column_and_overall(
    gain,
):
    """Section 2.1 from samples to features, by librosa's own defaults.

    Of the loud sound 80 dB below the maximum is the floor, of the faint one `amin` is.
    """
    import librosa

    samples = scene(2.0)
    samples[30000:60000] = 0
    samples *= np.float32(gain)
    frontend = Frontend()
    frames = np.concatenate([frontend.push(samples), frontend.flush()])
    power = librosa.feature.melspectrogram(
        y=samples.astype(np.float64),
        sr=44100,
        n_fft=2048,
        hop_length=431,
        pad_mode="constant",
    )
    expected = librosa.power_to_db(power).T
    assert expected.min() == pytest.approx(
        -100 if gain < 1 else expected.max() - 80, abs=1e-9
    )
    by_row = np.array([scaled(row) for row in expected])
    by_column = np.array([scaled(column) for column in expected.T]).T
    np.testing.assert_allclose(
        scale_segment(frames, FrontendConfig()),
        by_row * by_column * scaled(expected),
        atol=2e-4,
    )


def test_every_setting_reaches_the_core():
    """None of them is the default, nor what another one would make of it."""
    config = FrontendConfig(
        sample_rate=16000,
        n_fft=1024,
        win_length=800,
        hop_length=300,
        n_mels=20,
        fmin=200.0,
        fmax=7000.0,
        amin=1e-4,
    )
    settings = config.to_dict()
    for name in ("top_db", "segment_frames", "subsampling", "scaling"):
        del settings[name]
    samples = scene(1.0)
    frontend = Frontend(config)
    frames = np.concatenate([frontend.push(samples), frontend.flush()])
    expected = reference.log_mel(samples, **settings)
    assert expected.min() == pytest.approx(-40)  # of amin
    np.testing.assert_allclose(frames, expected, atol=1e-3)


def test_a_frame_leaves_when_the_stated_latency_has_passed_its_centre():
    frontend = Frontend()
    samples = scene(0.5)
    n_frames = 0
    for n_samples, sample in enumerate(samples[:4000], start=1):
        n_frames += len(frontend.push(np.array([sample])))
        centres_heard = [
            i for i in range(20) if i * 431 + frontend.latency <= n_samples
        ]
        assert n_frames == len(centres_heard)


def test_a_tone_is_loudest_in_the_band_of_its_frequency():
    frontend = Frontend()
    low = frontend.push(tone(300, 0.5))[5:-5].mean(0).argmax()
    frontend.reset()
    high = frontend.push(tone(6000, 0.5))[5:-5].mean(0).argmax()
    assert low < 30
    assert high > 70


def test_n_samples_counts_until_reset():
    frontend = Frontend()
    frontend.push(silence(0.1))
    frontend.push(silence(0.2))
    assert frontend.n_samples == 4410 + 8820
    frontend.reset()
    assert frontend.n_samples == 0


def test_a_reset_frontend_equals_a_new_one():
    used = Frontend()
    used.push(scene(0.3, seed=1))
    used.flush()
    used.reset()
    samples = scene(0.3, seed=2)
    assert_array_equal(used.push(samples), Frontend().push(samples))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e7])
def test_samples_that_cannot_be_audio_are_refused(bad):
    samples = silence(0.1)
    samples[1000] = bad
    with pytest.raises(
        ValueError, match=r"samples up to .* must be finite and at most"
    ):
        Frontend().push(samples)


def test_chunks_of_another_type_or_shape_are_refused():
    with pytest.raises(TypeError):
        Frontend().push(np.zeros(1000, dtype=np.float64))
    with pytest.raises(ValueError, match="chunk has 2 dimensions; it must have 1"):
        Frontend().push(np.zeros((1000, 2), dtype=np.float32))


def test_a_flushed_frontend_refuses_more_until_reset():
    frontend = Frontend()
    frontend.push(silence(0.1))
    frontend.flush()
    with pytest.raises(RuntimeError, match="reset"):
        frontend.push(silence(0.1))
    frontend.reset()
    assert len(frontend.push(silence(0.1))) > 0


def test_normalized_features_lie_from_0_to_1_and_reach_both():
    x = normalize(random_frames(64))
    assert x.min() == 0
    assert 0.5 < x.max() <= 1


def test_what_has_no_range_scales_to_0():
    assert_array_equal(normalize(np.full((8, 4), -30, np.float32)), np.zeros((8, 4)))


def test_nothing_below_the_maximum_minus_top_db_counts():
    frames = random_frames(64)
    floored = np.maximum(frames, frames.max() - np.float32(40))
    assert_array_equal(normalize(frames, top_db=40.0), normalize(floored, top_db=40.0))
    assert not np.array_equal(normalize(frames, top_db=40.0), normalize(frames))


@pytest.mark.parametrize("top_db", [0.0, -80.0, float("nan")])
@pytest.mark.parametrize("scaling", ["triple", "relative"])
def test_every_scaling_refuses_a_range_that_is_not_positive(scaling, top_db):
    scale = {"triple": normalize, "relative": relative_levels}[scaling]
    with pytest.raises(ValueError, match=r"top_db=.* must be positive"):
        scale(np.zeros((2, 2), np.float32), top_db=top_db)
