"""`streamsed corpus search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamsed.cli.corpus.extra import MinScoreOption, OutArgument, need_extra
from streamsed.cli.options import LabelOption


def search(
    out: OutArgument,
    *,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for the clips."),
    ],
    label: LabelOption = None,
    min_score: MinScoreOption = 0.0,
    context: Annotated[
        float, typer.Option(metavar="S", help="Seconds before and after each event.")
    ] = 1.0,
    limit: Annotated[
        int,
        typer.Option(metavar="N", help="At most so many, the highest scores first."),
    ] = 100,
) -> int:
    """Cut events out of their recordings, to listen to them.

    Writes a FLAC file for each, Audacity labels beside it, and one Raven table.
    Exit code 0: all cut. 1: some recordings could not be read. 2: none.
    """
    need_extra()
    from streamsed.corpus.tables.search import search_events

    return search_events(
        out, output, labels=label, min_score=min_score, context=context, limit=limit
    )
