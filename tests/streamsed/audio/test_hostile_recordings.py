"""Recordings from strangers: headers that lie, and files that are cut off."""

import resource
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from environment import ENVIRONMENT
from sounds import RATE

from streamsed.audio.decode import audio_info, file_chunks
from streamsed.detection_settings import DetectionSettings

SECONDS = 12


@pytest.fixture(scope="module")
def noise():
    samples = np.random.default_rng(0).normal(0, 0.1, RATE * SECONDS)
    return samples.astype(np.float32)


def wav(path, *, rate, n_channels=1, n_frames=1000, stated=None):
    """Write 16-bit PCM whose header says what it receives to."""
    data = np.zeros(n_frames * n_channels, "<i2").tobytes()
    align = 2 * n_channels
    header = struct.pack(
        "<HHLLHH", 1, n_channels, rate, rate * align % 2**32, align, 16
    )
    stated = len(data) if stated is None else stated
    path.write_bytes(
        b"RIFF"
        + struct.pack("<L", min(2**32 - 1, 36 + stated))
        + b"WAVEfmt \x10\0\0\0"
        + header
        + b"data"
        + struct.pack("<L", stated)
        + data
    )
    return path


def drained(path):
    return sum(len(chunk) for chunk in file_chunks(path, sample_rate=RATE))


@pytest.mark.parametrize("rate", [1, 999, 768_001, 2**32 - 1])
def test_a_rate_that_no_recording_has_is_refused(tmp_path, rate):
    path = wav(tmp_path / "odd.wav", rate=rate)
    for read in (audio_info, drained):
        with pytest.raises(
            ValueError, match=r"odd\.wav: (the sampling rate|not a supported audio)"
        ):
            read(path)


@pytest.mark.parametrize("rate", [1000, 768_000])
def test_the_least_and_the_greatest_rate_are_read(tmp_path, rate):
    path = wav(tmp_path / "a.wav", rate=rate, n_frames=rate)
    assert abs(drained(path) - RATE) <= 2


def test_pieces_of_a_low_rate_are_resampled_as_the_whole_would_be(tmp_path, noise):
    import soxr

    path = tmp_path / "low.wav"
    soundfile.write(path, noise[:200_000], 1000, subtype="FLOAT")
    chunks = list(file_chunks(path, sample_rate=RATE))
    assert max(map(len, chunks)) <= 2 * (1 << 17)
    whole = soxr.ResampleStream(1000, RATE, 1, dtype="float32").resample_chunk(
        noise[:200_000], last=True
    )
    np.testing.assert_array_equal(np.concatenate(chunks), whole)


MEMORY = """
import sys
from streamsed.audio.decode import file_chunks
from streamsed.diagnostics.bench import peak_memory
before = peak_memory()
for _ in file_chunks(sys.argv[1]):
    pass
print(peak_memory() - before)
"""


@pytest.mark.parametrize(
    "settings",
    [
        {"rate": 44100, "n_channels": 1024, "n_frames": 40_000},
        {"rate": 1000, "n_frames": 300_000},
        {"rate": 768_000, "n_channels": 2, "n_frames": 1_000_000},
    ],
)
def test_a_hostile_recording_takes_little_memory(tmp_path, settings):
    path = wav(tmp_path / "large.wav", **settings)
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    )
    assert float(run.stdout) < 200


@pytest.mark.parametrize("stated", [88_000, 3_000_000_000])
def test_a_wav_that_states_more_than_there_is_is_refused(tmp_path, stated):
    path = wav(tmp_path / "cut.wav", rate=RATE, n_frames=22_000, stated=stated)
    with pytest.raises(
        ValueError, match=r"cut\.wav: damaged or truncated after 0\.499 s"
    ):
        drained(path)


@pytest.mark.parametrize("stated", [0x7FFFFFFF, 0x80000000, 0xFFFFFFFF - 36])
def test_a_wav_whose_writer_did_not_know_its_length_is_read(tmp_path, stated):
    path = wav(tmp_path / "pipe.wav", rate=RATE, n_frames=22_000, stated=stated)
    assert drained(path) == 22_000


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        *[
            ("RF64", "PCM_16"),
            ("W64", "PCM_16"),
            ("AIFF", "PCM_16"),
            ("FLAC", "PCM_16"),
        ],
        *[("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None), ("WAV", "PCM_24")],
    ],
)
def test_a_file_that_is_cut_off_is_noticed(tmp_path, noise, form, subtype):
    path = tmp_path / "whole"
    rate = 48000 if subtype == "OPUS" else RATE
    with soundfile.SoundFile(path, "w", rate, 1, subtype=subtype, format=form) as out:
        out.write(noise)
    assert drained(path) == pytest.approx(len(noise) * RATE / rate, abs=4 * 1152)
    whole = path.read_bytes()
    cut = tmp_path / "cut"
    for share in (0.4, 2 / 3, 0.95):
        cut.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ValueError, match="cut: damaged or truncated"):
            drained(cut)


def test_an_mp3_behind_a_large_tag_is_read(tmp_path, noise):
    path = tmp_path / "a.mp3"
    soundfile.write(path, noise, RATE)
    tagged = tmp_path / "tagged.mp3"
    size = 300_000
    sizes = bytes(size >> 7 * (3 - i) & 0x7F for i in range(4))
    tag = b"ID3\x04\0\0" + sizes + bytes(size)
    tagged.write_bytes(tag + path.read_bytes())
    assert drained(tagged) == drained(path)
    tagged.write_bytes((tag + path.read_bytes())[:-60_000])
    with pytest.raises(ValueError, match="truncated"):
        drained(tagged)


# One bad recording of many.


def test_a_bad_recording_costs_its_own_result_alone(streamsed, tmp_path, noise):
    good = []
    for number in range(3):
        good.append(tmp_path / f"good{number}.wav")
        soundfile.write(good[-1], noise[: RATE * 2], RATE)
    bad = wav(tmp_path / "bad.wav", rate=1, n_frames=131_000)
    out = tmp_path / "out.jsonl"
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0))}
    run = streamsed("file", good[0], bad, bad, *good[1:], "-o", out, **limit)
    assert run.returncode == 1
    assert "is not between 1000 and" in run.stderr
    assert "Traceback" not in run.stderr
    assert out.exists()


def test_any_error_stays_with_its_recording(
    model, model_path, tmp_path, noise, monkeypatch
):
    from streamsed.recordings import job as jobs
    from streamsed.recordings.outputs import Outputs

    paths = []
    for name in "abc":
        paths.append(tmp_path / f"{name}.wav")
        soundfile.write(paths[-1], noise[: RATE * 2], RATE)
    chunks = jobs.detect

    def failing(detector, recording, *args, **kwargs):
        if recording.name == "b.wav":
            raise MemoryError
        return chunks(detector, recording, *args, **kwargs)

    monkeypatch.setattr(jobs, "detect", failing)
    monkeypatch.setattr(jobs.Model, "load", lambda *_, **__: model)
    said = []
    monkeypatch.setattr(jobs, "print_message", said.append)
    out = tmp_path / "out.tsv"
    job = jobs.FileJob(
        model=str(model_path),
        engine={},
        step=None,
        latency=None,
        settle=None,
        detection=DetectionSettings(),
        outputs=Outputs(format_name="tsv", events=out),
        check_stream=False,
    )
    assert job.run(paths, recursive=False) == 1
    assert len(said) == 1
    assert "b.wav" in said[0]
    assert "MemoryError" in said[0]
    names = {line.split("\t")[0] for line in out.read_text().splitlines()[1:]}
    assert names == {"a.wav", "c.wav"}
