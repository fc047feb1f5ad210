"""The loss of teaching new sounds without forgetting the old ones.

Only the last layer learns, and of it only the rows of the labels that are taught. So all
scores of the other labels stay what they were: nothing can be forgotten.
What the mixtures hold of the taught labels is known and is the target. Of a shipped label
that is taught more, nobody knows where else it is in the user's own recordings; there the
old network's score is the target, whatever it is ("learning without forgetting", Li and
Hoiem, 2016).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from train.fit.losses import class_loss, edge_weights, strong_loss
from train.networks.resnet import Network


class AdaptationCriterion:
    """The loss of segments of scenes.

    Parameters
    ----------
    old : Network
        The network as it was shipped, on the device that trains.
    labels : sequence of str
        Columns of the new network: those of the old one come first.
    mixed : sequence of str
        Columns of the targets.
    taught : sequence of str
        Labels that the user's recordings hold.
    edge : float
        Weight of the newest frames, as in `SceneCriterion`.
    n_edge : int
        How many score frames these are.
    """

    def __init__(
        self,
        old: Network,
        labels: Sequence[str],
        mixed: Sequence[str],
        taught: Sequence[str],
        *,
        edge: float,
        n_edge: int,
    ) -> None:
        self.old = old.eval()
        self.n_old = old.linear.out_features
        self.columns = torch.tensor([labels.index(label) for label in mixed])
        self.n_labels = len(labels)
        self.taught = torch.tensor([labels.index(label) for label in taught])
        self.edge, self.n_edge = edge, n_edge

    def __call__(
        self,
        network: Network,
        _average: Network,
        batch: Mapping[str, Tensor],
        _progress: float,
    ) -> dict[str, Tensor]:
        """Compute the losses of a batch, `x` and `y`; see `Criterion`."""
        freeze_norms(network)
        y = torch.zeros(*batch["y"].shape[:2], self.n_labels, device=batch["y"].device)
        y[..., self.columns] = batch["y"]
        with torch.no_grad():
            # The old network's maps are the new one's, and nothing is dropped of them.
            maps, _ = self.old.trunk(batch["x"])
            seen = network.opinions(maps)
            old = torch.sigmoid(self.old.decide(self.old.opinions(maps)).float())
        scores = network.decide(seen).float()[..., self.taught]
        target = self.targets(y, old)[..., self.taught]
        weights = edge_weights(y, edge=self.edge, n_edge=self.n_edge)
        even = torch.full((len(self.taught),), 1.0 / len(self.taught))
        strong = strong_loss(scores, target, weights)
        classification = class_loss(scores, target, even.to(y.device))
        return {
            "total": strong + classification,
            "strong": strong,
            "classification": classification,
        }

    def targets(self, y: Tensor, old: Tensor) -> Tensor:
        """Return what each score should be, (B, H, K).

        Parameters
        ----------
        y : float32 (B, H, K)
            What was mixed.
        old : float32 (B, H, n_old)
            What the old network says.
        """
        known = y[..., : self.n_old].amax(dim=2, keepdim=True) > 0
        shipped = torch.where(known, y[..., : self.n_old], old)
        return torch.cat([shipped, y[..., self.n_old :]], dim=2)


def freeze_norms(network: nn.Module) -> None:
    """Let batch norms use the statistics that they have, and keep them."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
