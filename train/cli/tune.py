"""`python -m train tune`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from streamsed.cli.options import EngineOption, PrecisionOption
from streamsed.inference.selection import EngineRequest
from train.cli.options import LeaveOut, UnheardSplit, check_output, read_left_out
from train.evaluation.continuous.page import (
    latencies_to_markdown,
    sensitivities_to_markdown,
)
from train.export.crosswise import measure_crosswise
from train.export.exporter import why_unexportable
from train.export.operating_points import (
    Halves,
    Tuned,
    choose_operating_points,
    measure_recall,
    write_operating_points,
)
from train.export.run_scorer import Drawing, RunScorer
from train.fit.checkpoint import load_trained
from train.mixing.soundbank import load_banks
from train.provenance import current_command


def tune(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    *,
    output: Annotated[Path, typer.Option(metavar="FILE.json", help="Output file.")],
    soundbank: Annotated[
        list[Path],
        typer.Option(metavar="DIR", help="Bank of recordings to tune on; repeatable."),
    ],
    split: UnheardSplit = "validation",
    leave_out: LeaveOut = None,
    recordings: Annotated[
        int, typer.Option(min=1, help="Number of recordings with events in each half.")
    ] = 5,
    minutes: Annotated[
        float, typer.Option(min=0.5, help="Length of each recording, in minutes.")
    ] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the mixtures.")] = 20,
    engine: EngineOption = "torchscript",
    precision: PrecisionOption = "fp32",
    scored: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for keeping scores: they are not computed again, and interrupted "
            "work continues.",
        ),
    ] = None,
) -> None:
    """Choose thresholds for three sensitivities and several values of settle.

    The recordings must not be those that the run was trained on. They are split into two
    halves: thresholds chosen on one are evaluated on the other, at latencies of 0.25 to
    10 s, and at each sensitivity.
    """
    check_output(output, option="--output")
    request = EngineRequest("cpu", engine, precision)
    trained = load_trained(run)
    reason = why_unexportable(trained.config, trained.scaling.name)
    if reason is not None:
        raise ValueError(f"{run}: its thresholds would be of no use, as {reason}")
    bank = load_banks(
        dict.fromkeys(soundbank, split),
        sample_rate=trained.config.frontend.sample_rate,
        leave_out=read_left_out(leave_out, soundbank),
    )
    bank.refuse_other_labels(trained.labels)
    parts = bank.halves()
    scorer = RunScorer(trained, request)
    halves = [
        scorer.score(
            half,
            Drawing(recordings, 60.0 * minutes, seed + index),
            None if scored is None else scored / str(index),
        )
        for index, half in enumerate(parts)
    ]
    counted = Halves.count(halves)
    points, figures = choose_operating_points(counted), measure_crosswise(counted)
    figures["command"] = current_command()
    recall = measure_recall(counted, points)
    write_operating_points(output, Tuned(points, recall, figures))
    print(latencies_to_markdown(figures["by_latency"]))
    print()
    print(sensitivities_to_markdown(figures["by_sensitivity"]))
    for point in points:
        print(
            f"{point.sensitivity:<7} {point.settle:>4g} s: "
            f"{point.total_false_alarms:.1f} false alarms per hour on backgrounds and "
            "other sounds"
        )
    lacking = [k for k in trained.labels if any(k not in each.labels for each in parts)]
    if lacking:
        print(
            f"note: no recordings in one half, or in both: {', '.join(lacking)}; thresholds "
            "chosen on such a half avoid false alarms and know no events"
        )
    export = ["python", "-m", "train", "export", str(run), "--output", f"{run.name}.pt"]
    print(f"next: {shlex.join([*export, '--operating-points', str(output)])}")
