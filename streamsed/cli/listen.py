"""`streamsed listen`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamsed.cli.options import (
    ConfirmOption,
    EngineOption,
    IgnoreOption,
    LabelOption,
    LatencyOption,
    MinDurationOption,
    MinGapOption,
    ModelOption,
    OffsetThresholdOption,
    PrecisionOption,
    SensitivityOption,
    SettleOption,
    Sha256Option,
    SmoothingOption,
    ThreadsOption,
    ThresholdOption,
    TrustOption,
    detection_settings,
    engine_settings,
)
from streamsed.cli.settings_file import SettingsOption


def listen(
    *,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            "-d",
            metavar="INDEX|NAME",
            help="Microphone or source of the sound server, by index or part of its name. "
            "[default: the system's]",
        ),
    ] = None,
    channel: Annotated[
        int | None,
        typer.Option(metavar="N", help="Listen to channel N only, counted from 1."),
    ] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read raw PCM from standard input instead.")
    ] = False,
    rate: Annotated[
        int, typer.Option(metavar="HZ", help="Sampling frequency of --stdin.")
    ] = 44100,
    channels: Annotated[
        int, typer.Option(metavar="N", help="Interleaved channels of --stdin.")
    ] = 1,
    encoding: Annotated[
        str, typer.Option(metavar="s16|f32", help="Samples of --stdin.")
    ] = "s16",
    file: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Play a recording at its pace instead."),
    ] = None,
    settings: SettingsOption = None,  # noqa: ARG001 - its callback has done it
    pace: Annotated[
        float,
        typer.Option(
            metavar="FACTOR",
            help="Play --file this many times faster; 0 as fast as it is detected.",
        ),
    ] = 1.0,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Wait for a microphone that is not there yet."),
    ] = False,
    model: ModelOption = "default",
    model_sha256: Sha256Option = None,
    trust_model: TrustOption = False,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = None,
    step: Annotated[
        str, typer.Option(metavar="S|auto", help="Score a segment every S seconds.")
    ] = "auto",
    max_load: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Share of the time that detection may take with --step auto.",
        ),
    ] = 0.6,
    latency: LatencyOption = None,
    settle: SettleOption = None,
    sensitivity: SensitivityOption = "normal",
    threshold: ThresholdOption = None,
    offset_threshold: OffsetThresholdOption = None,
    smoothing: SmoothingOption = None,
    min_gap: MinGapOption = None,
    min_duration: MinDurationOption = None,
    confirm: ConfirmOption = 0.0,
    label: LabelOption = None,
    ignore: IgnoreOption = None,
    duration: Annotated[
        float | None, typer.Option(metavar="S", help="Stop after S seconds.")
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="view|jsonl",
            help="[default: view on a terminal, jsonl into a pipe]",
        ),
    ] = None,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append JSON lines there too.")
    ] = None,
    log_rotate: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE|AGE",
            help="Begin a new log at this size or age, such as 10MB, 1d or 10MB,1d.",
        ),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            "--exec", metavar="CMD", help="Run CMD for events, their JSON on stdin."
        ),
    ] = None,
    exec_on: Annotated[
        str,
        typer.Option(
            metavar="STATES",
            help="Run it for events that are opened, ended, closed or withdrawn; several "
            "with commas.",
        ),
    ] = "opened",
    cooldown: Annotated[
        float,
        typer.Option(
            metavar="S", help="Do not run it again for a label within S seconds."
        ),
    ] = 0.0,
    exec_timeout: Annotated[
        float, typer.Option(metavar="S", help="Kill a run that takes longer.")
    ] = 10.0,
    save_clips: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Save each event's sound there as FLAC, unless it holds speech.",
        ),
    ] = None,
    clips_limit: Annotated[
        float, typer.Option(metavar="MB", help="Delete the oldest clips above this.")
    ] = 1000.0,
    clips_days: Annotated[
        float | None,
        typer.Option(metavar="DAYS", help="Delete clips that are older than this."),
    ] = None,
    save_speech: Annotated[
        bool, typer.Option("--save-speech", help="Save clips that hold speech too.")
    ] = False,
) -> int:
    """Show the events of the room as they happen.

    Ctrl-C, SIGTERM, --duration or the end of input closes what is open and prints a
    summary. Sound is never stored unless --save-clips asks for it.
    """
    from streamsed.live.job import ListenJob
    from streamsed.live.outputs import LiveOutputs

    if not stdin and (rate, channels, encoding) != (44100, 1, "s16"):
        raise ValueError(
            "--rate, --channels and --encoding describe --stdin, which is not given"
        )
    job = ListenJob(
        device=device,
        channel=channel,
        pcm=(rate, channels, encoding) if stdin else None,
        file=file,
        pace=pace,
        wait=wait,
        model=model,
        sha256=model_sha256,
        engine=engine_settings(engine, precision, threads, trust=trust_model),
        step=step,
        max_load=max_load,
        latency=latency,
        settle=settle,
        detection=detection_settings(
            sensitivity=sensitivity,
            threshold=threshold,
            offset_threshold=offset_threshold,
            smoothing=smoothing,
            min_gap=min_gap,
            min_duration=min_duration,
            confirm=confirm,
            label=label,
            ignore=ignore,
        ),
        duration=duration,
        format_name=format_name,
        outputs=LiveOutputs(
            log=log,
            log_rotate=log_rotate,
            command=command,
            exec_on=exec_on,
            cooldown=cooldown,
            exec_timeout=exec_timeout,
            save_clips=save_clips,
            clips_limit=clips_limit,
            clips_days=clips_days,
            save_speech=save_speech,
        ),
    )
    return job.run()
