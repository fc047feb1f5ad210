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
        float,
        typer.Option(
            metavar="S", help="Context before and after each event, in seconds."
        ),
    ] = 1.0,
    limit: Annotated[
        int,
        typer.Option(
            metavar="N", help="Maximum number of clips; the highest scores come first."
        ),
    ] = 100,
) -> int:
    """Cut events out of their recordings, to listen to them.

    Writes a FLAC file and Audacity labels for each event, and one Raven selection table.
    Exit code 0: all written. 1: some recordings could not be read. 2: none was written.
    """
    need_extra()
    from streamsed.corpus.tables.search import search_events

    return search_events(
        out, output, labels=label, min_score=min_score, context=context, limit=limit
    )
