"""What came of a run, read from its logs: for people, when it is over."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HELD_OUT = ("held_out_events", "held_out_tags")
MEASURES = ("step", "minutes", "loss", "macro", "micro", *HELD_OUT)
"""Columns of `validation.csv` beside those of the labels."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How far a run came, and how good its best network is.

    Parameters
    ----------
    step : int
        Steps taken.
    minutes : float
        Minutes that they took.
    first_loss, last_loss : float
        Means over the first and the last steps that were logged.
    best : mapping
        The row of `validation.csv` with the lowest loss, or the highest F1 on held-out
        clips where there are such: "step", "loss", event F1 "macro" and "micro" from 0
        to 1; empty if nothing was validated.
    f1_per_label : mapping
        Event F1 of each label in that row, from 0 to 1.
    """

    step: int
    minutes: float
    first_loss: float
    last_loss: float
    best: Mapping[str, float] = field(default_factory=dict)
    f1_per_label: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, run: Path) -> RunOutcome:
        """Read the logs in a run's folder.

        Raises
        ------
        OSError
            There is no log.
        """
        losses = _rows(run / "log.csv")
        validations = _rows(run / "validation.csv")
        best = min(validations, key=_rank, default={})
        return cls(
            step=int(losses[-1]["step"]),
            minutes=losses[-1]["minutes"],
            first_loss=losses[0]["total"],
            last_loss=losses[-1]["total"],
            best={name: best[name] for name in MEASURES if name in best},
            f1_per_label={k: v for k, v in best.items() if k not in MEASURES},
        )

    def lines(self) -> Iterator[str]:
        """Give sentences for people, and a row for each label."""
        yield (
            f"{self.step} steps in {self.minutes:.1f} minutes; loss "
            f"{self.first_loss:.4f} at first, {self.last_loss:.4f} at last"
        )
        if not self.best:
            yield "nothing was measured on the way, so how good it is is not known"
            return
        yield (
            f"best at step {self.best['step']:.0f}: validation loss "
            f"{self.best['loss']:.4f}, event F1 {self.best['macro']:.1%} macro, "
            f"{self.best['micro']:.1%} micro, before thresholds are tuned"
        )
        width = max(map(len, self.f1_per_label), default=0)
        for label, f1 in self.f1_per_label.items():
            yield f"  {label:<{width}}  {f1:6.1%}"


def _rank(row: Mapping[str, float]) -> float:
    """Give what checkpoints are ranked by, as `train.fit.validation` does."""
    held_out = [row[name] for name in HELD_OUT if name in row]
    return -sum(held_out) if held_out else row["loss"]


def _rows(path: Path) -> list[dict[str, float]]:
    if path.name != "log.csv" and not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {name: float(value) for name, value in row.items()}
            for row in csv.DictReader(file)
        ]
