"""The ensemble of section 3: several networks that vote label by label.

Each label's scores are averaged over the networks with weights: how well each network
did on that label in validation. An ensemble is a network like any other, so it is
evaluated, exported to one file and run as one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from train.networks.resnet import Outputs


def ensemble_weights(
    per_label: Sequence[Mapping[str, float]], labels: Sequence[str]
) -> Tensor:
    """Weigh networks, label by label, by their event F1 on validation (section 3).

    Decision: a label that no network ever got right is averaged evenly.

    Parameters
    ----------
    per_label : sequence of mappings
        For each network, label to event F1, from 0 to 1.
    labels : sequence of str
        The columns of the scores.

    Returns
    -------
    float32 (n_networks, K)
        Each column sums to 1.

    Raises
    ------
    ValueError
        There is no network, or one lacks a label or has an F1 out of range.

    Examples
    --------
    >>> ensemble_weights([{"Cat": 0.3, "Dog": 0.0}, {"Cat": 0.1, "Dog": 0.0}], ["Cat", "Dog"])
    tensor([[0.7500, 0.5000],
            [0.2500, 0.5000]])
    """
    if not per_label:
        raise ValueError("n_networks=0 must be at least 1")
    for number, scores in enumerate(per_label):
        for label in labels:
            if not 0 <= scores.get(label, -1.0) <= 1:
                raise ValueError(
                    f"F1={scores.get(label)} of {label} by network {number} must be "
                    "from 0 to 1"
                )
    f1 = torch.tensor([[scores[label] for label in labels] for scores in per_label])
    f1[:, f1.sum(dim=0) == 0] = 1.0
    weights: Tensor = f1 / f1.sum(dim=0)
    return weights


class Ensemble(nn.Module):
    """The weighted mean of several networks' scores, and the even mean of their regions.

    Parameters
    ----------
    networks : sequence of Module
        Each maps segments to (scores, region), with the same labels and score frames.
    weights : float32 (n_networks, K)
        See `ensemble_weights`.

    Raises
    ------
    ValueError
        The weights are not one row for each network, at least 0, with columns that sum
        to 1.
    """

    weights: Tensor

    def __init__(self, networks: Sequence[nn.Module], weights: Tensor) -> None:
        super().__init__()
        if not networks:
            raise ValueError("n_networks=0 must be at least 1")
        if weights.dim() != 2 or len(weights) != len(networks):
            raise ValueError(
                f"weights of shape {tuple(weights.shape)} must have a row for each of "
                f"the {len(networks)} networks and a column for each label"
            )
        sums = weights.sum(dim=0)
        if not (bool((weights >= 0).all()) and torch.allclose(sums, sums.new_ones(()))):
            raise ValueError(
                f"weights={weights.tolist()} must be at least 0 and each label's sum to 1"
            )
        self.networks = nn.ModuleList(networks)
        self.register_buffer("weights", weights.float().clone())

    def forward(self, x: Tensor) -> Outputs:
        """Compute scores (B, H, K) and region (B, H), both in [0, 1].

        Parameters
        ----------
        x : float32 (B, 1, T, n_mels)
            Scaled segments, time first.
        """
        outputs = [network(x) for network in self.networks]
        scores = torch.stack([scores for scores, _ in outputs])  # (n, B, H, K)
        regions = torch.stack([region for _, region in outputs])
        weighted = scores * self.weights[:, None, None, :]
        return Outputs(weighted.sum(dim=0), regions.mean(dim=0))
