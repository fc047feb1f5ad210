"""`streamsed listen`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamsed.cli.options import (
    ChannelOption,
    DeviceOption,
    LatencyOption,
    ModelChoice,
    SettleOption,
    detection_settings,
    engine_settings,
    model_choice,
    with_options,
)
from streamsed.cli.settings_file import SettingsOption

if TYPE_CHECKING:
    from streamsed.detection_settings import DetectionSettings


@with_options(model=model_choice, engine=engine_settings, detection=detection_settings)
def listen(
    *,
    device: DeviceOption = None,
    channel: ChannelOption = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read raw PCM from standard input instead.")
    ] = False,
    rate: Annotated[
        int, typer.Option(metavar="HZ", help="Sampling rate of --stdin.")
    ] = 44100,
    channels: Annotated[
        int,
        typer.Option(metavar="N", help="Number of interleaved channels of --stdin."),
    ] = 1,
    encoding: Annotated[
        str, typer.Option(metavar="s16|f32", help="Sample format of --stdin.")
    ] = "s16",
    file: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Play a recording in real time instead."),
    ] = None,
    settings: SettingsOption = None,  # noqa: ARG001 - used by its callback
    pace: Annotated[
        float,
        typer.Option(
            metavar="FACTOR",
            help="Play --file this many times faster; 0 is as fast as possible.",
        ),
    ] = 1.0,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Wait until the microphone is plugged in."),
    ] = False,
    model: ModelChoice,
    engine: dict[str, Any],
    step: Annotated[
        str, typer.Option(metavar="S|auto", help="Score a segment every S seconds.")
    ] = "auto",
    max_load: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Highest load of one core that --step auto may choose.",
        ),
    ] = 0.6,
    latency: LatencyOption = None,
    settle: SettleOption = None,
    detection: DetectionSettings,
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
        Path | None,
        typer.Option(metavar="FILE", help="Also append JSON lines to a file."),
    ] = None,
    log_rotate: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE|AGE",
            help="Start a new log at this size or age, such as 10MB, 1d or 10MB,1d.",
        ),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            "--exec",
            metavar="CMD",
            help="Run CMD for events, with their JSON on stdin.",
        ),
    ] = None,
    exec_on: Annotated[
        str,
        typer.Option(
            metavar="STATES",
            help="When to run --exec: opened, ended, closed or withdrawn; separate several "
            "by commas.",
        ),
    ] = "opened",
    cooldown: Annotated[
        float,
        typer.Option(
            metavar="S", help="Run --exec for a label at most once in S seconds."
        ),
    ] = 0.0,
    exec_timeout: Annotated[
        float,
        typer.Option(metavar="S", help="Stop a command of --exec that takes longer."),
    ] = 10.0,
    save_clips: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Save the sound of each event as FLAC, unless it contains speech.",
        ),
    ] = None,
    clips_limit: Annotated[
        float,
        typer.Option(
            metavar="MB", help="Delete the oldest clips when they exceed this size."
        ),
    ] = 1000.0,
    clips_days: Annotated[
        float | None,
        typer.Option(metavar="DAYS", help="Delete clips older than this."),
    ] = None,
    save_speech: Annotated[
        bool, typer.Option("--save-speech", help="Also save clips that contain speech.")
    ] = False,
) -> int:
    """Detect events live from a microphone and report them as they happen.

    Ctrl-C, SIGTERM, --duration or the end of input closes open events and prints a
    summary. No sound is stored without --save-clips.
    """
    from streamsed.live.job import ListenJob
    from streamsed.live.outputs import LiveOutputs

    job = ListenJob(
        device=device,
        channel=channel,
        pcm=(rate, channels, encoding) if stdin else None,
        file=file,
        pace=pace,
        wait=wait,
        model=model.name,
        sha256=model.sha256,
        engine={**engine, "trust": model.trust},
        step=step,
        max_load=max_load,
        latency=latency,
        settle=settle,
        detection=detection,
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
