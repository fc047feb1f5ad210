"""Counts of hits per clip and label, and the F1 that follows from them.

Every F1 here is `2 * hits / (n_reference + n_estimated)`; what counts as a hit differs
(see `train.metrics.criteria`). *Macro* is the mean over the labels that the reference names,
*micro* the F1 of all counts together. Counts are kept clip by clip, so that resampling
clips (the bootstrap) is one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class F1:
    """F1, from 0 to 1.

    Parameters
    ----------
    macro : float
        Mean over the labels that the reference names.
    micro : float
        Of all counts together, false alarms of absent labels included.
    per_label : dict of str to float
        A label without a hit has 0, never NaN.
    absent : tuple of str
        Labels that the reference never names, left out of `macro`.
    """

    macro: float
    micro: float
    per_label: dict[str, float]
    absent: tuple[str, ...] = ()

    def to_dict(self, name: str = "event_f1") -> dict[str, Any]:
        """Return the scores as a dict that JSON can hold, to four decimals."""
        return {
            f"{name}_macro": round(self.macro, 4),
            f"{name}_micro": round(self.micro, 4),
            f"{name}_per_label": {k: round(v, 4) for k, v in self.per_label.items()},
        }


@dataclass(frozen=True, slots=True)
class Intervals:
    """Bootstrap intervals of an F1."""

    macro: Span
    micro: Span
    per_label: dict[str, Span]


@dataclass(frozen=True, slots=True)
class Counts:
    """What was hit.

    Parameters
    ----------
    labels : tuple of str
        The columns.
    hits, n_reference, n_estimated : int64 (n_clips, n_labels)
        Events (or segments) found, there to be found, and claimed.
    """

    labels: tuple[str, ...]
    hits: NDArray[np.int64]
    n_reference: NDArray[np.int64]
    n_estimated: NDArray[np.int64]

    @property
    def absent(self) -> tuple[str, ...]:
        """Labels that the reference never names."""
        named = self.n_reference.sum(axis=0) > 0
        return tuple(
            label
            for label, is_named in zip(self.labels, named, strict=True)
            if not is_named
        )

    def f1(self) -> F1:
        """Compute F1 over all clips.

        Examples
        --------
        >>> counts = Counts(
        ...     ("Cat", "Dog", "Mouse"), hits=np.array([[1, 0, 0], [1, 0, 0]]),
        ...     n_reference=np.array([[1, 0, 0], [1, 1, 0]]),
        ...     n_estimated=np.array([[2, 0, 1], [2, 0, 0]]))
        >>> counts.f1()  # doctest: +NORMALIZE_WHITESPACE, +ELLIPSIS
        F1(macro=0.333..., micro=0.5,
           per_label={'Cat': 0.666..., 'Dog': 0.0, 'Mouse': 0.0}, absent=('Mouse',))
        """
        macro, micro, per_label = _f1(*(table.sum(axis=0) for table in self._tables()))
        scores = dict(zip(self.labels, per_label.tolist(), strict=True))
        return F1(float(macro), float(micro), scores, self.absent)

    def bootstrap(
        self, *, n_resamples: int = 1000, level: float = 0.95, seed: int = 0
    ) -> Intervals:
        """Resample the clips with replacement and compute the intervals of F1.

        Parameters
        ----------
        n_resamples : int
            How often.
        level : float
            Share of the resamples between the two ends.
        seed : int
            Of the draws.

        Returns
        -------
        Intervals
            A resample whose reference does not name a label says nothing of it: it is
            left out of the label's interval, as the label is of its macro mean.
        """
        n_clips = len(self.hits)
        rng = np.random.default_rng(seed)
        uniform = np.full(n_clips, 1 / max(n_clips, 1))
        draws = rng.multinomial(n_clips, uniform, size=n_resamples).astype(np.float64)
        hits, n_reference, n_estimated = (draws @ table for table in self._tables())
        macro, micro, per_label = _f1(hits, n_reference, n_estimated)
        ends = (1 - level) / 2, (1 + level) / 2
        return Intervals(
            _span(macro, ends),
            _span(micro, ends),
            {
                label: _span(per_label[n_reference[:, column] > 0, column], ends)
                for column, label in enumerate(self.labels)
            },
        )

    def _tables(self) -> tuple[NDArray[np.int64], ...]:
        return self.hits, self.n_reference, self.n_estimated


def _f1(
    hits: NDArray[Any], n_reference: NDArray[Any], n_estimated: NDArray[Any]
) -> tuple[NDArray[np.float64], ...]:
    """Compute macro, micro and each label's F1 of counts (..., n_labels)."""
    per_label = 2 * hits / np.maximum(n_reference + n_estimated, 1)
    named = n_reference > 0
    macro = (per_label * named).sum(-1) / np.maximum(named.sum(-1), 1)
    n_all = n_reference.sum(-1) + n_estimated.sum(-1)
    return macro, 2 * hits.sum(-1) / np.maximum(n_all, 1), per_label


def _span(values: NDArray[np.float64], ends: Span) -> Span:
    """Find the quantiles of values; 0 of none."""
    if not len(values):
        return 0.0, 0.0
    low, high = np.quantile(values, ends)
    return float(low), float(high)
