"""`streamsed corpus export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamsed.cli.corpus.extra import MinScoreOption, OutArgument, need_extra
from streamsed.cli.options import LabelOption
from streamsed.terminal import counted


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
    """Combine all events of a corpus, with the files they are from, into one file.

    Exit code 0: written. 2: not a corpus, or an option is invalid.
    """
    need_extra()
    from streamsed.corpus.tables.export import export_events

    n_events, n_files = export_events(out, output, labels=label, min_score=min_score)
    print(f"{counted(n_events, 'event')} of {counted(n_files, 'file')}")
    return 0
