"""`python -m train data`: check DESED, or mix a data set with its layout."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.text import Text

from streamsed.atomic_write import write
from streamsed.terminal import counted
from train.annotations.desed import Desed
from train.annotations.desed_layout import LAYOUT
from train.annotations.desed_survey import clips_table, labels_table, survey
from train.cli.options import EXIT_CODES, Bank, with_json_log
from train.mixing.desed_like import Sizes, imitate
from train.mixing.soundbank import Soundbank

app = typer.Typer(help="Data sets: check DESED, or mix a data set with its layout.")
FULL = Sizes()


@app.command(
    "imitate",
    epilog="Example: python -m train data imitate mixed --soundbank sounds"
    f"\n\n{EXIT_CODES}",
)
@with_json_log
def imitate_desed(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Output folder.")],
    *,
    soundbank: Bank,
    lists: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Rebuild the clips of DESED's lists, DIR/train/synthetic.tsv and "
            "DIR/validation/validation.tsv, or the same as .csv; without it, soundscapes "
            "are drawn freely.",
        ),
    ] = None,
    synthetic: Annotated[
        int, typer.Option(min=1, help="Number of synthetic clips.")
    ] = FULL.synthetic,
    weak: Annotated[int, typer.Option(min=1, help="Number of weak clips.")] = FULL.weak,
    unlabelled: Annotated[
        int, typer.Option(min=1, help="Number of unlabelled clips.")
    ] = FULL.unlabelled,
    validation: Annotated[
        int, typer.Option(min=1, help="Number of validation clips.")
    ] = FULL.validation,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the data set.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
) -> None:
    """Mix a data set in DESED's layout from the splits `train` and `validation` of a bank.

    It can be used wherever DESED can. Results on it are not results on DESED.
    """
    sizes = Sizes(synthetic, weak, unlabelled, validation)
    training, validating = (
        Soundbank.load(soundbank, split=s) for s in ("train", "validation")
    )
    written = imitate(
        folder,
        training,
        validating,
        sizes=sizes,
        lists=lists,
        seed=seed,
        n_processes=workers,
    )
    print(written)


@app.command(epilog=f"Example: python -m train data check DESED\n\n{EXIT_CODES}")
def check(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="DESED 2019, or the folder that contains its `dataset`."
        ),
    ],
    *,
    missing: Annotated[
        Path, typer.Option(metavar="FILE", help="File to list missing clips in.")
    ] = Path("missing.tsv"),
) -> None:
    """Report which part of DESED 2019 is in DIR: clips, events, durations and losses.

    The header of every clip is read. What is missing or cannot be opened is listed in
    FILE (filename, subset, reason). Without any list, print how to get the data.
    """
    desed = Desed.load(folder)
    surveys = [survey(subset) for subset in desed.subsets.values()]
    console = Console()
    tables = clips_table(surveys), labels_table(surveys, desed.labels)
    # Do not truncate tables: lines may be longer than the screen.
    endless = console.options.update(max_width=10_000, width=10_000)
    widths = [Measurement.get(console, endless, table).maximum for table in tables]
    console.width = max(console.width, *widths)
    for table in tables:
        console.print(table)
    for name in LAYOUT:
        if absence := desed.explain_absence(name):
            console.print(Text(f"{name} has {absence}"), soft_wrap=True)
    lost = [(s.subset.name, name, why) for s in surveys for name, why in s.lost.items()]
    if lost:
        text = io.StringIO()
        rows = csv.writer(text, delimiter="\t", lineterminator="\n")
        rows.writerow(("filename", "subset", "reason"))
        rows.writerows((name, subset, why) for subset, name, why in lost)
        write(missing, [text.getvalue()])
        console.print(Text(f"{missing} lists {counted(len(lost), 'missing clip')}"))
