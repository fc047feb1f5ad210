"""The network in evaluation mode, in NumPy and float64: its slow twin.

Written from the report's sections 2.3 to 2.5, from the settings' documentation where the
shipped network goes beyond the report, and from the names of the weights, not from the
modules that hold them: a convolution is a sum over its taps, a shortcut is an addition
that stands here, and nothing is fused or reordered.
"""

import itertools

import numpy as np
import numpy_yamnet

TOP_DB = 80.0
"""dB that levels from 0 to 1 span."""
EPSILON = 1e-5


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def relu(values):
    return np.where(values > 0, values, 0)


def conv(maps, weight, *, stride=(1, 1), bias=None):
    """Sum over the taps of an odd kernel; (C, T, F) with zeros around."""
    _, _, height, width = weight.shape
    padded = np.pad(maps, ((0, 0), (height // 2,) * 2, (width // 2,) * 2))
    n_times = -(-maps.shape[1] // stride[0])
    n_bands = -(-maps.shape[2] // stride[1])
    out = np.zeros((len(weight), n_times, n_bands))
    for i in range(height):
        for j in range(width):
            shifted = padded[:, i:, j:][
                :, : maps.shape[1] : stride[0], : maps.shape[2] : stride[1]
            ]
            out += np.einsum("oc,ctf->otf", weight[:, :, i, j], shifted)
    return out if bias is None else out + bias[:, None, None]


def norm(maps, w, name):
    """Batch norm by the statistics that training has gathered."""
    mean, variance, scale, shift = (
        w[f"{name}.{key}"][:, None, None]
        for key in ("running_mean", "running_var", "weight", "bias")
    )
    return scale * (maps - mean) / np.sqrt(variance + EPSILON) + shift


def max_pool(maps, size):
    """The largest of each square."""
    n, t, f = maps.shape
    squares = maps.reshape(n, t // size, size, f // size, size)
    return squares.max(axis=4).max(axis=2)


def residual_unit(maps, w, name):
    inner = relu(norm(conv(maps, w[f"{name}.body.0.weight"]), w, f"{name}.body.1"))
    return maps + norm(conv(inner, w[f"{name}.body.3.weight"]), w, f"{name}.body.4")


def excite(maps, w, name):
    """Scale each channel by what a small network makes of all their means."""
    means = np.array([channel.sum() / channel.size for channel in maps])
    hidden = relu(w[f"{name}.0.weight"] @ means + w[f"{name}.0.bias"])
    gates = sigmoid(w[f"{name}.2.weight"] @ hidden + w[f"{name}.2.bias"])
    return np.stack([gate * channel for gate, channel in zip(gates, maps, strict=True)])


def pre_activation_unit(maps, w, name, stride):
    inner = relu(norm(maps, w, f"{name}.body.0"))
    inner = conv(inner, w[f"{name}.body.2.weight"], stride=stride)
    inner = relu(norm(inner, w, f"{name}.body.3"))
    inner = conv(inner, w[f"{name}.body.5.weight"])
    if f"{name}.body.6.gate.0.weight" in w:
        inner = excite(inner, w, f"{name}.body.6.gate")
    shortcut = maps
    if f"{name}.shortcut.0.weight" in w:
        shortcut = conv(maps, w[f"{name}.shortcut.0.weight"], stride=stride)
        shortcut = norm(shortcut, w, f"{name}.shortcut.1")
    return shortcut + inner


def height(values):
    """Tell how high each value lies between the lowest, 0, and the highest, 1."""
    if np.ptp(values) == 0:
        return np.zeros_like(values)
    return 1 - (values.max() - values) / np.ptp(values)


def three_views(level):
    """Stack the report's product, the level, and each frame's shape; (3, T, F)."""
    by_frame = np.array([height(frame) for frame in level])
    by_band = np.array([height(band) for band in level.T]).T
    return np.stack([by_frame * by_band * height(level), level, by_frame])


def temporal_unit(frames, w, name, dilation):
    """Let each frame of (C, H) see the two that are a dilation before and after it."""
    inner = relu(norm(frames[:, :, None], w, f"{name}.body.0"))[:, :, 0]
    inner = w[f"{name}.body.2.weight"][:, :, 0, 0] @ inner
    inner = relu(norm(inner[:, :, None], w, f"{name}.body.3"))[:, :, 0]
    before, here, after = np.moveaxis(w[f"{name}.body.5.weight"][..., 0], 2, 0)
    seen = here @ inner
    for t in range(inner.shape[1]):
        if t - dilation >= 0:
            seen[:, t] += before @ inner[:, t - dilation]
        if t + dilation < inner.shape[1]:
            seen[:, t] += after @ inner[:, t + dilation]
    seen = relu(norm(seen[:, :, None], w, f"{name}.body.6"))[:, :, 0]
    wide = w[f"{name}.body.8.weight"][:, :, 0, 0] @ seen
    return frames + wide + w[f"{name}.body.8.bias"][:, None]


def known_sounds(level, w, bands):
    """Turn YAMNet's features into some channels, as many times as there are scores; (C, H)."""
    amplitudes = 10 ** ((level - 1) * TOP_DB / 20) @ bands
    names = itertools.takewhile(
        lambda name: f"{name}.weight" in w,
        (f"yamnet.layers.{i}" for i in itertools.count()),
    )
    features = numpy_yamnet.features(
        np.log(amplitudes + numpy_yamnet.OFFSET),
        [(w[f"{name}.weight"], w[f"{name}.bias"]) for name in names],
        last_stride=1,
    )
    maps = conv(norm(features[:, :, None], w, "known.0"), w["known.2.weight"])
    return np.repeat(relu(norm(maps, w, "known.3"))[:, :, 0], 2, axis=1)


def last_layers(pooled, w, config):
    """Turn what was pooled over frequency, (C, H), into logits (H, K)."""
    for unit, dilation in enumerate(config.context):
        pooled = temporal_unit(pooled, w, f"context.{unit}", dilation)
    pooled = relu(pooled)  # already positive where no unit follows the pooling
    return (w["linear.weight"] @ pooled).T + w["linear.bias"]


def highest_near(rows, reach=6):
    """The highest of each row and those up to `reach` before and after it; (H, K)."""
    return np.array(
        [
            np.max(rows[max(0, i - reach) : i + reach + 1], axis=0)
            for i in range(len(rows))
        ]
    )


def forward(x, w, config, *, bands=None):
    """Compute scores (H, K) and region (H,) of one segment (T, F).

    Parameters
    ----------
    x : (T, F)
        Scaled segment.
    w : dict of str to array
        The weights, float64, by their names.
    config : NetworkConfig
        Its strides, stages of the stem, views and dilations; whether there are a mask,
        excitation and a bias by band is known from the weights.
    bands : (F, 64), optional
        What YAMNet's bands have of each amplitude, where it is part of the network.
    """
    maps = three_views(x) if config.views else x[None]
    for stage in range(config.stem_pools):
        maps = conv(maps, w[f"stem.{4 * stage}.weight"])
        maps = max_pool(relu(norm(maps, w, f"stem.{4 * stage + 1}")), 2)
    if "band_bias" in w:
        maps = maps + w["band_bias"][0]  # (C, 1, F): the same at all times
    region = None
    if "mask.project.weight" in w:
        mask = residual_unit(maps, w, "mask.units.0")
        mask = residual_unit(mask, w, "mask.units.1")
        mask = sigmoid(
            conv(mask, w["mask.project.weight"], bias=w["mask.project.bias"])
        )
        maps = mask * maps
        step = {1: 4, 2: 2}[config.stem_pools]  # frames of the mask for one of scores
        region = np.array(
            [mask[:, a : a + step].max() for a in range(0, mask.shape[1], step)]
        )
    for block, stride in enumerate(config.strides):
        maps = pre_activation_unit(maps, w, f"blocks.{block}.0", stride)
        maps = pre_activation_unit(maps, w, f"blocks.{block}.1", (1, 1))
    maps = relu(norm(maps, w, "head.0"))
    pooled = maps.sum(axis=2) / maps.shape[2]
    opinions = [pooled]
    if config.yamnet:
        known = known_sounds(x, w, bands)
        opinions = [np.concatenate([pooled, known])]
        if config.yamnet_alone:
            opinions.append(np.concatenate([0 * pooled, known]))
    logits, *others = (last_layers(each, w, config) for each in opinions)
    for each in others:
        logits = logits + 0.5 * (highest_near(each) - highest_near(logits))
    scores = sigmoid(logits)
    return scores, scores.max(axis=1) if region is None else region
