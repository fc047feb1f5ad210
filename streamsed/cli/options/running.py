"""Where sound comes from, how often it is scored, and where progress goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        "-d",
        metavar="INDEX|NAME",
        help="Microphone or source of the sound server, by index or part of its name. "
        "[default: the system's default]",
    ),
]
ChannelOption = Annotated[
    int | None,
    typer.Option(metavar="N", help="Listen to channel N only, counted from 1."),
]
RecursiveOption = Annotated[
    bool, typer.Option("--recursive", "-r", help="Include subfolders.")
]
StepOption = Annotated[
    float | None, typer.Option(metavar="S", help="Score a segment every S seconds.")
]
LatencyOption = Annotated[
    float | None,
    typer.Option(metavar="S", help="Report the end of an event after S seconds."),
]
SettleOption = Annotated[
    float | None,
    typer.Option(
        metavar="S",
        help="Make an event final after S seconds; at most one segment, the default.",
    ),
]
JsonLogOption = Annotated[
    Path | None,
    typer.Option(
        "--json-log",
        metavar="FILE",
        help="Append progress as JSON lines; - is stderr.",
    ),
]
