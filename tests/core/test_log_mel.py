"""The core's LogMel: exact whatever the chunks, and librosa's spectrogram."""

import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sounds import cut, scene, silence, tone

from streamsed import _core

SETTINGS = {
    "sample_rate": 44100,
    "n_fft": 2048,
    "win_length": 2048,
    "hop_length": 431,
    "n_mels": 128,
    "fmin": 0.0,
    "fmax": 22050.0,
    "amin": 1e-10,
}
# Each is there for a reason: another grid, a padded window, bands without a bin, every
# way through the FFT (which works in blocks that depend on n_fft), hops up to n_fft.
OTHER_SETTINGS = [
    {"hop_length": 511, "n_mels": 64},
    {"win_length": 1764, "hop_length": 882},
    {"win_length": 1763, "fmin": 50.0, "fmax": 16000.0},
    {"win_length": 1, "hop_length": 2048},
    {"n_mels": 1, "hop_length": 2048},
    {"n_mels": 13, "fmin": 3000.0, "fmax": 3100.0},
    {"n_fft": 64, "win_length": 64, "hop_length": 64, "n_mels": 10},
    {"n_fft": 64, "win_length": 64, "hop_length": 64, "n_mels": 1000},
    {"n_fft": 128, "win_length": 100, "hop_length": 77, "n_mels": 33},
    {"n_fft": 256, "win_length": 256, "hop_length": 128, "n_mels": 20},
    {"n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 40},
    {"n_fft": 1024, "win_length": 1024, "hop_length": 320, "n_mels": 64},
    {"n_fft": 4096, "win_length": 4096, "hop_length": 1024},
    {"n_fft": 8192, "win_length": 8192, "hop_length": 8192},
    {"n_fft": 65536, "win_length": 65536, "hop_length": 9999, "n_mels": 300},
    {"sample_rate": 16000, "fmax": 8000.0, "n_fft": 512, "win_length": 400},
]
targets = pytest.mark.parametrize("simd", _core.simd_targets())


def make(**changes):
    return _core.LogMel(**(SETTINGS | changes))


def frames_of(log_mel, chunks):
    return np.concatenate([*map(log_mel.push, chunks), log_mel.flush()])


def noise(n_samples, level=0.1, seed=0):
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal(n_samples)).astype(np.float32)


def impulses():
    samples = silence(1)
    samples[[0, 10000, 30001, 44099]] = [1, -1, 0.5, 1]
    return samples


def speech_like():
    """A gliding voice of many harmonics, in syllables, over a quiet room."""
    time = np.arange(2 * 44100) / 44100
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * time)) / 44100
    voice = sum(np.sin(k * phase) / k for k in range(1, 60))
    syllables = np.maximum(0, np.sin(2 * np.pi * 3 * time))
    return (0.1 * voice * syllables).astype(np.float32) + noise(len(time), 1e-4)


SOUNDS = {
    "noise": noise(50000),
    "loud noise": noise(50000, 1000),
    "tone": tone(440, 1),
    "faint tone": tone(3000, 1, level=1e-4),
    "tones": sum(tone(f, 1, level=0.1) for f in (50, 997, 5000, 12345)),
    "speech": speech_like(),
    "impulses": impulses(),
    "silence": silence(1),
    "bursts": scene(2),
    "shorter than a window": noise(300),
    "one sample": noise(1),
}


def largest_difference(frames, expected):
    """In dB, where the expected value is within 70 dB of the maximum."""
    assert frames.shape == expected.shape
    audible = expected > expected.max() - 70
    return np.abs(frames - expected)[audible].max()


@targets
@given(
    sizes=st.lists(
        st.one_of(st.sampled_from([0, 1, 431, 2047, 2048, 2049]), st.integers(0, 9000)),
        max_size=20,
    )
)
def test_chunking_does_not_change_frames(simd, sizes):
    samples = noise(20000)
    whole = frames_of(make(simd=simd), [samples])
    assert_array_equal(frames_of(make(simd=simd), cut(samples, sizes)), whole)


@given(
    n_fft=st.sampled_from([64, 128, 256, 512]),
    hop=st.floats(0, 1),
    n_samples=st.integers(0, 3000),
    sizes=st.lists(st.integers(0, 700), max_size=20),
)
def test_chunking_does_not_change_frames_of_any_grid(n_fft, hop, n_samples, sizes):
    hop_length = 1 + round(hop * (n_fft - 1))
    settings = {"n_fft": n_fft, "win_length": n_fft, "hop_length": hop_length}
    samples = noise(n_samples)
    whole = frames_of(make(n_mels=8, **settings), [samples])
    assert_array_equal(
        frames_of(make(n_mels=8, **settings), cut(samples, sizes)), whole
    )
    assert len(whole) == (1 + n_samples // hop_length if n_samples else 0)


def test_single_samples_give_the_frames_of_the_whole():
    samples = scene(0.2)
    whole = frames_of(make(), [samples])
    assert_array_equal(frames_of(make(), np.split(samples, len(samples))), whole)


@targets
@pytest.mark.parametrize("sound", SOUNDS)
def test_agrees_with_the_slow_twin(simd, sound):
    samples = SOUNDS[sound]
    expected = reference.log_mel(samples, **SETTINGS)
    frames = frames_of(make(simd=simd), [samples])
    assert largest_difference(frames, expected) <= 1e-3


@targets
@pytest.mark.parametrize("changes", OTHER_SETTINGS, ids=str)
def test_agrees_with_the_slow_twin_in_other_settings(simd, changes):
    samples = noise(30000)
    expected = reference.log_mel(samples, **(SETTINGS | changes))
    frames = frames_of(make(simd=simd, **changes), [samples])
    assert largest_difference(frames, expected) <= 1e-3


def librosa_log_mel(samples, *, amin, **settings):
    """librosa's own words, with a power spectrum in float64."""
    import librosa

    spectrum = librosa.stft(
        samples.astype(np.float64),
        n_fft=settings["n_fft"],
        hop_length=settings["hop_length"],
        win_length=settings["win_length"],
        pad_mode="constant",
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Empty filters", UserWarning)
        weights = librosa.filters.mel(
            sr=settings["sample_rate"],
            n_fft=settings["n_fft"],
            n_mels=settings["n_mels"],
            fmin=settings["fmin"],
            fmax=settings["fmax"],
            dtype=np.float64,
        )
    power = weights @ np.abs(spectrum) ** 2
    return librosa.power_to_db(power, amin=amin, top_db=None).T


@pytest.mark.filterwarnings("ignore:n_fft=2048 is too large:UserWarning")
@pytest.mark.parametrize("sound", SOUNDS)
def test_agrees_with_librosa(sound):
    samples = SOUNDS[sound]
    expected = librosa_log_mel(samples, **SETTINGS)
    assert largest_difference(frames_of(make(), [samples]), expected) <= 1e-3


@pytest.mark.filterwarnings("ignore:n_fft=65536 is too large:UserWarning")
@pytest.mark.parametrize("changes", OTHER_SETTINGS, ids=str)
def test_agrees_with_librosa_in_other_settings(changes):
    samples = noise(30000)
    expected = librosa_log_mel(samples, **(SETTINGS | changes))
    frames = frames_of(make(**changes), [samples])
    assert largest_difference(frames, expected) <= 1e-3


def test_agrees_with_librosas_melspectrogram():
    import librosa

    samples = speech_like()
    power = librosa.feature.melspectrogram(
        y=samples, sr=44100, n_fft=2048, hop_length=431, pad_mode="constant"
    )
    expected = librosa.power_to_db(power, top_db=None).T
    assert largest_difference(frames_of(make(), [samples]), expected) <= 1e-3


@pytest.mark.parametrize("changes", [{}, *OTHER_SETTINGS], ids=str)
def test_simd_targets_agree(changes):
    # Not bit for bit: more lanes add up the same products in another order.
    frames = [
        frames_of(make(simd=simd, **changes), [noise(30000)])
        for simd in _core.simd_targets()
    ]
    for other in frames[1:]:
        assert largest_difference(other, frames[0]) <= 2e-4


def test_auto_is_the_fastest_target():
    assert make(simd="auto").simd == make().simd == _core.simd_targets()[-1]
    assert _core.simd_targets()[0] == make(simd="baseline").simd == "baseline"


@pytest.mark.parametrize("frequency", [60, 440, 1000, 4000, 15000])
def test_a_tone_lands_in_its_band(frequency):
    frames = frames_of(make(), [tone(frequency, 0.5)])
    centres = reference.mel_to_hz(np.linspace(0, reference.hz_to_mel(22050), 130)[1:-1])
    nearest = np.abs(reference.hz_to_mel(centres) - reference.hz_to_mel(frequency))
    loudest = frames[5:-5].mean(0).argmax()
    assert abs(int(loudest) - int(nearest.argmin())) <= 1


@pytest.mark.parametrize("sample", [0, 1, 430, 431, 10000, 44099])
def test_an_impulse_lands_in_its_frame(sample):
    samples = silence(1)
    samples[sample] = 1
    loudness = frames_of(make(), [samples]).sum(1)
    assert loudness.argmax() == round(sample / 431)


def test_ten_seconds_give_1024_frames():
    assert frames_of(make(), [silence(10)]).shape == (1024, 128)


def test_silence_is_amin_everywhere():
    assert_array_equal(frames_of(make(amin=1e-10), [silence(0.5)]), np.float32(-100))


def test_a_band_between_two_bins_is_amin():
    narrow = make(n_mels=64, fmin=3000.0, fmax=3100.0)
    frames = frames_of(narrow, [noise(10000)])
    empty = frames.max(0) == -100
    assert 0 < empty.sum() < 64


def test_twice_the_amplitude_is_six_decibels():
    samples = noise(20000)
    louder = frames_of(make(), [2 * samples]) - frames_of(make(), [samples])
    np.testing.assert_allclose(louder, 20 * np.log10(2), atol=1e-4)


@pytest.mark.parametrize("n_fft", [64, 2048, 4096])
def test_latency_is_what_it_says(n_fft):
    log_mel = make(n_fft=n_fft, win_length=n_fft, hop_length=n_fft // 4, n_mels=4)
    assert log_mel.latency == n_fft // 2
    for frame in range(5):
        due = frame * (n_fft // 4) + log_mel.latency
        assert len(log_mel.push(noise(due - 1 - log_mel.n_samples))) == 0
        assert len(log_mel.push(noise(1))) == 1


def test_samples_and_frames_are_counted():
    log_mel = make()
    assert (log_mel.n_samples, log_mel.n_frames, log_mel.n_mels) == (0, 0, 128)
    log_mel.push(noise(5000))
    assert (log_mel.n_samples, log_mel.n_frames) == (5000, 1 + (5000 - 1024) // 431)
    log_mel.flush()
    assert (log_mel.n_samples, log_mel.n_frames) == (5000, 1 + 5000 // 431)


def test_nothing_pushed_gives_no_frame():
    log_mel = make()
    assert log_mel.push(noise(0)).shape == (0, 128)
    assert log_mel.flush().shape == (0, 128)


def test_reset_equals_new():
    log_mel = make()
    log_mel.push(noise(7777, seed=1))
    log_mel.flush()
    log_mel.reset()
    assert (log_mel.n_samples, log_mel.n_frames) == (0, 0)
    samples = noise(5000)
    assert_array_equal(frames_of(log_mel, [samples]), frames_of(make(), [samples]))


@pytest.mark.parametrize("n_samples", [0, 1, 5000])
def test_push_after_flush_is_refused_until_reset(n_samples):
    log_mel = make()
    log_mel.push(noise(n_samples))
    log_mel.flush()
    assert log_mel.flush().shape == (0, 128)
    with pytest.raises(RuntimeError, match=r"push after flush.*reset"):
        log_mel.push(noise(1))
    log_mel.reset()
    log_mel.push(noise(1))


def test_chunks_are_not_changed_and_frames_are_the_callers():
    log_mel = make()
    samples = noise(5000)
    samples.flags.writeable = False
    frames = log_mel.push(samples)
    kept = frames.copy()
    log_mel.push(noise(5000, seed=1))
    assert_array_equal(frames, kept)
    assert frames.flags.owndata
    assert frames.flags.writeable


def test_memory_is_bounded():
    log_mel = make()
    chunk = noise(44100)
    log_mel.push(chunk)
    tracemalloc.start()
    for _ in range(100):
        log_mel.push(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * 103 * 128 * 4


def test_threads_are_independent():
    sounds = [noise(100000, seed=seed) for seed in range(8)]
    expected = [frames_of(make(), [samples]) for samples in sounds]

    def stream(samples):
        return frames_of(make(), np.array_split(samples, 50))

    with ThreadPoolExecutor(4) as pool:
        for frames, alone in zip(pool.map(stream, sounds), expected, strict=True):
            assert_array_equal(frames, alone)


@pytest.mark.slow
def test_counters_are_exact_past_32_bits():
    log_mel = make(n_fft=1024, win_length=1024, hop_length=1024, n_mels=1)
    chunk = silence(2)
    while log_mel.n_samples <= 2**31:
        before = log_mel.n_samples
        log_mel.push(chunk)
        assert log_mel.n_samples == before + len(chunk)
    assert log_mel.n_frames == 1 + (log_mel.n_samples - 512) // 1024
    log_mel.flush()
    assert log_mel.n_frames == 1 + log_mel.n_samples // 1024


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_rate": 0}, "sample_rate=0 must be from 1 to 10000000 Hz"),
        ({"n_fft": 2000}, "n_fft=2000 must be a power of two"),
        ({"n_fft": 32}, "n_fft=32 must be a power of two from 64"),
        ({"n_fft": 131072}, "n_fft=131072 must be a power of two from 64 to 65536"),
        ({"win_length": 0}, "win_length=0 must be from 1 to n_fft=2048"),
        ({"win_length": 2049}, "win_length=2049 must be from 1 to n_fft=2048"),
        ({"hop_length": 0}, "hop_length=0 must be from 1"),
        ({"hop_length": 2049}, "hop_length=2049 must be from 1 to n_fft=2048"),
        ({"n_mels": 0}, "n_mels=0 must be from 1"),
        ({"fmin": -1.0}, "fmin=-1 must be at least 0"),
        ({"fmin": 22050.0}, "fmax=22050 must be above fmin"),
        ({"fmax": 22051.0}, "fmax=22051 must be .* half of sample_rate=44100"),
        ({"fmax": float("nan")}, "fmax=nan must be above"),
        ({"amin": 0.0}, "amin=0 must be a normal, positive float"),
        ({"amin": float("nan")}, "amin=nan must be a normal, positive float"),
        (
            {"simd": "mmx"},
            "simd=mmx must be one of those that run here: auto, baseline",
        ),
    ],
)
def test_a_setting_out_of_range_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


@pytest.mark.parametrize(
    "chunk",
    [
        np.zeros(10),
        np.zeros(10, dtype=np.int16),
        np.zeros(10, dtype=np.float32)[::2],
        [0.0, 1.0],
        None,
    ],
    ids=["float64", "int16", "strided", "list", "None"],
)
def test_anything_but_contiguous_float32_is_refused(chunk):
    with pytest.raises(TypeError):
        make().push(chunk)


def test_a_chunk_of_two_dimensions_is_refused():
    with pytest.raises(ValueError, match="chunk has 2 dimensions; it must have 1"):
        make().push(np.zeros((10, 1), dtype=np.float32))
