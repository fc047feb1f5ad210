"""The objective of the DCASE 2019 baseline: a network that agrees with its own average.

The student is the network that is trained, the teacher the average of its weights. Every
clip, labelled or not, is shown to both, to the teacher under noise, and the student is
drawn to what the teacher says; labelled clips add their cross-entropy. No gradient
reaches the teacher, whose weights the training loop moves (see `train.fit.weight_average`).

The noise comes from torch's global generator, like dropout: a run that restores that
generator's state, or seeds it by the step, continues with the same noise.

References
----------
A. Tarvainen and H. Valpola, "Mean teachers are better role models" (2017), as used by
the baseline of DCASE 2019 task 4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from train.networks.crnn import Crnn


def sigmoid_ramp(progress: float, length: float) -> float:
    """Rise from almost 0 to 1 over the first part of training, flat at both ends.

    Parameters
    ----------
    progress : float
        How much of the training is over, from 0 to 1.
    length : float
        Part of the training that the rise takes; with 0 there is none.

    Returns
    -------
    float
        `exp(-5 (1 - t)**2)` with `t = progress / length`, at most 1.

    Examples
    --------
    >>> [round(sigmoid_ramp(progress, 0.5), 4) for progress in (0.0, 0.25, 0.5, 1.0)]
    [0.0067, 0.2865, 1.0, 1.0]
    """
    left = max(0.0, 1.0 - progress / length) if length > 0 else 0.0
    return math.exp(-5.0 * left**2)


class MeanTeacher:
    """Cross-entropy for labelled clips, consistency with the teacher for all.

    Parameters
    ----------
    consistency : float
        Weight of the two agreements at the end of the ramp; the baseline's is 2.
    ramp : float
        Part of the training that the weight takes to rise, from 0 to 1.
    noise : float
        Standard deviation of the Gaussian noise on the teacher's input, in the unit of
        that input: the deviation of a mel band where the input is standardised.
        Decision: the description names no size that carries over to standardised
        decibels; the baseline draws with a deviation of 0.25, on linear magnitudes.

    Raises
    ------
    ValueError
        A parameter is out of range.
    """

    def __init__(
        self, *, consistency: float = 2.0, ramp: float = 0.5, noise: float = 0.25
    ) -> None:
        for name, value in (("consistency", consistency), ("noise", noise)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name}={value} must be at least 0")
        if not 0 <= ramp <= 1:
            raise ValueError(f"ramp={ramp} must be from 0 to 1")
        self.consistency, self.ramp, self.noise = consistency, ramp, noise

    def __call__(
        self,
        network: Crnn,
        average: Crnn,
        batch: Mapping[str, Tensor],
        progress: float,
    ) -> dict[str, Tensor]:
        """Compute the losses of one batch.

        Parameters
        ----------
        network, average : Crnn
            Student and teacher. Decision: the teacher runs in the mode that it is in,
            which in the loop is evaluation, so its targets have no noise of dropout; the
            baseline's teacher was in training mode.
        batch : mapping
            `x` float32 (B, 1, T, n_mels), `y` float32 (B, H, K), `strong` bool (B,), and
            `labelled` bool (B,) where there are clips without labels, whose `y` is not
            looked at. Of a weak clip only the maximum of `y` over time is used.
        progress : float
            How much of the training is over, from 0 to 1.

        Returns
        -------
        dict of scalars
            `total`, then its parts before weighting: `weak` and `strong`, 0 where the
            batch has no such clips, `consistency_scores` and `consistency_clip`.
        """
        x, y, strong = batch["x"], batch["y"], batch["strong"]
        weak = ~strong
        if "labelled" in batch:
            weak = weak & batch["labelled"]
        student = network.logits(x)
        with torch.no_grad():
            teacher = average(x + self.noise * torch.randn_like(x))
        losses = {
            "weak": cross_entropy(student.clip[weak], y[weak].amax(dim=1)),
            "strong": cross_entropy(student.scores[strong], y[strong]),
            "consistency_scores": disagreement(student.scores, teacher.scores),
            "consistency_clip": disagreement(student.clip, teacher.clip),
        }
        weight = self.consistency * sigmoid_ramp(progress, self.ramp)
        consistency = losses["consistency_scores"] + losses["consistency_clip"]
        total = losses["weak"] + losses["strong"] + weight * consistency
        return {"total": total, **losses}


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Compute the mean binary cross-entropy; 0, with a gradient of 0, for no clips."""
    if logits.shape[0] == 0:
        return logits.sum()
    return functional.binary_cross_entropy_with_logits(logits, target)


def disagreement(logits: Tensor, target: Tensor) -> Tensor:
    """Compute the mean squared difference of probabilities, the target's as they are."""
    return functional.mse_loss(torch.sigmoid(logits), target)
