"""`streamsed corpus INPUT... -o OUT`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamsed.cli.corpus.extra import need_extra
from streamsed.cli.errors import error_message
from streamsed.cli.options import (
    EngineOption,
    JsonLogOption,
    ModelChoice,
    PrecisionOption,
    SettleOption,
    StepOption,
    detection_settings,
    engine_settings,
    model_choice,
    with_options,
)
from streamsed.cli.settings_file import SettingsOption

if TYPE_CHECKING:
    from streamsed.detection_settings import DetectionSettings


@with_options(model=model_choice, detection=detection_settings)
def run(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Files, folders, patterns, lists (.txt, .csv, .parquet) or URLs.",
            show_default=False,
        ),
    ],
    *,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT", help="Folder for the tables."),
    ],
    shard: Annotated[
        str,
        typer.Option(
            metavar="I/N", help="Process only the I-th of N parts of the files."
        ),
    ] = "1/1",
    engine: Annotated[
        str,
        typer.Option(
            metavar="local|ray", help="Run on this machine or on a Ray cluster."
        ),
    ] = "local",
    ray_address: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Address of the cluster; local starts one."
        ),
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Worker processes. [default: one per core]"),
    ] = None,
    settings: SettingsOption = None,  # noqa: ARG001 - its callback has done it
    model: ModelChoice,
    inference: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    device: Annotated[
        str, typer.Option(metavar="cpu|cuda", help="Device that the network runs on.")
    ] = "cpu",
    step: StepOption = None,
    settle: SettleOption = None,
    detection: DetectionSettings,
    scores: Annotated[
        bool,
        typer.Option("--scores", help="Also write frame scores, as 16-bit numbers."),
    ] = False,
    timeout: Annotated[
        float, typer.Option(metavar="S", help="Give up on a file after S seconds.")
    ] = 300.0,
    memory: Annotated[
        int, typer.Option(metavar="MB", help="Stop a worker that uses more memory.")
    ] = 4096,
    piece: Annotated[
        float,
        typer.Option(
            metavar="S", help="Split longer recordings into pieces of S seconds."
        ),
    ] = 1200.0,
    part_every: Annotated[
        float, typer.Option(metavar="S", help="Write results every S seconds.")
    ] = 60.0,
    staging: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder for copies of remote files. [default: in OUT]"
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Retry files that failed before.")
    ] = False,
    relist: Annotated[
        bool,
        typer.Option("--relist", help="List the inputs again and process new files."),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Process 1 % and estimate the cost of the rest."
        ),
    ] = False,
    json_log: JsonLogOption = None,
) -> int:
    """Detect events in any number of recordings; repeat the command to continue a run.

    Exit code 0: all files done. 1: some failed (see OUT/files). 2: none done, or the run
    cannot continue. 130: interrupted; results so far are written.
    """
    need_extra()
    from streamsed import progress
    from streamsed.corpus.files.shards import Shard
    from streamsed.corpus.pool import Limits
    from streamsed.corpus.run import CorpusRun

    if engine not in ("local", "ray"):
        raise ValueError(f"--engine must be local or ray, not {engine!r}")
    for name, value in (
        ("--timeout", timeout),
        ("--memory", memory),
        ("--part-every", part_every),
    ):
        if not value > 0:
            raise ValueError(f"{name} must be positive, not {value}")
    job = CorpusRun(
        out=output,
        shard=Shard.parse(shard),
        model=model.name,
        sha256=model.sha256,
        engine={
            **engine_settings(engine=inference, precision=precision, threads=1),
            "device": device,
            "trust": model.trust,
        },
        step=step,
        settle=settle,
        detection=detection,
        scores=scores,
        workers=workers,
        limits=Limits(time=timeout, memory=memory << 20),
        piece=piece,
        flush_every=part_every,
        staging=staging,
        retry_failed=retry_failed,
        relist=relist,
        ray=ray_address if engine == "ray" else None,
    )
    with progress.json_log(json_log), _naming_own_options():
        if not dry_run:
            return job.run(inputs)
        forecast = job.predict(inputs)
    lines = forecast.lines(job.n_workers) if forecast else ["all files are done"]
    print("\n".join(lines))
    return 0


@contextmanager
def _naming_own_options() -> Iterator[None]:
    """Name `--inference` and `--settle` in errors of the library.

    It calls them engine and latency, which are options of other commands.
    """
    try:
        yield
    except ValueError as error:
        message = error_message(error).replace("--engine", "--inference")
        raise ValueError(message.replace("--latency", "--settle")) from error
