"""`python -m train data check`: what of DESED is there, and what its loss does."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from streamsed.atomic_write import write
from streamsed.audio.decode import audio_info
from streamsed.events import Event
from train.commands.options import Bank
from train.desed import Desed, Subset
from train.imitation import Sizes, imitate
from train.soundbank import Soundbank

app = typer.Typer(help="Data sets: check DESED, or mix a set laid out like it.")
FULL = Sizes()


@app.command("imitate")
def imitate_desed(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")],
    *,
    soundbank: Bank,
    lists: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Rebuild the clips of DESED's lists, DIR/train/synthetic.tsv and "
            "DIR/validation/validation.tsv; without it, soundscapes are drawn freely.",
        ),
    ] = None,
    synthetic: Annotated[int, typer.Option(min=1, help="Clips.")] = FULL.synthetic,
    weak: Annotated[int, typer.Option(min=1, help="Clips.")] = FULL.weak,
    unlabelled: Annotated[int, typer.Option(min=1, help="Clips.")] = FULL.unlabelled,
    validation: Annotated[int, typer.Option(min=1, help="Clips.")] = FULL.validation,
    seed: Annotated[int, typer.Option(help="Which.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that mix.")] = 1,
) -> None:
    """Mix a data set in DESED's layout from the splits `train` and `validation` of a bank.

    Everything that takes DESED takes it. What is measured on it is no DESED figure.
    """
    sizes = Sizes(synthetic, weak, unlabelled, validation)
    heard, unheard = (
        Soundbank.load(soundbank, split=s) for s in ("train", "validation")
    )
    written = imitate(
        folder,
        heard,
        unheard,
        sizes=sizes,
        lists=lists,
        seed=seed,
        n_processes=workers,
    )
    print(written)


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="DESED 2019.")],
    *,
    missing: Annotated[
        Path, typer.Option(metavar="FILE", help="Where to list what is missing.")
    ] = Path("missing.tsv"),
) -> None:
    """Say what of DESED 2019 is in DIR: clips, events, durations, and what the loss costs.

    The header of every clip is read. What is missing or cannot be opened is listed in
    FILE (filename, subset, reason). Without any list, say how to get the data.
    """
    desed = Desed.load(folder)
    surveys = [survey(subset) for subset in desed.subsets.values()]
    console = Console()
    console.width = max(console.width, 100)
    console.print(clips_table(surveys))
    console.print(labels_table(surveys, desed.labels))
    lost = [(s.subset.name, name, why) for s in surveys for name, why in s.lost.items()]
    if lost:
        text = io.StringIO()
        rows = csv.writer(text, delimiter="\t", lineterminator="\n")
        rows.writerow(("filename", "subset", "reason"))
        rows.writerows((name, subset, why) for subset, name, why in lost)
        write(missing, [text.getvalue()])
        console.print(Text(f"{missing} lists the {len(lost)} clips that are missing"))


@dataclass(slots=True)
class Survey:
    """What there is of a subset.

    Parameters
    ----------
    subset : Subset
        Its list.
    lost : dict of str to str
        Clips that cannot be had, and why.
    durations : list of float
        Seconds of each of the others.
    rates : Counter of int
        Their sampling frequencies, Hz.
    """

    subset: Subset
    lost: dict[str, str] = field(default_factory=dict)
    durations: list[float] = field(default_factory=list)
    rates: Counter[int] = field(default_factory=Counter)


def survey(subset: Subset) -> Survey:
    """Read the headers of a subset's clips."""
    found = Survey(subset)
    for name in subset.truth:
        if name not in subset.paths:
            found.lost[name] = "not there"
            continue
        try:
            info = audio_info(subset.paths[name])
        except (OSError, ValueError) as error:
            found.lost[name] = " ".join(str(error).split())
            continue
        found.durations.append(info.duration)
        found.rates[info.sample_rate] += 1
    return found


def clips_table(surveys: list[Survey]) -> RenderableType:
    """Show the clips of each subset: listed, there, missing; hours and rates."""
    table = Table(box=None, pad_edge=False)
    table.add_column("subset", no_wrap=True)
    for column in ("listed", "there", "missing", "hours", "seconds a clip", "Hz"):
        table.add_column(column, justify="right", no_wrap=True)
    for each in surveys:
        durations = each.durations
        spread = (
            f"{min(durations):.1f}-{max(durations):.1f}, mostly {median(durations):.1f}"
            if durations
            else ""
        )
        table.add_row(
            each.subset.name,
            str(len(each.subset.truth)),
            str(len(durations)),
            str(len(each.lost)),
            f"{sum(durations) / 3600:.2f}",
            spread,
            ", ".join(f"{rate} ({n})" for rate, n in each.rates.most_common(3)),
        )
    versions = [
        Text(f"{each.subset.name} is {each.subset.version}")
        for each in surveys
        if each.subset.version
    ]
    return Group(table, *versions, Text())


def labels_table(surveys: list[Survey], labels: tuple[str, ...]) -> RenderableType:
    """Show the events of each label: listed, lost with the missing clips, and how long."""
    labelled = [each for each in surveys if each.subset.count_labels()]
    table = Table(box=None, pad_edge=False)
    table.add_column("events or weak labels", no_wrap=True)
    for each in labelled:
        table.add_column(each.subset.name, justify="right", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    counts = [
        (each.subset.count_labels(), each.subset.count_labels(list(each.lost)))
        for each in labelled
    ]
    lengths = _median_lengths([each.subset for each in labelled])
    for label in labels:
        cells = (_share(listed[label], lost[label]) for listed, lost in counts)
        seconds = f"{lengths[label]:.2f}" if label in lengths else ""
        table.add_row(Text(label), *cells, seconds)
    totals = (_share(listed.total(), lost.total()) for listed, lost in counts)
    table.add_row("all", *totals, "", style="bold")
    return table


def _share(listed: int, lost: int) -> str:
    """Say how many there are and which part is lost."""
    return f"{listed} ({100 * lost / listed:.0f} % lost)" if listed else "0"


def _median_lengths(subsets: list[Subset]) -> Mapping[str, float]:
    """Find how long a label's events are, in the strong subsets together."""
    lengths: dict[str, list[float]] = {}
    for subset in subsets:
        for truth in subset.truth.values():
            for each in truth or ():
                if isinstance(each, Event):
                    lengths.setdefault(each.label, []).append(each.duration)
    return {label: median(values) for label, values in lengths.items()}
