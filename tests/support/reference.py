"""What the core computes, said again as plainly as numpy allows: its slow twins.

Everything is float64 and looks at the whole recording at once.
"""

import itertools
import math
import statistics

import numpy as np


def hz_to_mel(hz):
    """Slaney's scale: 15 mel to 1000 Hz, from there 27 mel for a factor of 6.4."""
    hz = np.asarray(hz, dtype=float)
    above = 15 + 27 * np.log(np.maximum(hz, 1000) / 1000) / np.log(6.4)
    return np.where(hz < 1000, hz * 15 / 1000, above)


def mel_to_hz(mel):
    mel = np.asarray(mel, dtype=float)
    return np.where(mel < 15, mel * 1000 / 15, 1000 * 6.4 ** ((mel - 15) / 27))


def mel_weights(*, sample_rate, n_fft, n_mels, fmin, fmax):
    """Triangles of equal area between equally spaced mels: (n_mels, n_bins)."""
    edges = mel_to_hz(np.linspace(hz_to_mel(fmin), hz_to_mel(fmax), n_mels + 2))
    bins = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    weights = []
    for left, centre, right in zip(edges, edges[1:], edges[2:], strict=False):
        rising = (bins - left) / (centre - left)
        falling = (right - bins) / (right - centre)
        weights.append(np.maximum(0, np.minimum(rising, falling)) * 2 / (right - left))
    return np.array(weights)


def log_mel(
    samples,
    *,
    sample_rate,
    n_fft,
    win_length,
    hop_length,
    n_mels,
    fmin,
    fmax,
    amin,
):
    """Decibels (n_frames, n_mels) of a whole recording with zeros around it."""
    n_frames = 1 + len(samples) // hop_length if len(samples) else 0
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(win_length) / win_length)
    window = np.zeros(n_fft)
    start = (n_fft - win_length) // 2
    window[start : start + win_length] = hann if win_length > 1 else 1
    padded = np.pad(samples.astype(float), n_fft // 2)
    weights = mel_weights(
        sample_rate=sample_rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax
    )
    frames = np.zeros((n_frames, n_mels))
    for i in range(n_frames):
        spectrum = np.fft.rfft(padded[i * hop_length :][:n_fft] * window)
        power = weights @ np.abs(spectrum) ** 2
        frames[i] = 10 * np.log10(np.maximum(power, amin))
    return frames


def min_max(values, axis):
    lowest = values.min(axis=axis, keepdims=True)
    span = values.max(axis=axis, keepdims=True) - lowest
    return np.where(span > 0, (values - lowest) / np.where(span > 0, span, 1), 0)


def triple_norm(frames, top_db):
    """Product of three min-max scalings: per frame, per band, over everything."""
    frames = frames.astype(float)
    frames = np.maximum(frames, frames.max() - top_db)
    return min_max(frames, 1) * min_max(frames, 0) * min_max(frames, (0, 1))


def active_frames(scores, onset_threshold, offset_threshold):
    """On, where scores stay at the offset threshold, from the first at the onset threshold."""
    active = np.zeros(len(scores), bool)
    for start, stop in spans(scores >= offset_threshold):
        sure = np.flatnonzero(scores[start:stop] >= onset_threshold)
        if len(sure):
            active[start + sure[0] : stop] = True
    return active


def spans(active):
    """Return the runs of True as [onset, offset) pairs."""
    edges = np.flatnonzero(np.diff([0, *map(int, active), 0]))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def carried_back(scores, reaches, min_rise=3.0):
    """Each score, or the highest one after it that a rise at or before it carries back."""
    odds = np.log(np.clip(scores, 0.002, 0.998) / (1 - np.clip(scores, 0.002, 0.998)))
    rises = [0.0]
    for before, after in itertools.pairwise(odds):
        rises.append(sum(max(b - a, 0.0) for a, b in zip(before, after, strict=True)))
    padded = [0.0, *rises, 0.0]
    peaks = [
        i
        for i, rise in enumerate(rises)
        if rise >= min_rise and padded[i] <= rise > padded[i + 2]
    ]
    carried = scores.copy()
    for label, reach in enumerate(reaches):
        for peak in peaks:
            for source in range(peak, min(peak + reach + 1, len(scores))):
                higher = [i for i in peaks if rises[i] > rises[peak]]
                if any(peak < i <= source for i in higher):
                    break
                part = carried[peak : source + 1, label]
                part[:] = np.maximum(part, scores[source, label])
    return carried


def connect(active, min_gap):
    """Replace with ones the gaps strictly shorter than `min_gap` that have runs on both sides."""
    replaced = active.copy()
    for start, stop in spans(~active):
        if start > 0 and stop < len(active) and stop - start < min_gap:
            replaced[start:stop] = True
    return replaced


def dated_back(runs, scores, rise_threshold, min_gap):
    """Return where the scores rose to each run, but not while the run before was still open."""
    earliest, begins = 0, []
    for onset, offset in runs:
        low = np.flatnonzero(scores[:onset] < rise_threshold)
        begins.append(max(earliest, low[-1] + 1 if len(low) else 0))
        earliest = offset + max(min_gap, 1)
    return begins


def cut(active, min_duration):
    """Replace with zeros the runs strictly shorter than `min_duration`."""
    replaced = active.copy()
    for start, stop in spans(active):
        if stop - start < min_duration:
            replaced[start:stop] = False
    return replaced


def mean(scores):
    """Mean of the exact sum, which has no order."""
    return np.float32(math.fsum(scores.tolist()) / len(scores))


def gap_filter(
    scores,
    onset_thresholds,
    rise_thresholds,
    offset_thresholds,
    min_gaps,
    min_durations,
):
    """Runs (label, onset, offset, score) in the order in which a stream closes them."""
    closed = []
    for label in range(scores.shape[1]):
        column = scores[:, label]
        active = active_frames(
            column, onset_thresholds[label], offset_thresholds[label]
        )
        connected = connect(active, min_gaps[label])
        runs = spans(connected)
        begins = dated_back(runs, column, rise_thresholds[label], min_gaps[label])
        begin_of = dict(zip(runs, begins, strict=True))
        for run in spans(cut(connected, min_durations[label])):
            onset, offset = begin_of[run], run[1]
            # The frame that closes the run; those of the flush come last, by label.
            closing = min(offset + max(min_gaps[label], 1) - 1, len(scores))
            closed.append((closing, label, onset, offset, mean(column[onset:offset])))
    return [run for _, *run in sorted(closed)]


def smooth(scores, reaches):
    """Replace each score by the median, of an even number the upper, of those within reach."""
    smoothed = scores.copy()
    for label, reach in enumerate(reaches):
        for frame in range(len(scores)):
            window = scores[max(0, frame - reach) : frame + reach + 1, label]
            smoothed[frame, label] = statistics.median_high(window.tolist())
    return smoothed
