"""`python -m train ablations`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamsed.atomic_write import write
from train.annotations.desed import Desed
from train.cli.options import Device, Without, Workers
from train.config.preset import refuse_assignments
from train.experiments.ablations import VARIATIONS, measure, to_markdown
from train.experiments.experiment import FIXED
from train.experiments.outcomes import outcomes_in
from train.provenance import current_command, current_commit


def ablations(
    *,
    data: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="DESED 2019, or the folder `data` that table1 mixed."
        ),
    ],
    run: Annotated[Path, typer.Option(metavar="DIR", help="Output folder.")],
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=f"Variations to train: {', '.join(VARIATIONS)}; repeatable.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting of every residual network, in TOML.",
        ),
    ] = None,
    baseline_settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set-baseline",
            metavar="KEY=VALUE",
            help="Change a setting of the baseline, in TOML.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs per variation.")] = 1,
    device: Device = "auto",
    workers: Workers = 1,
    without: Without = None,
) -> None:
    """Measure the contribution of each part of the report's system: ablations.md.

    Each part is left out in turn; the table in --run is updated after every run and has
    the rows of all runs finished there, which must have the same settings and data. The
    same command continues after an interruption.
    """
    if baseline_settings and only and "baseline" not in only:
        raise ValueError("--set-baseline needs --only baseline, or no --only")
    if settings and only and set(only) == {"baseline"}:
        raise ValueError(
            "--set is for the others than the baseline; use --set-baseline"
        )
    refuse_assignments(
        (*(settings or ()), *(baseline_settings or ())),
        {**FIXED, "seed": "use --seeds; the runs of a variation have seeds 0, 1, ..."},
    )
    command = current_command()
    run.mkdir(parents=True, exist_ok=True)
    for name, seed, _ in measure(
        Desed.load(data),
        run,
        names=list(dict.fromkeys(only or VARIATIONS)),
        seeds=range(seeds),
        settings=settings or (),
        baseline_settings=baseline_settings or (),
        device=device,
        n_workers=workers,
        without=without or (),
    ):
        text = to_markdown(outcomes_in(run, VARIATIONS))
        print(f"{name}, seed {seed}:\n{text}", flush=True)
        write(run / "ablations.md", [f"`{command}` at {current_commit()}\n\n", text])
