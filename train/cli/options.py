"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from streamsed.cli.options import JsonLogOption
from streamsed.progress import json_log as logged_to
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
LeaveOut = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.csv",
        help="Recordings of the banks not to be used (columns path, decision), such as "
        "docs/soundbank-audit.csv.",
    ),
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


def is_first_process() -> bool:
    """Whether this is the one of torchrun's processes that speaks, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def with_json_log(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option `--json-log`, to which all of its work is reported."""

    @wraps(command)
    def logged(*arguments: Any, json_log: Path | None = None, **options: Any) -> Any:
        with logged_to(json_log if is_first_process() else None):
            return command(*arguments, **options)

    signature = inspect.signature(command, eval_str=True)  # typer reads it as it is
    kind = inspect.Parameter.KEYWORD_ONLY
    more = inspect.Parameter("json_log", kind, default=None, annotation=JsonLogOption)
    parameters = [*signature.parameters.values(), more]
    logged.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    logged.__annotations__ = {**command.__annotations__, "json_log": JsonLogOption}
    return logged
