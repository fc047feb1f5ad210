"""YAMNet in NumPy and float64, from its publication: its mel bands, and a slow twin.

Its front-end is computed from samples at 16 kHz, as YAMNet's own does, whereas
`train.networks.yamnet` takes the levels of another front-end. Its layers are the table of
the paper on MobileNets, padded as TensorFlow's SAME does: by as much as the last window needs,
and the odd one behind.
"""

import numpy as np

RATE, WINDOW, HOP, N_FFT, N_BANDS = 16_000, 400, 160, 512, 64
OFFSET = 1e-3
LAYERS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5)
LAYERS += ((1024, 2),)
"""Channels and strides of the separable convolutions behind the first convolution."""


def mel_amplitudes(samples):
    """Sum each frame's magnitudes under 64 triangles; (n_frames, 64)."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    starts = range(0, len(samples) - WINDOW + 1, HOP)
    frames = np.array([samples[start : start + WINDOW] * window for start in starts])
    magnitudes = np.abs(np.fft.rfft(frames, N_FFT))
    mels = 1127 * np.log(1 + np.arange(N_FFT // 2 + 1) * RATE / N_FFT / 700)
    first, last = 1127 * np.log(1 + np.array([125, 7500]) / 700)
    step = (last - first) / (N_BANDS + 1)
    centres = first + step * np.arange(1, N_BANDS + 1)
    return magnitudes @ np.maximum(0, 1 - abs(mels[:, None] - centres) / step)


def same(size, stride, kernel):
    """Return zeros before and behind, and the number of places, of one dimension."""
    n_places = -(-size // stride)
    missing = max(0, (n_places - 1) * stride + kernel - size)
    return missing // 2, missing - missing // 2, n_places


def convolved(maps, weight, bias, strides):
    """Convolve (n_in, T, F), each channel by itself if the weight has one input."""
    apart = weight.shape[1] == 1 and len(maps) > 1
    kernel = weight.shape[-1]
    (top, bottom, n_times), (left, right, n_bands) = (
        same(size, stride, kernel)
        for size, stride in zip(maps.shape[1:], strides, strict=True)
    )
    padded = np.pad(maps, ((0, 0), (top, bottom), (left, right)))
    out = bias[:, None, None]
    for i in range(kernel):
        for j in range(kernel):
            times = i + strides[0] * np.arange(n_times)
            seen = padded[:, times][:, :, j + strides[1] * np.arange(n_bands)]
            if apart:
                out = out + weight[:, 0, i, j, None, None] * seen
            else:
                out = out + np.tensordot(weight[:, :, i, j], seen, 1)
    return np.maximum(out, 0)


def features(log_mel, layers, *, last_stride=2):
    """Compute the mean over frequency of the maps before YAMNet's last block.

    Parameters
    ----------
    log_mel : (T, 64)
        Logarithms of amplitudes; T a multiple of 32.
    layers : sequence of (weight, bias)
        In order.
    last_stride : {2, 1}
        Of the last separable convolution over time: YAMNet's, or one that skips nothing.

    Returns
    -------
    (1024, T / 16 / last_stride)
    """
    layers = iter(layers)
    maps = convolved(log_mel[None], *next(layers), (2, 2))
    for n_channels, stride in LAYERS:
        depthwise, pointwise = next(layers), next(layers)
        assert len(pointwise[0]) == n_channels
        over_time = last_stride if n_channels == 1024 else stride
        maps = convolved(maps, *depthwise, (over_time, stride))
        maps = convolved(maps, *pointwise, (1, 1))
    assert next(layers, None) is None
    return maps.mean(axis=2)
