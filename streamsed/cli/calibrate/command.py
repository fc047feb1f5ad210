"""`streamsed calibrate`: thresholds for one room."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from streamsed.cli.options import (
    ChannelOption,
    DeviceOption,
    IgnoreOption,
    JsonLogOption,
    LatencyOption,
    ModelChoice,
    RecursiveOption,
    SensitivityOption,
    SettleOption,
    StepOption,
    engine_settings,
    model_choice,
    with_options,
)


@with_options(model=model_choice, engine=engine_settings)
def calibrate(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH...]",
            help="Recordings of the room, or folders of them; none listens live.",
            show_default=False,
        ),
    ] = None,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="TOML",
            help="Settings file to write. [default: print it]",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a settings file that exists.")
    ] = False,
    max_false: Annotated[
        float,
        typer.Option(
            metavar="N", help="Events an hour that are allowed, of all labels together."
        ),
    ] = 1.0,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Leave this label's threshold alone, as it really occurs while "
            "calibrating; repeatable.",
        ),
    ] = None,
    ignore: IgnoreOption = None,
    sensitivity: SensitivityOption = "normal",
    device: DeviceOption = None,
    channel: ChannelOption = None,
    minutes: Annotated[
        float | None,
        typer.Option(metavar="N", help="Listen live for N minutes. [default: 60]"),
    ] = None,
    recursive: RecursiveOption = False,
    model: ModelChoice,
    engine: dict[str, Any],
    step: StepOption = None,
    latency: LatencyOption = None,
    settle: SettleOption = None,
    json_log: JsonLogOption = None,
) -> int:
    """Raise each label's threshold until normal sound in a room causes few events.

    Listens to the room, or to recordings of it, while nothing happens that should be
    reported, and writes a settings file for `listen`, `file`, `corpus` and `serve`. For each
    label it prints what the new threshold costs: the share of events that is still found,
    where the model file knows it.

    Exit code 0: done. 1: some recordings failed. 2: there was no sound, or an option is
    invalid. 130: interrupted; results so far are written.
    """
    from streamsed import progress
    from streamsed.calibration.job import CalibrationJob

    job = CalibrationJob(
        device=device,
        channel=channel,
        minutes=minutes,
        max_false=max_false,
        output=output,
        overwrite=overwrite,
        model=model.name,
        sha256=model.sha256,
        engine={**engine, "trust": model.trust},
        step=step,
        latency=latency,
        settle=settle,
        sensitivity=sensitivity,
        keep=keep or [],
        ignore=ignore or [],
    )
    with progress.json_log(json_log):
        return job.run(paths or [], recursive=recursive)
