"""The losses of the report's section 2.6, in logits where it writes probabilities.

`L = L_class + L_strong + alpha * L_region` (eq. 2). Each term is a binary cross-entropy;
computed from logits it is the same number and stays finite where a probability would
round to 0 or 1. The maxima that make clip and region outputs from scores may be taken
over logits, since the sigmoid is monotone.

Names are the report's: `f_s` scores, `f_c` their maximum over time, `f_e` their maximum
over labels, `f_p` the region that the self-mask proposes, `f_r` the region that the
input itself shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from train.networks.resnet import Network, Outputs
from train.networks.views import Views

RAW_THRESHOLD = 0.5
"""Spectral intensity up to which the raw-event region is 0 (section 2.3)."""


class Losses(NamedTuple):
    """The total and its three parts before weighting, scalars."""

    total: Tensor
    classification: Tensor
    strong: Tensor
    region: Tensor

    @classmethod
    def of(
        cls, classification: Tensor, strong: Tensor, region: Tensor, *, alpha: float
    ) -> Losses:
        """Add up the parts (eq. 2)."""
        total = classification + strong + alpha * region
        return cls(total, classification, strong, region)


def class_weights(n_events: Sequence[int]) -> Tensor:
    """Weigh labels by rarity: a softmax of `1 / n_k` (eq. 3).

    Parameters
    ----------
    n_events : sequence of int
        Events of each label in the strong set, or clips that bear it in the weak set; a
        label without any counts as one.

    Returns
    -------
    float32 (K,)
        Weights that sum to 1.

    Examples
    --------
    >>> class_weights([1, 1, 1, 1])
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    counts = torch.tensor(list(n_events), dtype=torch.float32).clamp(min=1.0)
    return torch.softmax(1.0 / counts, dim=0)


def raw_region(x: Tensor, n_score_frames: int) -> Tensor:
    """Compute `f_r`: where the input itself is intense (section 2.3).

    Decision: "a hyperbolic tangent function with a threshold value of 0.5" is read as
    `tanh(v)` where the intensity `v` is above 0.5, and 0 elsewhere.

    Parameters
    ----------
    x : float32 (B, 1, T, n_mels)
        Normalised segments.
    n_score_frames : int
        H; T must be a multiple of it.

    Returns
    -------
    float32 (B, H)
        In [0, 1).
    """
    intensity = functional.max_pool1d(x.amax(dim=(1, 3)), x.shape[2] // n_score_frames)
    return torch.where(intensity > RAW_THRESHOLD, torch.tanh(intensity), 0.0)


def class_loss(score_logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Compute the weighted cross-entropy of clip scores (eq. 4); 0 for no clips.

    Parameters
    ----------
    score_logits, target : float32 (B, H, K)
        Logits of `f_s`, whose maxima over time are those of `f_c`, and targets, whose
        maxima are the tags.
    weights : float32 (K,)
        See `class_weights`.
    """
    if score_logits.shape[0] == 0:
        return score_logits.sum()
    losses = functional.binary_cross_entropy_with_logits(
        score_logits.amax(dim=1), target.amax(dim=1), reduction="none"
    )
    return (losses * weights).mean()


def strong_loss(
    score_logits: Tensor, target: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Compute the cross-entropy of scores, mean over frames and labels (eq. 6).

    Parameters
    ----------
    score_logits, target : float32 (B, H, K)
        Strong clips only; 0 for none.
    weights : float32 (H, 1), optional
        Of the frames; 1 each if left out, as in the report.
    """
    if score_logits.shape[0] == 0:
        return score_logits.sum()
    return functional.binary_cross_entropy_with_logits(score_logits, target, weights)


def edge_weights(target: Tensor, *, edge: float, n_edge: int) -> Tensor:
    """Weigh the newest frames of segments by `edge`, the others by 1; see `strong_loss`.

    Parameters
    ----------
    target : float32 (B, H, K)
        Whose frames; the weights are on its device.
    edge : float
        Weight of the newest frames, from which a stream reports first.
    n_edge : int
        How many these are, at least 1.

    Returns
    -------
    float32 (H, 1)

    Examples
    --------
    >>> edge_weights(torch.zeros(2, 4, 1), edge=3.0, n_edge=1).flatten()
    tensor([1., 1., 1., 3.])
    """
    weights = torch.ones(target.shape[1], 1, device=target.device)
    weights[-n_edge:] = edge
    return weights


def region_loss(logits: Outputs, raw: Tensor) -> Tensor:
    """Draw the proposal to the events and the events to the raw region (eq. 8).

    Decision: a target is a constant. So the first term moves the proposal alone (by the
    self-mask and the stem below it), the second the scores alone.

    Parameters
    ----------
    logits : Outputs
        Of `f_s`, whose maxima over labels are those of `f_e`, and of `f_p`.
    raw : float32 (B, H)
        `f_r`, see `raw_region`.
    """
    event_logits = logits.scores.amax(dim=2)
    events = torch.sigmoid(event_logits).detach()
    proposal = functional.binary_cross_entropy_with_logits(logits.region, events)
    event = functional.binary_cross_entropy_with_logits(event_logits, raw.detach())
    return proposal + event


class Criterion:
    """The total loss of a batch of strong and weak clips (eqs. 2 and 5).

    Parameters
    ----------
    strong_counts, weak_counts : sequence of int
        Per label: events of the strong set, clips of the weak set (see `class_weights`).
    alpha : float
        Weight of the region loss; 0.1 and 0.01 in the report.
    """

    def __init__(
        self, strong_counts: Sequence[int], weak_counts: Sequence[int], *, alpha: float
    ) -> None:
        self.strong_weights = class_weights(strong_counts)
        self.weak_weights = class_weights(weak_counts)
        self.alpha = alpha

    def __call__(
        self,
        network: Network,
        _average: Network,
        batch: Mapping[str, Tensor],
        _progress: float,
    ) -> dict[str, Tensor]:
        """Compute the losses of a batch as the training loop asks for them.

        Parameters
        ----------
        network : Network
            What is trained, or validated.
        batch : mapping
            `x`, `y` and `strong`, see `losses`.

        Returns
        -------
        dict
            `total` and its parts.
        """
        logits = Outputs(*(each.float() for each in network.logits(batch["x"])))
        losses = self.losses(batch["x"], logits, batch["y"], batch["strong"])
        return losses._asdict()

    def losses(self, x: Tensor, logits: Outputs, y: Tensor, strong: Tensor) -> Losses:
        """Compute the losses of one batch.

        Parameters
        ----------
        x : float32 (B, 1, T, n_mels)
            What the network saw.
        logits : Outputs
            What it answered, before the sigmoid.
        y : float32 (B, H, K)
            Targets; of a weak clip only the maximum over time is used.
        strong : bool (B,)
            Which clips have strong targets.
        """
        self.strong_weights = self.strong_weights.to(y.device)
        self.weak_weights = self.weak_weights.to(y.device)
        scores, weak = logits.scores, ~strong
        of_strong = class_loss(scores[strong], y[strong], self.strong_weights)
        of_weak = class_loss(scores[weak], y[weak], self.weak_weights)
        return Losses.of(
            of_strong + of_weak,
            strong_loss(scores[strong], y[strong]),
            region_loss(logits, raw_region(x, y.shape[1])),
            alpha=self.alpha,
        )


class SceneCriterion:
    """The report's loss on segments of scenes, and what scenes know besides.

    The last second may be weighted more, and sounds of other kinds than the labels are learnt
    by name (`Network.all_logits`), so that a laugh is a laugh and not merely no bark.

    Parameters
    ----------
    counts : sequence of int
        Events of each label (see `class_weights`).
    alpha, auxiliary : float
        Weights of the region loss and of the other kinds' cross-entropy.
    edge : float
        Weight of the newest frames.
    n_edge : int
        How many score frames these are.
    """

    def __init__(
        self,
        counts: Sequence[int],
        *,
        alpha: float,
        auxiliary: float,
        edge: float,
        n_edge: int,
    ) -> None:
        self.weights = class_weights(counts)
        self.alpha, self.auxiliary = alpha, auxiliary
        self.edge, self.n_edge = edge, n_edge
        self._views = Views()

    def __call__(
        self,
        network: Network,
        _average: Network,
        batch: Mapping[str, Tensor],
        _progress: float,
    ) -> dict[str, Tensor]:
        """Compute the losses of a batch, `x`, `y` and `others`; see `Criterion`."""
        x, y, others = batch["x"], batch["y"], batch["others"]
        scores, region, kinds = (each.float() for each in network.all_logits(x))
        raw = raw_region(self._views(x)[:, :1], y.shape[1])
        losses = Losses.of(
            class_loss(scores, y, self.weights.to(y.device)),
            strong_loss(scores, y, edge_weights(y, edge=self.edge, n_edge=self.n_edge)),
            region_loss(Outputs(scores, region), raw),
            alpha=self.alpha,
        )
        if not kinds.shape[2]:
            return losses._asdict()
        auxiliary = strong_loss(kinds, others)
        total = losses.total + self.auxiliary * auxiliary
        return {**losses._replace(total=total)._asdict(), "auxiliary": auxiliary}
