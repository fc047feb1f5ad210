"""`python -m train evaluate MODEL --continuous`: evaluate a model as a stream."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

from rich.console import Console

from streamsed.atomic_write import write
from streamsed.inference.model import Model
from streamsed.progress import track
from train.cli.options import read_layouts
from train.evaluation.continuous.alone import recognise_alone
from train.evaluation.continuous.measures import measure_continuous
from train.evaluation.continuous.page import to_page
from train.evaluation.continuous.recording_scores import model_scores
from train.evaluation.continuous.recordings import (
    count_continuous,
    draw_continuous,
    score_continuous,
)
from train.mixing.continuous import ContinuousMixer
from train.mixing.soundbank import Soundbank, name_part
from train.provenance import current_command

WIDTH = 165
"""Minimum width of the tables."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Which recordings to generate; see the options of the command.

    Parameters
    ----------
    splits : mapping of Path to str or None
        The split of each bank; None for all files.
    blueprints : tuple of Path
    even_labels : bool
    recordings : int
    minutes : float
    seed : int
    leave_out : mapping of Path to collection of str
        By bank, the recordings that are not used; see `read_leave_out`.
    """

    splits: Mapping[Path, str | None]
    blueprints: tuple[Path, ...] = ()
    even_labels: bool = False
    recordings: int = 4
    minutes: float = 10.0
    seed: int = 0
    leave_out: Mapping[Path, Collection[str]] = field(default_factory=dict)

    def read_banks(self, sample_rate: int) -> dict[str, Soundbank]:
        """Read the splits of the banks, by the names of these."""
        return {
            str(folder): Soundbank.load(
                folder,
                split=split,
                sample_rate=sample_rate,
                leave_out=self.leave_out.get(folder, ()),
            )
            for folder, split in self.splits.items()
        }


def measure_model(name: str, device: str, drawn: Drawn, json_file: Path | None) -> None:
    """Measure a model, print the tables and write the numbers.

    Raises
    ------
    ValueError
        The model's labels are not the banks', or a list names others.
    """
    model = Model.load(name, device=device)
    info = model.info
    banks = drawn.read_banks(info.frontend.sample_rate)
    bank = reduce(Soundbank.joined, banks.values())
    if bank.labels != tuple(sorted(info.labels)):
        parts = ", ".join(sorted({name_part(each) for each in drawn.splits.values()}))
        raise ValueError(
            f"the labels of {name} ({', '.join(info.labels)}) are not those of the "
            f"soundbank ({', '.join(bank.labels)}; {parts})"
        )
    layouts = read_layouts(drawn.blueprints)
    sounds = [event for layout in layouts for event in layout]
    mixer = ContinuousMixer(bank, sounds, even_labels=drawn.even_labels)
    recordings = draw_continuous(
        mixer, n=drawn.recordings, duration=60.0 * drawn.minutes, seed=drawn.seed
    )
    score = model_scores(model)
    scored = score_continuous(recordings, score, info.labels, info.frontend)
    total = count_continuous(mixer, n=drawn.recordings)
    kept = list(track(scored, "scoring", total=total, unit="recordings"))
    measured: dict[str, Any] = {
        "command": current_command(),
        "model": name,
        "place": model.place,
        "splits": {str(folder): split for folder, split in drawn.splits.items()},
        **measure_continuous(
            kept, lambda stream: info.operating_point(settle=stream.settled).post
        ),
        "alone": {
            folder: recognise_alone(each, score, info.labels, info.frontend)
            for folder, each in banks.items()
        },
    }
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(to_page(measured), highlight=False)
    if json_file is not None:
        write(json_file, [json.dumps(measured, indent=1) + "\n"])
