"""Batches from several sets of clips: some strong, some weak, perhaps some unlabelled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from train.datasets.clip_features import Example


class Interleaved(Dataset[Example]):
    """Endless examples in a fixed rhythm of sets; example `i` is always the same.

    Each set is traversed in its own order, shuffled for each pass.

    ::

        parts (strong, 2), (weak, 1)      strong strong weak | strong strong weak | ...

    Parameters
    ----------
    parts : sequence of (Dataset, int)
        Sets with a length, and how many examples of each make one round. A set without
        clips is left out.
    seed : int
        Of the orders.

    Raises
    ------
    ValueError
        No set has a clip.

    Examples
    --------
    >>> batches = Interleaved([("ab", 2), ("xyz", 1)], seed=0)
    >>> first = [batches[i] for i in range(9)]
    >>> sorted(first[i] for i in (2, 5, 8)), sorted(first[i] for i in (0, 1))
    (['x', 'y', 'z'], ['a', 'b'])
    """

    def __init__(
        self, parts: Sequence[tuple[Dataset[Example], int]], *, seed: int
    ) -> None:
        self._parts = [(clips, n) for clips, n in parts if n and _size(clips)]
        if not self._parts:
            raise ValueError(f"parts={len(parts)} sets must have a clip")
        self._seed = seed
        self._rhythm = [
            (part, place)
            for part, (_, n) in enumerate(self._parts)
            for place in range(n)
        ]
        self._orders: dict[int, tuple[int, np.ndarray]] = {}

    def __getitem__(self, index: int) -> Example:
        """Return the example at a place of the endless row."""
        turn, beat = divmod(index, len(self._rhythm))
        part, place = self._rhythm[beat]
        clips, n = self._parts[part]
        lap, position = divmod(turn * n + place, _size(clips))
        return clips[int(self._order(part, lap)[position])]

    def _order(self, part: int, lap: int) -> np.ndarray:
        """Return the order of a set in one of its passes, from memory if it is the last."""
        known = self._orders.get(part)
        if known is None or known[0] != lap:
            rng = np.random.default_rng([self._seed, part, lap])
            known = lap, rng.permutation(_size(self._parts[part][0]))
            self._orders[part] = known
        return known[1]


def _size(clips: Dataset[Example]) -> int:
    return len(clips)  # type: ignore[arg-type]
