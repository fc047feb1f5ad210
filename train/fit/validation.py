"""What a validation found: what is logged of it, and by what checkpoints are ranked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from train.evaluation.held_out_score import HeldOutScore
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
        What the network scores on training clips that were held out, where they choose.
    """

    loss: float
    f1: F1
    held_out: HeldOutScore | None = None

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
        row |= {label: round(f1, 4) for label, f1 in self.f1.per_label.items()}
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
