import math
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import soxr
from numpy.testing import assert_array_equal
from sounds import RATE, dominant_frequency, tone

from streamsed.audio.decode import BLOCK, audio_files, audio_info, file_chunks


def read(path, **options):
    return np.concatenate(list(file_chunks(path, **options)))


def save(path, samples, rate=RATE, **options):
    soundfile.write(path, samples, rate, **options)
    return path


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("16.wav", {"subtype": "PCM_16"}, 2**-15),
        ("24.wav", {"subtype": "PCM_24"}, 2**-23),
        ("8.wav", {"subtype": "PCM_U8"}, 2**-6),
        ("float.wav", {"subtype": "FLOAT"}, 0),
        ("double.wav", {"subtype": "DOUBLE"}, 0),
        ("a.flac", {}, 2**-15),
        ("24.flac", {"subtype": "PCM_24"}, 2**-23),
        ("a.aiff", {"subtype": "PCM_16"}, 2**-15),
        ("a.w64", {"subtype": "PCM_16"}, 2**-15),
    ],
)
def test_lossless_files_give_their_samples(tmp_path, name, options, tolerance):
    samples = tone(1000, 4, level=0.9)
    found = read(save(tmp_path / name, samples, **options))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, samples, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.ogg", {"format": "OGG", "subtype": "VORBIS"}),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}),
        ("a.mp3", {}),
    ],
)
def test_lossy_files_sound_as_they_should(tmp_path, name, options):
    path = save(tmp_path / name, tone(1000, 4, rate=48000), 48000, **options)
    found = read(path)
    assert len(found) == pytest.approx(4 * RATE, abs=0.05 * RATE)
    assert dominant_frequency(found) == pytest.approx(1000, abs=1)
    assert np.abs(found[RATE:-RATE]).max() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 48000, 96000, 192000])
def test_a_tone_keeps_frequency_level_and_duration_through_resampling(tmp_path, rate):
    path = save(tmp_path / "a.wav", tone(1000, 4, rate=rate), rate, subtype="FLOAT")
    found = read(path)
    assert len(found) == 4 * RATE
    assert dominant_frequency(found) == pytest.approx(1000, abs=0.5)
    assert np.abs(found[RATE:-RATE]).max() == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("rate", [8000, 22050, 48000, 192000])
def test_resampling_block_by_block_equals_resampling_at_once(tmp_path, rate):
    noise = np.random.default_rng(0).uniform(-1, 1, 2 * BLOCK + 77).astype(np.float32)
    path = save(tmp_path / "a.wav", noise, rate, subtype="FLOAT")
    assert_array_equal(read(path), soxr.resample(noise, rate, RATE))


def test_decoding_block_by_block_equals_decoding_at_once(tmp_path):
    noise = np.random.default_rng(0).uniform(-1, 1, 2 * BLOCK + 77).astype(np.float32)
    path = save(tmp_path / "a.flac", noise)
    chunks = list(file_chunks(path))
    assert len(chunks) == 3
    assert_array_equal(np.concatenate(chunks), soundfile.read(path, dtype="float32")[0])


def test_another_rate_can_be_asked_for(tmp_path):
    path = save(tmp_path / "a.wav", tone(1000, 2))
    found = read(path, sample_rate=16000)
    assert len(found) == 2 * 16000
    assert dominant_frequency(found, 16000) == pytest.approx(1000, abs=1)


@pytest.mark.parametrize("n_channels", [1, 2, 8])
def test_channels_are_mixed_by_their_mean(tmp_path, n_channels):
    rng = np.random.default_rng(0)
    samples = rng.uniform(-1, 1, (5000, n_channels)).astype(np.float32)
    path = save(tmp_path / "a.wav", samples, subtype="FLOAT")
    np.testing.assert_allclose(read(path), samples.mean(1), rtol=0, atol=1e-6)
    assert audio_info(path).n_channels == n_channels


def test_full_scale_is_not_clipped_by_resampling(tmp_path):
    square = np.sign(tone(100, 1, rate=48000)).astype(np.float32)
    found = read(save(tmp_path / "a.wav", square, 48000, subtype="FLOAT"))
    assert np.abs(found).max() > 1.05  # the overshoot of a band-limited square


def test_a_header_is_read(tmp_path):
    path = save(tmp_path / "a.flac", np.zeros((24000, 2)), 48000)
    info = audio_info(path)
    assert (info.sample_rate, info.n_channels, info.n_frames) == (48000, 2, 24000)
    assert (info.container, info.duration) == ("FLAC", 0.5)


def test_one_sample_is_enough(tmp_path):
    assert len(read(save(tmp_path / "a.wav", np.zeros(1)))) == 1


def test_any_file_name_can_be_read(tmp_path):
    for name in (b"caf\xe9.wav", "café 音.wav".encode(), b"a\tb\nc.wav"):
        path = tmp_path / os.fsdecode(name)
        save(tmp_path / "a.wav", tone(440, 0.1)).rename(path)
        assert len(read(path)) == 4410


# What is wrong with a file is said in a sentence that names it.


def refused(path, *words):
    with pytest.raises((ValueError, OSError)) as error:
        list(file_chunks(path))
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    for word in words:
        assert word in message


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.wav: no such file"):
        list(file_chunks(tmp_path / "no.wav"))


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    refused(tmp_path / "pipe.wav", "is a pipe or a device", "listen --stdin`")


def test_a_folder_is_refused(tmp_path):
    refused(tmp_path, "is a folder")


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "empty.wav"
    path.touch()
    refused(path, "is empty (0 bytes)")


def test_a_file_without_samples_is_refused(tmp_path):
    refused(save(tmp_path / "a.wav", np.zeros(0)), "contains no samples")


@pytest.mark.parametrize("name", ["text.wav", "text.mp3", "text.txt", "text.raw"])
def test_text_is_refused_whatever_its_name(tmp_path, name):
    path = tmp_path / name
    path.write_text("This is no audio.\n" * 100)
    refused(path, "not a supported audio file (wav, flac", "ffmpeg")


def cut_off(path, share=0.5):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    return path


@pytest.mark.parametrize("name", ["a.flac", "a.wav", "a.aiff"])
def test_a_file_that_is_cut_off_is_refused(tmp_path, name):
    noise = np.random.default_rng(0).uniform(-1, 1, 10 * RATE)
    path = cut_off(save(tmp_path / name, noise), 0.7)
    refused(path, "damaged or truncated after", "of 10.000 s", "ffmpeg")


def test_a_flac_with_damage_inside_is_refused(tmp_path):
    noise = np.random.default_rng(0).uniform(-1, 1, 10 * RATE)
    path = save(tmp_path / "a.flac", noise)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 2000] = bytes(2000)
    path.write_bytes(content)
    refused(path, "damaged or truncated")


@pytest.mark.parametrize("n_bytes", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wav_from_a_pipe_has_no_length_and_is_read_to_its_end(tmp_path, n_bytes):
    path = save(tmp_path / "a.wav", tone(440, 1), subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[40:44] = n_bytes.to_bytes(4, "little")
    path.write_bytes(content)
    assert len(read(path)) == RATE


def test_a_flac_from_a_pipe_has_no_length_and_is_read_to_its_end(tmp_path):
    path = save(tmp_path / "a.flac", tone(440, 4))
    content = bytearray(path.read_bytes())
    fields = int.from_bytes(content[18:26], "big")  # its low 36 bits count the samples
    content[18:26] = (fields >> 36 << 36).to_bytes(8, "big")
    path.write_bytes(content)
    assert audio_info(path).n_frames == 0
    assert len(read(path)) == 4 * RATE


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e7])
def test_a_sample_that_is_no_audio_is_refused_with_its_time(tmp_path, bad):
    samples = np.zeros((5 * RATE, 2), np.float32)
    samples[round(4.25 * RATE), 1] = bad
    path = save(tmp_path / "a.wav", samples, subtype="FLOAT")
    refused(path, f"at 4.250 s is {bad:g};", "numpy.nan_to_num")


def test_the_samples_before_a_bad_block_are_given(tmp_path):
    samples = np.zeros(2 * BLOCK, np.float32)
    samples[-1] = math.nan
    chunks = file_chunks(save(tmp_path / "a.wav", samples, subtype="FLOAT"))
    assert len(next(chunks)) == BLOCK
    with pytest.raises(ValueError, match="is nan"):
        next(chunks)


def test_a_long_file_takes_no_more_memory_than_a_short_one(tmp_path):
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 16000, 1) as sound:
        minute = tone(440, 60, rate=16000)
        for _ in range(20):
            sound.write(minute)
    code = (
        "import resource, sys, streamsed.audio.decode as audio\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "chunks = audio.file_chunks(sys.argv[1])\n"
        "n_samples = sum(len(next(chunks)) for _ in range(5)); before = peak()\n"
        "n_samples += sum(map(len, chunks)); print(n_samples, peak() - before)\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    n_samples, grown = map(int, run.stdout.split())
    assert n_samples == 20 * 60 * RATE
    assert grown < 10_000  # KiB; the whole recording is 207 000


def test_a_folder_gives_its_audio_files_in_order(tmp_path):
    for name in ("b.WAV", "a.flac", "notes.txt", "sub/c.mp3", "sub/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.wav").mkdir()
    assert audio_files(tmp_path) == [tmp_path / "a.flac", tmp_path / "b.WAV"]
    assert audio_files(tmp_path, recursive=True) == [
        tmp_path / "a.flac",
        tmp_path / "b.WAV",
        tmp_path / "sub/c.mp3",
    ]


def test_a_folder_without_audio_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.wav").touch()
    message = rf"{re.escape(str(tmp_path))}: no audio files .* use --recursive"
    with pytest.raises(ValueError, match=message):
        audio_files(tmp_path)
    (tmp_path / "sub" / "a.wav").unlink()
    with pytest.raises(ValueError, match=r": no audio files \([^;]*$"):
        audio_files(tmp_path, recursive=True)


@pytest.mark.parametrize("n_samples", [20_000, 88_200, 500_000])
def test_silence_in_ogg_is_whole_though_its_last_page_is_short(tmp_path, n_samples):
    path = tmp_path / "silence.ogg"
    soundfile.write(path, np.zeros(n_samples, np.float32), 44100)
    assert sum(map(len, file_chunks(path))) == n_samples
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match="truncated"):
        list(file_chunks(path))
