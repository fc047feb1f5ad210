"""`python -m train` and `python -m train table1`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from train.annotations.desed import Desed
from train.annotations.desed_version import describe_data
from train.cli.options import Device, SaveEvery, Without, Workers
from train.config.preset import refuse_assignments
from train.experiments.experiment import FIXED, Experiment
from train.experiments.mixed_data import mix_data
from train.experiments.report import write_report
from train.experiments.table1 import measure
from train.mixing.desed_like import Sizes
from train.mixing.toy_bank import write_bank
from train.provenance import current_command, current_commit

DEMO_SIZES = Sizes(synthetic=200, weak=100, unlabelled=100, validation=100)


def table1(
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="DESED 2019 on disk, or the folder that contains its `dataset`. "
            "[default: DESED]",
        ),
    ] = None,
    demo: Annotated[
        bool,
        typer.Option("--demo", help="Ten minutes: few clips, width 16."),
    ] = False,
    soundbank: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Without DESED: mix the data from the splits `train` and "
            "`validation` of this bank. --demo alone generates its own sounds.",
        ),
    ] = None,
    lists: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="With --soundbank: rebuild the clips of DESED's lists, "
            "DIR/train/synthetic.tsv and DIR/validation/validation.tsv, or the same as .csv.",
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Output folder. [default: runs/table1, runs/demo]",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting of all three networks, in TOML: steps=2000, "
            "network.width=16; repeatable.",
        ),
    ] = None,
    baseline_settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set-baseline",
            metavar="KEY=VALUE",
            help="Change a setting of the baseline; --set then applies to the others only.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of data, weights and batches.")
    ] = 0,
    device: Device = "auto",
    workers: Workers = 1,
    save_every: SaveEvery = 120.0,
    without: Without = None,
) -> None:
    """Train the missing networks and write table 1 next to the report's numbers.

    Three networks are trained one after the other; the same command continues after any
    interruption. Results are table1.md, table1.json and plots in --run, and each row's
    events in the format of the challenge, in events/validation and, if the public
    evaluation clips are available, in events/public.
    """
    refuse_assignments(
        (*(settings or ()), *(baseline_settings or ())),
        {**FIXED, "seed": "use --seed, which seeds the data too"},
    )
    folder = run or Path("runs") / ("demo" if demo else "table1")
    mixed = ""
    if data is None and soundbank is None and not demo:
        data = Path("DESED")
    if data is None:
        if without:
            raise ValueError("--without needs --data: a mixed data set has all clips")
        data, mixed = _mixed(folder, soundbank, lists, demo=demo, seed=seed)
    desed = Desed.load(data)
    experiment = Experiment(
        desed,
        folder,
        settings=(*(settings or ()), f"seed={seed}"),
        overlay="demo" if demo else None,
        device=device,
        n_workers=workers,
        baseline_settings=(
            (*baseline_settings, f"seed={seed}") if baseline_settings else None
        ),
        save_every=save_every,
        without=without or (),
    )
    about = {
        "command": current_command(),
        "commit": current_commit(),
        "seed": seed,
        "settings": _described(settings, demo=demo),
        "baseline's settings": _described(baseline_settings, demo=demo)
        if baseline_settings
        else "the same",
    }
    table = measure(experiment)
    note = f"{mixed} {describe_data(table.used, lacking=table.lacking)}".lstrip()
    page = write_report(table, desed, folder, about=about, note=note)
    print(page.read_text(encoding="utf-8"))
    print(f"{page}")


def _described(settings: list[str] | None, *, demo: bool) -> str:
    """Say which settings went over the presets."""
    over = ["those of the preset `demo`"] * demo + (settings or [])
    return ", ".join(over) or "those of the presets"


def _mixed(
    folder: Path, soundbank: Path | None, lists: Path | None, *, demo: bool, seed: int
) -> tuple[Path, str]:
    """Mix a data set, unless it exists; return a description of it."""
    if soundbank is None:
        soundbank = write_bank(folder / "soundbank", seed=seed)
    sizes = DEMO_SIZES if demo else Sizes()
    data = mix_data(folder, soundbank, lists=lists, sizes=sizes, seed=seed)
    what = "A demonstration: few clips, a small network. " * demo
    return data, (
        f"{what}Trained and measured on soundscapes mixed from a sound bank, not on DESED: "
        "these are not results on DESED, and the report's are shown for comparison only."
    )
