"""`python -m train card`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from streamsed.atomic_write import write
from streamsed.cli.options import EngineOption, PrecisionOption
from streamsed.inference.model import Model
from train.cli.options import (
    LeaveOut,
    UnheardSplit,
    check_output,
    read_layouts,
    read_left_out,
)
from train.evaluation.continuous import page as continuous_page
from train.evaluation.model_card import Card
from train.evaluation.model_card_page import to_markdown
from train.mixing.soundbank import load_banks
from train.provenance import current_command

BEGIN, END = "<!-- measured -->", "<!-- end of what was measured -->"


def card(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model file or a shipped name.")
    ],
    *,
    soundbank: Annotated[
        list[Path],
        typer.Option(metavar="DIR", help="Recordings to mix; may be repeated."),
    ],
    blueprint: Annotated[
        list[Path],
        typer.Option(
            metavar="LIST",
            help="Strong list whose clips are rebuilt from the bank's sounds.",
        ),
    ],
    split: UnheardSplit = "validation",
    leave_out: LeaveOut = None,
    engine: EngineOption = "torchscript",
    precision: PrecisionOption = "fp32",
    continuous: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File of `evaluate MODEL --continuous --json FILE`, to start with.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"Card to update between {BEGIN} and {END}."),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write the numbers."),
    ] = None,
) -> None:
    """Measure a model for its model card: F1, PSDS, false alarms and more."""
    if output is not None:
        _around(output)
    check_output(json_file, option="--json")
    before = "" if continuous is None else _continuous(continuous)
    loaded = Model.load(model, device="cpu", engine=engine, precision=precision)
    bank = load_banks(
        dict.fromkeys(soundbank, split),
        sample_rate=loaded.info.frontend.sample_rate,
        leave_out=read_left_out(leave_out, soundbank),
    )
    measured = Card(loaded, bank, read_layouts(blueprint)).measure()
    text = before + to_markdown(measured, current_command())
    print(text)
    if json_file is not None:
        write(json_file, [json.dumps(measured, indent=1) + "\n"])
    if output is not None:
        head, tail = _around(output)  # read again: it may have been edited
        write(output, [f"{head}{BEGIN}\n\n{text}\n{END}{tail}"])


def _around(path: Path) -> tuple[str, str]:
    """Return what stands before and after the part of a card that is measured."""
    head, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{path}: no lines {BEGIN} and {END}")
    return head, tail


def _continuous(path: Path) -> str:
    """Format the earlier measurement on continuous recordings."""
    text = path.read_text(encoding="utf-8")
    try:
        return continuous_page.to_markdown(json.loads(text)) + "\n"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path}: not a file of `evaluate --continuous --json`"
        ) from error
