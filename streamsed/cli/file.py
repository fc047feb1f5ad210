"""`streamsed file`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamsed.cli.options import (
    JsonLogOption,
    LatencyOption,
    ModelChoice,
    RecursiveOption,
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


@with_options(model=model_choice, engine=engine_settings, detection=detection_settings)
def file(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="Recordings, or folders of them.",
            show_default=False,
        ),
    ],
    *,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="table, tsv (the format of the DCASE challenge), csv, jsonl, audacity or raven. "
            "[default: by the suffix of --output, else table on a terminal and tsv elsewhere]",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            help="Write to a file instead of printing; for a folder (a name that ends with "
            "/), one file per recording.",
        ),
    ] = None,
    settings: SettingsOption = None,  # noqa: ARG001 - used by its callback
    model: ModelChoice,
    device: Annotated[
        str,
        typer.Option(metavar="auto|cpu|cuda", help="Device that the model runs on."),
    ] = "auto",
    engine: dict[str, Any],
    step: StepOption = None,
    latency: LatencyOption = None,
    settle: SettleOption = None,
    detection: DetectionSettings,
    scores: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Also write frame scores (TSV of sed_scores_eval).",
        ),
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Also plot the detection (.png, .svg or .pdf; PNG in a folder).",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="S|H:MM:SS", help="Start of the plot. [default: 0]"
        ),
    ] = None,
    stop: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="S|H:MM:SS", help="End of the plot. [default: the end]"
        ),
    ] = None,
    theme: Annotated[
        str, typer.Option(metavar="light|dark", help="Colours of the plot.")
    ] = "light",
    check_stream: Annotated[
        bool,
        typer.Option(
            "--check-stream",
            help="Also push each recording in random chunks, and compare the events.",
        ),
    ] = False,
    recursive: RecursiveOption = False,
    json_log: JsonLogOption = None,
) -> int:
    """Detect events in recordings and print or write them.

    Exit code 0: all recordings done. 1: some failed, or --check-stream found a
    difference. 2: none done, or an option is invalid. 130: interrupted; results so far
    are written.
    """
    from streamsed import progress
    from streamsed.recordings.job import FileJob
    from streamsed.recordings.outputs import Outputs
    from streamsed.recordings.picture import Picture, seconds_of

    given = [given for given in (output, scores, plot) if given is not None]
    job = FileJob(
        model=model.name,
        sha256=model.sha256,
        engine={**engine, "device": device, "trust": model.trust},
        step=step,
        latency=latency,
        settle=settle,
        detection=detection,
        outputs=Outputs(
            format_name=format_name,
            events=None if output is None else Path(output),
            scores=None if scores is None else Path(scores),
            plot=None if plot is None else Path(plot),
            picture=Picture(
                0.0 if start is None else seconds_of(start, "--from"),
                None if stop is None else seconds_of(stop, "--to"),
                theme,
            ),
            folders=frozenset(Path(name) for name in given if name.endswith(os.sep)),
        ),
        check_stream=check_stream,
    )
    with progress.json_log(json_log):
        return job.run(paths, recursive=recursive)
