"""The baseline's network in evaluation mode, in NumPy and float64: its slow twin.

Written from the baseline's description and from the names of the weights, not from the
module that holds them: time goes by cell by cell, a mean is a sum that is divided, and
the clip's score is the weighted mean of scores that it is said to be.
"""

import numpy as np
from numpy_network import conv, sigmoid

EPSILON = 1e-3


def block(maps, w, name):
    """Convolve, normalise, gate, and take the mean of each 2 frames by 4 bands."""
    maps = conv(maps, w[f"{name}.0.weight"])
    mean, variance, scale, shift = (
        w[f"{name}.1.{key}"][:, None, None]
        for key in ("running_mean", "running_var", "weight", "bias")
    )
    maps = scale * (maps - mean) / np.sqrt(variance + EPSILON) + shift
    linear = w[f"{name}.2.linear.weight"][:, :, 0, 0]
    linear = np.einsum("oc,ctf->otf", linear, maps)
    linear += w[f"{name}.2.linear.bias"][:, None, None]
    maps = linear * sigmoid(maps)
    n, t, f = maps.shape
    return maps.reshape(n, t // 2, 2, f // 4, 4).sum(axis=(2, 4)) / 8


def recur(inputs, w, suffix):
    """Run the cells of a layer in one direction over (H, I), from the first row on."""
    from_input, from_state = (
        w[f"recurrence.weight_{x}_{suffix}"] for x in ("ih", "hh")
    )
    bias_input, bias_state = (w[f"recurrence.bias_{x}_{suffix}"] for x in ("ih", "hh"))
    n_cells = from_state.shape[1]
    state, states = np.zeros(n_cells), []
    for row in inputs:
        given = np.split(from_input @ row + bias_input, 3)
        kept = np.split(from_state @ state + bias_state, 3)
        reset = sigmoid(given[0] + kept[0])
        update = sigmoid(given[1] + kept[1])
        new = np.tanh(given[2] + reset * kept[2])
        state = new + update * (state - new)
        states.append(state)
    return np.array(states)


def forward(x, w):
    """Compute scores (H, K) and the clip's (K,) of one segment (T, F).

    Parameters
    ----------
    x : (T, F)
        Standardised segment; T a multiple of 8, F of 64.
    w : dict of str to array
        The weights, float64, by their names.
    """
    maps = x[None]
    for number in range(3):
        maps = block(maps, w, f"blocks.{number}")
    hidden = np.array([maps[:, t].ravel() for t in range(maps.shape[1])])
    for layer in range(2):
        forwards = recur(hidden, w, f"l{layer}")
        backwards = recur(hidden[::-1], w, f"l{layer}_reverse")[::-1]
        hidden = np.hstack([forwards, backwards])
    scores = sigmoid(hidden @ w["linear.weight"].T + w["linear.bias"])
    attention = np.exp(hidden @ w["attention.weight"].T + w["attention.bias"])
    attention /= attention.sum(axis=1, keepdims=True)
    return scores, (attention * scores).sum(axis=0) / attention.sum(axis=0)
