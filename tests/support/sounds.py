"""Signals whose content is known, for the tests: float32 mono, full scale 1."""

import numpy as np

RATE = 44100


def silence(seconds, rate=RATE):
    return np.zeros(round(seconds * rate), dtype=np.float32)


def tone(frequency, seconds, rate=RATE, level=0.5):
    time = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def square(frequency, seconds, rate=RATE):
    time = np.arange(round(seconds * rate)) / rate
    return np.where((time * frequency) % 1 < 0.5, 1.0, -1.0).astype(np.float32)


def scene(seconds, seed=0, rate=RATE):
    """Low and high bursts of 0.3 to 1.5 s over soft noise, where a seed puts them."""
    rng = np.random.default_rng(seed)
    samples = (rng.standard_normal(round(seconds * rate)) * 1e-4).astype(np.float32)
    start = 0.2
    while start < seconds:
        length = float(rng.uniform(0.3, 1.5))
        frequency = float(rng.choice([300, 6000]))
        first = round(start * rate)
        burst = tone(frequency, length, rate)[: len(samples) - first]
        samples[first : first + len(burst)] += burst
        start += length + float(rng.uniform(0.2, 1.2))
    return samples


def cut(samples, sizes):
    """Cut samples into chunks of these sizes, in turn; the rest is the last chunk."""
    chunks, start = [], 0
    for size in sizes:
        chunks.append(samples[start : start + size])
        start += size
    return [*chunks, samples[start:]]


def dominant_frequency(samples, rate=RATE):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * rate / len(samples)
