"""What is here: `streamsed devices`, `doctor`, `info` and `bench`."""

from __future__ import annotations

from typing import Annotated

import typer

from streamsed.commands.options import (
    EngineOption,
    ModelArgument,
    ModelOption,
    PrecisionOption,
    ThreadsOption,
    engine_settings,
)


def devices() -> None:
    """List the microphones, with the rates at which they really open."""
    from rich.console import Console

    from streamsed.audio.devices import input_devices, working_rates
    from streamsed.display import devices_table

    found = [(device, working_rates(device)) for device in input_devices()]
    Console(soft_wrap=True).print(devices_table(found))


def doctor(
    *,
    device: Annotated[
        str | None, typer.Option("--device", "-d", metavar="INDEX|NAME")
    ] = None,
    model: ModelOption = "default",
    latency: Annotated[float, typer.Option(metavar="S")] = 1.0,
) -> int:
    """Check what is needed to listen; every failure ends with its remedy."""
    from streamsed.diagnostics.doctor import examine

    ill = 0
    for finding in examine(model=model, device=device, latency=latency):
        mark = "ok  " if finding.well else "FAIL"
        print(f"{mark}  {finding.what}: {' '.join(finding.says.split())}", flush=True)
        ill += not finding.well
    return min(1, ill)


def info(
    model: ModelArgument = "default",
    *,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Say what a model detects, how it is set, scored and trained, and what runs it."""
    from rich.console import Console

    from streamsed.display import engines_table, info_table
    from streamsed.inference.model import Model
    from streamsed.inference.model_file import find_model

    loaded = Model.load(model, **engine_settings(engine, precision, threads))
    console = Console(soft_wrap=True)
    console.print(info_table(loaded.info, find_model(model)))
    console.print(engines_table(loaded))


def bench(
    model: ModelArgument = "default",
    *,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = None,
    rounds: Annotated[
        int, typer.Option(metavar="N", help="Segments that each of them scores.")
    ] = 20,
) -> None:
    """Measure what this machine takes for a segment, by every engine and precision."""
    from rich.console import Console

    from streamsed.diagnostics.bench import measure
    from streamsed.display import bench_table
    from streamsed.inference.model_file import find_model
    from streamsed.inference.selection import Wish

    wish = Wish("auto", engine, precision, threads)
    rows = measure(find_model(model), wish, n_rounds=rounds)
    Console(soft_wrap=True).print(bench_table(list(rows)))
