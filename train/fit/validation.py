"""Results of a validation: what is logged, and how checkpoints are ranked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streamsed.config import FrontendConfig, PostConfig
from train.datasets.evaluation_set import EvaluationSet
from train.datasets.held_out import HeldOut
from train.evaluation.held_out_score import HeldOutScore, score_held_out
from train.evaluation.scoring import network_scores, score_events
from train.fit.outcome import MEASURES
from train.metrics.f1 import F1


@dataclass(frozen=True, slots=True)
class Validation:
    """One measurement of a network during its training.

    Parameters
    ----------
    loss : float
        Mean loss on the validation clips.
    f1 : F1
        Event F1 on the validation clips.
    held_out : HeldOutScore or None
        Scores on held-out training clips, if checkpoints are ranked by them.
    """

    loss: float
    f1: F1
    held_out: HeldOutScore | None = None

    @classmethod
    def of(
        cls,
        network: Any,
        data: EvaluationSet,
        held_out: HeldOut | None,
        grid: FrontendConfig,
        *,
        loss: float,
    ) -> Validation:
        """Score a network in evaluation mode on validation and held-out clips.

        Parameters
        ----------
        network : Network or Crnn
            What is measured.
        data : EvaluationSet
            The validation clips.
        held_out : HeldOut or None
            Training clips that choose, if any do; the network is then a `Crnn`.
        grid : FrontendConfig
            The grid of its scores.
        loss : float
            Its mean loss on the validation clips.
        """
        scores = list(network_scores(network, data.segments))
        f1 = score_events(scores, data, PostConfig(), grid)
        on_held_out = (
            None if held_out is None else score_held_out(network, held_out, grid)
        )
        return cls(loss, f1, on_held_out)

    @property
    def rank(self) -> float:
        """What checkpoints are ranked by, the lowest first."""
        return self.loss if self.held_out is None else -self.held_out.total

    def to_row(self) -> dict[str, float]:
        """Return what `validation.csv` holds, but for step and time."""
        row = {
            "loss": round(self.loss, 5),
            "macro": round(self.f1.macro, 4),
            "micro": round(self.f1.micro, 4),
        }
        row |= {_column(k): round(f1, 4) for k, f1 in self.f1.per_label.items()}
        if self.held_out is not None:
            row["held_out_events"] = round(self.held_out.events, 4)
            row["held_out_tags"] = round(self.held_out.tags, 4)
        return row

    def to_checkpoint(self) -> dict[str, Any]:
        """Return what a checkpoint holds beside the weights."""
        return {
            "loss": self.loss,
            "rank": self.rank,
            "f1_per_label": dict(self.f1.per_label),
        }


def _column(label: str) -> str:
    """Return the column of a label: its name, unless a column of the log is called so."""
    return f"label {label}" if label in MEASURES else label
