"""The front-end against its peers: log-mel of a 10 s clip, triple normalisation.

Everything runs on one thread and in turns, so that a busy moment hits all alike; what
is measured is the processor time of that thread, of which the table shows medians.
"""

import math
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from shutil import which

import kaldi_native_fbank as knf
import librosa
import numpy as np
import scipy.fft
import torch
from numpy.lib.stride_tricks import sliding_window_view
from threadpoolctl import threadpool_limits

from streamsed import _core
from streamsed.config import FrontendConfig

RATE, N_FFT, HOP, N_MELS, AMIN = 44100, 2048, 431, 128, 1e-10
N_FRAMES = 1 + 10 * RATE // HOP
CHUNK = 64  # frames at a time, where a peer is best so: its arrays stay in the cache
HANN = librosa.filters.get_window("hann", N_FFT).astype(np.float32)
MEL = librosa.filters.mel(sr=RATE, n_fft=N_FFT, n_mels=N_MELS)
SETTINGS = {
    name: value
    for name, value in asdict(FrontendConfig()).items()
    if name not in ("segment_frames", "subsampling", "top_db", "scaling")
}
"""Of the log-mel."""

Measured = Callable[[], object]


def make_log_mel(simd: str = "auto") -> _core.LogMel:
    return _core.LogMel(**SETTINGS, simd=simd)


def ours(samples: np.ndarray, simd: str = "auto", step: int | None = None) -> Measured:
    log_mel = make_log_mel(simd)
    chunks = (
        [samples[i : i + step] for i in range(0, len(samples), step)] if step else []
    )

    def run() -> None:
        log_mel.reset()
        for chunk in chunks or [samples]:
            log_mel.push(chunk)
        log_mel.flush()

    return run


def by_librosa(samples: np.ndarray) -> np.ndarray:
    power = librosa.feature.melspectrogram(
        y=samples,
        sr=RATE,
        n_fft=N_FFT,
        hop_length=HOP,
        n_mels=N_MELS,
        pad_mode="constant",
    )
    return librosa.power_to_db(power, amin=AMIN, top_db=None)


def by_kaldi(samples: np.ndarray) -> knf.OnlineFbank:
    """Take the nearest settings; compute the frames, but fetch none of them."""
    options = knf.FbankOptions()
    options.frame_opts.samp_freq = RATE
    options.frame_opts.frame_length_ms = 1000 * N_FFT / RATE
    options.frame_opts.frame_shift_ms = 1000 * HOP / RATE
    options.frame_opts.dither = 0
    options.frame_opts.preemph_coeff = 0
    options.frame_opts.remove_dc_offset = False
    options.frame_opts.window_type = "hann"
    options.frame_opts.snip_edges = False
    options.mel_opts.num_bins = N_MELS
    options.mel_opts.low_freq = 0
    options.mel_opts.is_librosa = True
    fbank = knf.OnlineFbank(options)
    fbank.accept_waveform(RATE, samples)
    fbank.input_finished()
    return fbank


def by_torch(samples: np.ndarray) -> Measured:
    """Work in chunks and make no new arrays: the fastest way known to us."""
    padded = torch.from_numpy(np.pad(samples, N_FFT // 2))
    frames = padded.unfold(0, N_FFT, HOP)
    window, mel = torch.from_numpy(HANN), torch.from_numpy(MEL.T.copy())
    windowed = torch.empty(CHUNK, N_FFT)
    spectrum = torch.empty(CHUNK, N_FFT // 2 + 1, dtype=torch.complex64)
    power = torch.empty(CHUNK, N_FFT // 2 + 1)
    square = torch.empty(CHUNK, N_FFT // 2 + 1)
    decibels = torch.empty(N_FRAMES, N_MELS)

    def run() -> torch.Tensor:
        for i in range(0, N_FRAMES, CHUNK):
            torch.mul(frames[i : i + CHUNK], window, out=windowed)
            torch.fft.rfft(windowed, out=spectrum)
            torch.mul(spectrum.real, spectrum.real, out=power)
            torch.mul(spectrum.imag, spectrum.imag, out=square)
            power.add_(square)
            out = decibels[i : i + CHUNK]
            torch.mm(power, mel, out=out)
            out.clamp_(min=AMIN).log10_().mul_(10)
        return decibels

    return run


def by_scipy(samples: np.ndarray) -> Measured:
    frames = sliding_window_view(np.pad(samples, N_FFT // 2), N_FFT)[::HOP]
    mel = MEL.T.copy()
    windowed = np.empty((CHUNK, N_FFT), np.float32)
    power = np.empty((CHUNK, N_FFT // 2 + 1), np.float32)
    square = np.empty_like(power)
    decibels = np.empty((N_FRAMES, N_MELS), np.float32)

    def run() -> np.ndarray:
        for i in range(0, N_FRAMES, CHUNK):
            np.multiply(frames[i : i + CHUNK], HANN, out=windowed)
            spectrum = scipy.fft.rfft(windowed, overwrite_x=True)
            np.multiply(spectrum.real, spectrum.real, out=power)
            np.multiply(spectrum.imag, spectrum.imag, out=square)
            np.add(power, square, out=power)
            out = decibels[i : i + CHUNK]
            np.matmul(power, mel, out=out)
            np.maximum(out, np.float32(AMIN), out=out)
            np.log10(out, out=out)
            np.multiply(out, np.float32(10), out=out)
        return decibels

    return run


def bare_ffts() -> Measured:
    windowed = torch.randn(CHUNK, N_FFT)
    spectrum = torch.empty(CHUNK, N_FFT // 2 + 1, dtype=torch.complex64)

    def run() -> None:
        for _ in range(0, N_FRAMES, CHUNK):
            torch.fft.rfft(windowed, out=spectrum)

    return run


def norm_by_numpy(frames: np.ndarray) -> np.ndarray:
    def min_max(axis: int | None) -> np.ndarray:
        lowest = clipped.min(axis, keepdims=True)
        span = clipped.max(axis, keepdims=True) - lowest
        return (clipped - lowest) * np.where(
            span > 0, 1 / np.where(span > 0, span, 1), 0
        )

    clipped = np.maximum(frames, frames.max() - np.float32(80))
    return min_max(1) * min_max(0) * min_max(None)


def medians(contenders: Mapping[str, Measured], repeats: int) -> dict[str, float]:
    """Return milliseconds of each, measured in turns after a round to warm up."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for turn in range(repeats + 1):
            for name, contender in contenders.items():
                start = time.thread_time()
                contender()
                if turn:
                    taken[name].append(1000 * (time.thread_time() - start))
    torch.set_num_threads(n_threads)
    return {name: statistics.median(times) for name, times in taken.items()}


def table(times: Mapping[str, float], one: str, unit: str = "") -> str:
    """Write a row for each, with its ratio to the row `one`."""
    lines = [f"| {unit} | ms | ratio |", "|---|---:|---:|"]
    for name, ms in times.items():
        lines.append(f"| {name} | {ms:.2f} | {ms / times[one]:.2f} |")
    return "\n".join(lines)


def sounds() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    seconds = np.arange(10 * RATE) / RATE
    noise = 0.1 * rng.standard_normal(len(seconds))
    hertz = np.array([50, 997, 5000, 12345])[:, None]
    tones = 0.2 * np.sin(2 * np.pi * hertz * seconds).sum(axis=0)
    pitch = 120 + 30 * np.sin(2 * np.pi * seconds)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = np.sum([np.sin(k * phase) / k for k in range(1, 60)], axis=0)
    syllables = np.maximum(0, np.sin(2 * np.pi * 3 * seconds))
    impulses = np.zeros(len(seconds))
    impulses[rng.integers(0, len(seconds), 20)] = 1
    named = {
        "noise": noise,
        "tones": tones,
        "a voice-like glide of harmonics": 0.1 * voice * syllables + 1e-3 * noise,
        "impulses": impulses,
        "silence": np.zeros(len(seconds)),
    }
    return {name: sound.astype(np.float32) for name, sound in named.items()}


def difference(samples: np.ndarray, simd: str) -> float:
    """Return the most dB off librosa in float64, down to 70 dB below the maximum."""
    log_mel = make_log_mel(simd)
    frames = np.concatenate([log_mel.push(samples), log_mel.flush()])
    spectrum = librosa.stft(
        samples.astype(np.float64), n_fft=N_FFT, hop_length=HOP, pad_mode="constant"
    )
    mel = librosa.filters.mel(sr=RATE, n_fft=N_FFT, n_mels=N_MELS, dtype=np.float64)
    power = mel @ np.abs(spectrum) ** 2
    expected = librosa.power_to_db(power, amin=AMIN, top_db=None).T
    audible = expected > expected.max() - 70
    return float(np.abs(frames - expected)[audible].max())


def log_mel_table(samples: np.ndarray) -> str:
    fastest = _core.simd_targets()[-1]
    contenders: dict[str, Measured] = {
        f"streamsed, {simd}": ours(samples, simd)
        for simd in reversed(_core.simd_targets())
    }
    contenders |= {
        f"streamsed, {fastest}, pushed 1 s at a time": ours(samples, step=RATE),
        f"torch {torch.__version__}, in chunks": by_torch(samples),
        f"numpy {np.__version__} and scipy.fft, in chunks": by_scipy(samples),
        f"librosa {version('librosa')}": lambda: by_librosa(samples),
        f"kaldi-native-fbank {version('kaldi-native-fbank')}": lambda: by_kaldi(
            samples
        ),
        "*only* the 1024 real FFTs, torch (MKL)": bare_ffts(),
    }
    times = medians(contenders, repeats=40)
    return table(times, f"streamsed, {fastest}", "log-mel of 10 s of audio, one thread")


def norm_table(samples: np.ndarray) -> str:
    frames = make_log_mel().push(samples)
    contenders: dict[str, Measured] = {
        f"streamsed, {simd}": partial(_core.triple_norm, frames, 80.0, simd)
        for simd in reversed(_core.simd_targets())
    }
    contenders["numpy"] = lambda: norm_by_numpy(frames)
    title = "triple normalisation of a 10 s segment, one thread"
    return table(medians(contenders, repeats=200), next(iter(contenders)), title)


def difference_table() -> str:
    lines = ["| largest difference from librosa in float64 | dB |", "|---|---:|"]
    for name, samples in sounds().items():
        largest = max(difference(samples, simd) for simd in _core.simd_targets())
        lines.append(f"| {name} | {largest:.1e} |")
    return "\n".join(lines)


def n_operations() -> int:
    """Count what a frame takes by the book: a real FFT is half of 5 N log2 N."""
    fft = int(2.5 * N_FFT * math.log2(N_FFT))
    window, powers, mel = N_FFT, 3 * (N_FFT // 2 + 1), 2 * np.count_nonzero(MEL)
    return fft + window + powers + int(mel) + 2 * N_MELS  # a maximum and a logarithm


def n_instructions(simd: str) -> float:
    """Count the instructions of a frame: a program with ten clips, less one without."""
    program = (
        "import sys, numpy as np; from streamsed import _core; "
        f"log_mel = _core.LogMel(**{SETTINGS}, simd={simd!r}); "
        f"clip = np.ones({10 * RATE}, np.float32); "
        "[log_mel.push(clip) for _ in range(int(sys.argv[1]))]"
    )
    callgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    counts = []
    for n_clips in ("0", "10"):
        output = subprocess.run(
            [*callgrind, sys.executable, "-c", program, n_clips],
            env={**os.environ, "PYTHONHASHSEED": "0"},
            check=True,
            capture_output=True,
            text=True,
        ).stderr
        found = re.search(r"Collected : (\d+)", output)
        assert found is not None
        counts.append(int(found[1]))
    return (counts[1] - counts[0]) / (10 * 10 * RATE / HOP)


def peak_table(samples: np.ndarray) -> str:
    """Hold the log-mel against the processor's fastest float32 program, a product."""
    fastest = _core.simd_targets()[-1]
    a = torch.rand(1024, 1024)
    product = torch.empty(1024, 1024)
    times = medians(
        {
            "log-mel": ours(samples, fastest),
            "product": lambda: torch.mm(a, a, out=product),
        },
        repeats=40,
    )
    rate = n_operations() * N_FRAMES / times["log-mel"] / 1e6
    peak = 2 * 1024**3 / times["product"] / 1e6
    lines = [
        "| of one thread | |",
        "|---|---:|",
        f"| float32 operations of a frame, by the book | {n_operations()} |",
        f"| log-mel, {fastest} | {rate:.0f} GFLOP/s |",
        f"| a product of two 1024 x 1024 matrices, MKL | {peak:.0f} GFLOP/s |",
        f"| the log-mel's share of that | {rate / peak:.0%} |",
    ]
    for simd in _core.simd_targets():
        if simd != "avx512" and which("valgrind"):  # which does not know AVX-512
            count = f"{n_instructions(simd):.0f}"
            lines.append(f"| instructions of a frame, {simd} (callgrind) | {count} |")
    return "\n".join(lines)


def sections() -> Iterator[str]:
    samples = sounds()["a voice-like glide of harmonics"]
    yield "\n\n".join(
        [
            "## Front-end",
            "Processor time of one thread, medians, all in turns in one run.",
            log_mel_table(samples),
            norm_table(samples),
            peak_table(samples),
            "Where librosa is within 70 dB of the maximum, whatever the instruction set:",
            difference_table(),
        ]
    )


if __name__ == "__main__":
    print(*sections(), sep="\n\n")
