"""`streamsed corpus export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamsed.cli.corpus.extra import MinScoreOption, OutArgument, need_extra
from streamsed.cli.options import LabelOption


def export(
    out: OutArgument,
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .parquet, .csv, .tsv or .jsonl file.",
        ),
    ],
    label: LabelOption = None,
    min_score: MinScoreOption = 0.0,
) -> int:
    """Join the parts of a corpus, events with their files, to one file."""
    need_extra()
    from streamsed.corpus.tables.export import export_events

    n_events, n_files = export_events(out, output, labels=label, min_score=min_score)
    print(f"{n_events} events of {n_files} files")
    return 0
