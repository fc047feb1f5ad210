"""Options that several commands share, and what they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from train.annotations.event_lists import read_strong
from train.mixing.mixer import Layout

Bank = Annotated[
    Path,
    typer.Option(
        "--soundbank",
        metavar="DIR",
        help="Isolated sounds: DIR/foreground/<Label>/*, DIR/background/**, and "
        "DIR/manifest.csv (path, split) where splits are wanted.",
    ),
]
Split = Annotated[
    str | None, typer.Option(help="Split of the manifest; without it, every file.")
]
Blueprints = Annotated[
    list[Path] | None,
    typer.Option(
        "--blueprint",
        metavar="LIST",
        help="Strong list (filename, onset, offset, event_label) whose clips are built "
        "anew from the bank's sounds; may be repeated.",
    ),
]
Device = Annotated[str, typer.Option(help="Where it computes: auto, cpu or cuda.")]
Workers = Annotated[
    int, typer.Option(min=1, help="Processes that make features and examples.")
]
SaveEvery = Annotated[
    float, typer.Option(min=0, help="Seconds between two checkpoints.")
]

Without = Annotated[
    list[str] | None,
    typer.Option(
        "--without",
        metavar="SUBSET",
        help="Train without the weak or the unlabel_in_domain clips, which is else refused "
        "where they are missing, and say so with every figure; may be repeated.",
    ),
]


def read_layouts(blueprints: Sequence[Path] | None) -> list[Layout]:
    """Read the clips of all lists, in their order."""
    return [
        events for path in blueprints or () for events in read_strong(path).values()
    ]
