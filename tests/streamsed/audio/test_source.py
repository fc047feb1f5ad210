import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import RATE, cut, scene, tone

from streamsed.audio.pcm import PcmDecoder, PcmSource
from streamsed.audio.playback import FileSource
from streamsed.audio.resample import ChannelResampler

SETTINGS = {
    "capture_rate": RATE,
    "n_channels": 1,
    "format_name": "s16",
    "sample_rate": RATE,
}


def pcm(data, *, sizes=(), pause=0.0, **options):
    """Send bytes through a real pipe, cut as given; return the pieces."""
    reading, writing = os.pipe()

    def send():
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            for block in cut(data, sizes):
                pipe.write(block)
                time.sleep(pause)

    sender = threading.Thread(target=send)
    sender.start()
    pieces = []
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        source = PcmSource(pipe, **(SETTINGS | options))
        while (read := source.read()) is not None:
            pieces += read
        source.close()
    sender.join()
    assert not any(piece.missing for piece in pieces)
    return pieces


def joined(pieces):
    return np.concatenate([piece.samples for piece in pieces])


@settings(max_examples=25)
@given(st.lists(st.integers(1, 5000), max_size=30), st.sampled_from(["s16", "f32"]))
def test_any_cutting_of_a_pipe_gives_every_sample_once(sizes, encoding):
    samples = scene(0.5)
    if encoding == "s16":
        data = np.round(samples * 32767).astype("<i2")
        expected = data.astype(np.float32) / np.float32(32768)
    else:
        data = expected = samples.astype("<f4")
    got = joined(pcm(data.tobytes(), sizes=sizes, format_name=encoding))
    assert got.dtype == np.float32
    assert np.array_equal(got, expected)


def test_channels_are_mixed_down_or_chosen():
    left, right = tone(300, 0.1), tone(700, 0.1)
    data = np.stack([left, right], axis=1).astype("<f4").tobytes()
    options = {"n_channels": 2, "format_name": "f32", "sizes": [7, 1, 4001]}
    assert np.array_equal(joined(pcm(data, **options)), (left + right) / 2)
    assert np.array_equal(joined(pcm(data, channel=2, **options)), right)


@pytest.mark.parametrize("rate", [8000, 48000])
def test_a_resampled_pipe_is_the_recording_resampled_at_once(rate):
    samples = tone(440, 1.0, rate=rate)
    options = {"capture_rate": rate, "format_name": "f32", "sizes": [3, 1001] * 5}
    got = joined(pcm(samples.astype("<f4").tobytes(), **options))
    expected = soxr.resample(samples, rate, RATE)
    assert abs(len(got) - len(expected)) <= 1
    n = min(len(got), len(expected))
    assert np.abs(got[:n] - expected[:n]).max() < 1e-5


def test_what_cannot_say_how_much_waits_is_read_to_its_end():
    with Path(os.devnull).open("rb", buffering=0) as nothing:
        source = PcmSource(nothing, **SETTINGS)
        source.wait(100, 1.0)
        (last,) = source.read()
        assert last.samples.size == 0
        assert source.read() is None


def test_an_empty_pipe_holds_nothing_up():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as pipe, os.fdopen(writing, "wb"):
        source = PcmSource(
            pipe,
            capture_rate=RATE,
            n_channels=1,
            format_name="s16",
            sample_rate=RATE,
        )
        start = time.monotonic()
        assert source.read() == []
        assert time.monotonic() - start < 15


def test_peaks_are_those_of_the_capture():
    pieces = pcm(np.array([0, 16384, -32768], "<i2").tobytes())
    assert max(piece.peak for piece in pieces) == 1.0


def test_numbers_that_are_no_sound_say_what_to_check():
    data = np.array([0.0, np.nan, 0.1], "<f4").tobytes()
    with pytest.raises(ValueError, match=r"a sample is nan.*--encoding, --rate"):
        pcm(data, format_name="f32")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"format_name": "s24"}, r"--encoding must be s16 or f32, not 's24'"),
        ({"capture_rate": 0}, r"--rate must be from 1000 .* not 0"),
        ({"n_channels": 0}, r"--channels must be from 1 .* not 0"),
        ({"channel": 2}, r"--channels must be .* at least --channel, not 1"),
    ],
)
def test_wrong_settings_of_a_pipe_are_named(options, named):
    with pytest.raises(ValueError, match=named):
        pcm(b"", **options)


@settings(max_examples=30)
@given(
    st.sampled_from([(44100, 44100), (48000, 44100), (16000, 44100), (96000, 44100)]),
    st.lists(st.integers(0, 3000), max_size=12),
)
def test_a_mixer_forgets_nothing_between_blocks(rates, sizes):
    block = np.random.default_rng(0).uniform(-1, 1, (20_000, 2)).astype(np.float32)
    whole, parts = ChannelResampler(*rates), ChannelResampler(*rates)
    expected = np.concatenate([whole.push(block), whole.flush()])
    pieces = [parts.push(piece) for piece in cut(block, sizes)]
    got = np.concatenate([*pieces, parts.flush()])
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() < 1e-6
    if rates[0] == rates[1]:
        assert np.array_equal(got, expected)


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, scene(1.0), RATE, subtype="FLOAT")
    return path


@pytest.mark.parametrize("pace", [2.0, float("inf")])
def test_a_file_is_played_whole_and_at_its_pace(recording, pace):
    source, pieces, early = FileSource(recording, sample_rate=RATE, pace=pace), [], 0.0
    start = time.monotonic()
    while (read := source.read()) is not None:
        pieces += read
        played = sum(len(piece.samples) for piece in pieces) / RATE
        early = max(early, played - (time.monotonic() - start) * pace)
        time.sleep(0.005 if pace == 2 else 0)
    source.close()
    assert np.array_equal(joined(pieces), scene(1.0))
    if pace == 2:
        assert early < 0.001
        assert 0.4 < time.monotonic() - start < 15
    assert source.read() is None


def test_who_waits_for_a_file_gets_the_samples_when_they_are_over(recording):
    source = FileSource(recording, sample_rate=RATE, pace=2.0)
    source.wait(RATE, 5.0)  # nothing is over before the first read
    assert source.read() == []
    start = time.monotonic()
    source.wait(RATE // 10, 5.0)
    waited = time.monotonic() - start
    pieces = source.read()
    assert sum(len(piece.samples) for piece in pieces) >= RATE // 10
    assert waited == pytest.approx(0.05, abs=0.04) or waited > 0.05  # a busy machine
    start = time.monotonic()
    source.wait(100 * RATE, 0.05)
    assert time.monotonic() - start >= 0.05
    source.close()


@pytest.fixture
def piped():
    """A source at the end of a pipe, and the pipe's other end."""
    reading, writing = os.pipe()
    with (
        os.fdopen(reading, "rb", buffering=0) as pipe,
        os.fdopen(writing, "wb", buffering=0) as sender,
    ):
        yield PcmSource(pipe, **SETTINGS), sender


def waited(source, n_samples, timeout):
    start = time.monotonic()
    source.wait(n_samples, timeout)
    return time.monotonic() - start


def test_who_waits_for_an_empty_pipe_waits_no_longer_than_allowed(piped):
    source, _ = piped
    assert 0.05 <= waited(source, 100, 0.05) < 15.0
    assert source.read() == []


def test_who_waits_for_a_pipe_gets_all_that_was_asked_for_at_once(piped):
    source, sender = piped
    block = np.zeros(441, "<i2").tobytes()

    def send():
        for _ in range(10):
            sender.write(block)
            time.sleep(0.01)

    thread = threading.Thread(target=send)
    thread.start()
    time.sleep(0.005)
    source.wait(2205, 5.0)
    (piece,) = source.read()
    thread.join()
    assert len(piece.samples) >= 2205


@pytest.mark.parametrize("what", ["enough", "ended", "resting", "full"])
def test_nobody_waits_for_what_does_not_come(piped, what):
    source, sender = piped
    sender.write(bytes(2 * {"enough": 5000, "full": 30_000}.get(what, 100)))
    if what == "ended":
        sender.close()
    n_samples = 10**7 if what == "full" else 5000
    assert waited(source, n_samples, 60.0) < 30.0
    assert source.read()


def test_a_signalling_nan_is_refused_without_a_warning():
    decoder = PcmDecoder(RATE, 1, "f32", sample_rate=RATE)
    with pytest.raises(
        ValueError, match="a sample is nan, so this is not the expected"
    ):
        decoder.push(bytes.fromhex("0000a07f") * 100)  # a warning is an error in tests


FORMS = ["AIFF", "AU", "CAF", "FLAC", "OGG", "RF64", "W64", "WAV"]
NAMES = {"RF64": "WAV", "W64": "Wave64"}


@pytest.mark.parametrize("n_first", range(5))
@pytest.mark.parametrize("form", FORMS)
def test_an_audio_file_is_not_taken_for_samples(tmp_path, form, n_first):
    soundfile.write(tmp_path / "a", scene(1.0), RATE, format=form)
    data = (tmp_path / "a").read_bytes()
    decoder = PcmDecoder(48_000, 2, "f32", sample_rate=RATE)
    words = (
        f"(?i)this is {NAMES.get(form, form)}, not raw PCM; decode it first, e.g. with "
        "`ffmpeg -i IN -f f32le -ac 2 -ar 48000 -`"
    )
    with pytest.raises(ValueError, match=words):
        [decoder.push(part) for part in (data[:n_first], data[n_first:])]
