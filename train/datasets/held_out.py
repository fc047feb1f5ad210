"""Training clips that are held out, to choose checkpoints on (the challenge's baseline)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.datasets.clips import ClipDataset, evaluation_set
from train.datasets.evaluation_set import EvaluationSet


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Clips of the training sets that nothing is learnt from.

    Parameters
    ----------
    strong : EvaluationSet
        Synthetic clips, whose events are known.
    weak_segments : float32 (n, T, n_mels)
        Weak clips, scaled.
    weak_tags : bool (n, K)
        Their labels; of none where a run does without weak clips.
    """

    strong: EvaluationSet
    weak_segments: NDArray[np.float32]
    weak_tags: NDArray[np.bool_]


def split_names(
    names: Sequence[str], share: float, *, seed: Sequence[int]
) -> tuple[list[str], list[str]]:
    """Part clips into those that are trained on and those that are held out.

    Parameters
    ----------
    names : sequence of str
        At least two, if any are to be held out.
    share : float
        Of the clips, from 0 to below 1, that is held out, rounded; at least one clip is,
        if the share is not 0, and at least one is not.
    seed : sequence of int
        Of the draw.

    Returns
    -------
    trained_on, held_out : list of str
        Both in the order of `names`.

    Raises
    ------
    ValueError
        There are too few clips.

    Examples
    --------
    >>> [len(part) for part in split_names("abcdefghij", 0.2, seed=[0])]
    [8, 2]
    """
    if share == 0:
        return list(names), []
    if len(names) < 2:
        raise ValueError(
            f"held_out={share} must leave a clip to train on, and there are {len(names)}"
        )
    n_held = min(max(round(share * len(names)), 1), len(names) - 1)
    drawn = np.random.default_rng(seed).permutation(len(names))[:n_held]
    held = {names[index] for index in drawn}
    return [n for n in names if n not in held], [n for n in names if n in held]


def make_held_out(strong: ClipDataset, weak: ClipDataset | None) -> HeldOut:
    """Hold the clips that were held out in memory."""
    shape = (strong.config.segment_frames, strong.config.n_mels)
    n_weak = 0 if weak is None else len(weak)
    segments = np.zeros((n_weak, *shape), np.float32)
    tags = np.zeros((n_weak, len(strong.labels)), np.bool_)
    if weak is not None:
        for index in range(n_weak):
            example = weak[index]
            segments[index] = example["x"][0].numpy()
            tags[index] = example["y"].numpy().max(axis=0) > 0
    return HeldOut(evaluation_set(strong), segments, tags)
