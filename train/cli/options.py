"""Options that several commands share, and those that depend on others."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from streamsed.atomic_write import check_writable
from streamsed.cli.dependent_options import DependentOptions, OptionRules
from streamsed.cli.options import JsonLogOption
from streamsed.progress import json_log as logged_to
from train.annotations.event_lists import read_strong
from train.mixing.mixer import Layout
from train.mixing.soundbank import known_splits, read_leave_out

EXIT_CODES = "Exit codes: 0 all done; 2 an option, a file or the data is invalid; 130 interrupted."

Bank = Annotated[
    Path,
    typer.Option(
        "--soundbank",
        metavar="DIR",
        help="Isolated sounds: DIR/foreground/<Label>/*, DIR/background/**, and optionally "
        "DIR/manifest.csv (path, split).",
    ),
]
Split = Annotated[
    str | None, typer.Option(help="Split of the manifest. [default: all files]")
]
MeasuredSplit = Annotated[
    str | None,
    typer.Option(
        "--split",
        help="Split of the manifest to measure on. [default: validation, or all files of a "
        "bank without a manifest]",
    ),
]
UnheardSplit = Annotated[
    str | None,
    typer.Option("--split", help="Split that the model was not trained on."),
]
LeaveOut = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.csv",
        help="Recordings of the banks to exclude (columns path, decision and, if a row is of "
        "one bank alone, bank: its folder's name), such as docs/soundbank-audit.csv.",
    ),
]
Blueprints = Annotated[
    list[Path] | None,
    typer.Option(
        "--blueprint",
        metavar="LIST",
        help="Strong list (filename, onset, offset, event_label) whose clips are rebuilt "
        "from the bank's sounds; repeatable.",
    ),
]
Device = Annotated[str, typer.Option(help="Device: auto, cpu or cuda.")]
Workers = Annotated[
    int, typer.Option(min=1, help="Worker processes for features and examples.")
]
ExampleWorkers = Annotated[
    int, typer.Option("--workers", min=0, help="Worker processes for examples.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run in --run.")]
SoundscapeCount = Annotated[
    int, typer.Option("--n", min=1, help="Number of soundscapes to measure on.")
]
SaveEvery = Annotated[float, typer.Option(min=0, help="Seconds between checkpoints.")]

Without = Annotated[
    list[str] | None,
    typer.Option(
        "--without",
        metavar="SUBSET",
        help="Train without the weak or the unlabel_in_domain clips if they are missing, "
        "and state this with all results; repeatable.",
    ),
]


NEEDED: OptionRules = {
    "table1": {"--soundbank": ("--lists",)},
    "evaluate": {
        "--continuous": (
            *("--soundbank", "--split", "--everything", "--leave-out", "--blueprint"),
            *("--even-labels", "--recordings", "--minutes", "--seed"),
        ),
        "--model or MODEL": ("--device", "--audio"),
        "--durations": ("--operating-points",),
        "--scores, --operating-points, --model or MODEL": ("--durations",),
    },
    "export": {
        "--soundbank": ("--tune", "--blueprint", "--split", "--leave-out", "--n")
    },
    "adapt": {"--rehearse or --measure": ("--leave-out",)},
}
"""What needs the option."""

EXCLUDED: OptionRules = {
    "table1": {"--data": ("--soundbank",), "--soundbank": ("--without",)},
    "fit": {"--steps": ("--minutes",)},
    "evaluate": {
        "--continuous": (
            *("--reference", "--estimated", "--audio", "--durations", "--scores"),
            "--operating-points",
        ),
        "--split": ("--everything",),
    },
    "export": {"--last": ("--ensemble",), "--tune": ("--operating-points",)},
    "adapt": {"--steps": ("--minutes",)},
}
"""What cannot be combined with the option."""


class TrainingOptions(DependentOptions):
    """A command of training that refuses options which would have no effect."""

    needed: ClassVar[OptionRules] = NEEDED
    excluded: ClassVar[OptionRules] = EXCLUDED


def read_layouts(blueprints: Sequence[Path] | None) -> list[Layout]:
    """Read the clips of all lists, in order.

    Raises
    ------
    ValueError
        A list has no clips, or is damaged; see `read_strong`.
    """
    layouts: list[Layout] = []
    for path in blueprints or ():
        clips = read_strong(path)
        if not clips:
            raise ValueError(f"--blueprint {path}: the list has no clips")
        layouts += clips.values()
    return layouts


def measured_splits(
    folders: Sequence[Path], split: str | None
) -> dict[Path, str | None]:
    """Return which split of each bank is measured on: `validation` if none is asked for."""
    if split is None:
        return known_splits(folders, "validation")
    return dict.fromkeys(folders, split)


def read_left_out(path: Path | None, banks: Sequence[Path]) -> dict[Path, set[str]]:
    """Read what `--leave-out` excludes of each bank; see `read_leave_out` for the errors."""
    return {} if path is None else read_leave_out(path, banks)


def check_output(path: Path | None, *, option: str) -> None:
    """Check before long work that a file can be written; see `check_writable`.

    Raises
    ------
    OSError
        It cannot be.
    ValueError
        It is a folder.
    """
    if path is None:
        return
    if path.is_dir():
        raise ValueError(f"{option} {path}: a folder; name a file")
    check_writable(path, option=option)


def is_first_process() -> bool:
    """Return whether this is the only process, or the first of torchrun's."""
    return os.environ.get("RANK", "0") == "0"


def with_json_log(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option `--json-log` to a command, for the progress of its work."""

    @wraps(command)
    def logged(*arguments: Any, json_log: Path | None = None, **options: Any) -> Any:
        with logged_to(json_log if is_first_process() else None):
            return command(*arguments, **options)

    signature = inspect.signature(command, eval_str=True)  # typer inspects it
    kind = inspect.Parameter.KEYWORD_ONLY
    more = inspect.Parameter("json_log", kind, default=None, annotation=JsonLogOption)
    parameters = [*signature.parameters.values(), more]
    logged.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    logged.__annotations__ = {**command.__annotations__, "json_log": JsonLogOption}
    return logged
