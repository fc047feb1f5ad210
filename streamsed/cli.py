"""The command line: options to settings, settings to work, errors to one line each."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

import streamsed
from streamsed.options import (
    EngineOption,
    LabelOption,
    LatencyOption,
    MinDurationOption,
    MinGapOption,
    ModelOption,
    PrecisionOption,
    StepOption,
    ThreadsOption,
    ThresholdOption,
    engine_settings,
    post_settings,
)

UsageError: Any = typer.BadParameter.__mro__[1]  # typer brings its own or click's

app = typer.Typer(
    name="streamsed",
    help=streamsed.__doc__,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> NoReturn:
    """Run the command line; what a user did wrong becomes one line and exit code 2."""
    signal.signal(signal.SIGTERM, _interrupt)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file name need not be UTF-8
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        code = app(prog_name="streamsed", standalone_mode=False) or 0
        print(end="", flush=True)
    except UsageError as error:
        command = error.ctx.command_path if error.ctx else "streamsed"
        code = _fail(f"{error.format_message().rstrip('.')}; see `{command} --help`")
    except KeyboardInterrupt:
        code = 130
        print("streamsed: interrupted", file=sys.stderr)
    except BrokenPipeError:
        # The reader of our output left; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except (OSError, ValueError, ModuleNotFoundError) as error:
        message = str(error)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            message = f"the output must be writable to its end ({error.strerror})"
        code = _fail(message)
    sys.exit(code)


def _fail(message: str) -> int:
    print(f"streamsed: error: {' '.join(message.split())}", file=sys.stderr)
    return 2


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback form
    if wanted:
        print(f"streamsed {streamsed.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001 - the callback has done it
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version.",
        ),
    ] = False,
) -> None:
    """Detect sound events: named, with exact onsets and offsets."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command("file")
def file_command(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Recordings, or folders of them.", show_default=False),
    ],
    *,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="table, tsv (the challenge's), csv, jsonl, audacity or raven. "
            "[default: table on a terminal, tsv into a pipe or file]",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            help="Write there instead of printing; in a folder, a file per recording.",
        ),
    ] = None,
    model: ModelOption = "default",
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda", help="Where the model runs.")
    ] = "auto",
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = None,
    step: StepOption = None,
    latency: LatencyOption = None,
    threshold: ThresholdOption = None,
    min_gap: MinGapOption = None,
    min_duration: MinDurationOption = None,
    label: LabelOption = None,
    scores: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Write the frame scores too (sed_scores_eval's TSV).",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE|DIR", help="Draw the detection too (PNG)."),
    ] = None,
    check_stream: Annotated[
        bool,
        typer.Option(
            "--check-stream",
            help="Push each recording again in random chunks; compare.",
        ),
    ] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Look in folders inside folders.")
    ] = False,
) -> int:
    """Detect the events of recordings and print or write them.

    Exit code 0: all recordings done. 1: some failed, or a stream check found a
    difference. 2: none done, or an option is wrong. 130: interrupted; what was done by
    then is written.
    """
    from streamsed.filejob import FileJob
    from streamsed.outputs import Outputs

    job = FileJob(
        model=model,
        engine=engine_settings(engine, precision, threads, device),
        step=step,
        latency=latency,
        post=post_settings(threshold, min_gap, min_duration),
        only=label or [],
        outputs=Outputs(
            format_name=format_name, events=output, scores=scores, plot=plot
        ),
        check_stream=check_stream,
    )
    return job.run(paths, recursive=recursive)


@app.command()
def listen(
    *,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            "-d",
            metavar="INDEX|NAME",
            help="Microphone, by index or part of its name. [default: the system's]",
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
    model: ModelOption = "default",
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = None,
    step: Annotated[
        str, typer.Option(metavar="S|auto", help="Score a segment every S seconds.")
    ] = "auto",
    latency: Annotated[
        float,
        typer.Option(metavar="S", help="An event is final S seconds after its end."),
    ] = 1.0,
    threshold: ThresholdOption = None,
    min_gap: MinGapOption = None,
    min_duration: MinDurationOption = None,
    label: LabelOption = None,
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
    command: Annotated[
        str | None,
        typer.Option(
            "--exec", metavar="CMD", help="Run CMD for each event, its JSON on stdin."
        ),
    ] = None,
    save_clips: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Save each event's sound there as FLAC."),
    ] = None,
    clips_limit: Annotated[
        float, typer.Option(metavar="MB", help="Delete the oldest clips above this.")
    ] = 1000.0,
) -> int:
    """Show the events of the room as they happen.

    Ctrl-C, SIGTERM, --duration or the end of input closes what is open and prints a
    summary. Sound is never stored unless --save-clips asks for it.
    """
    from streamsed.listenjob import ListenJob

    job = ListenJob(
        device=device,
        channel=channel,
        pcm=(rate, channels, encoding) if stdin else None,
        file=file,
        model=model,
        engine=engine_settings(engine, precision, threads),
        step=step,
        latency=latency,
        post=post_settings(threshold, min_gap, min_duration),
        only=label or [],
        duration=duration,
        format_name=format_name,
        log=log,
        command=command,
        save_clips=save_clips,
        clips_limit=clips_limit,
    )
    return job.run()


@app.command()
def devices() -> None:
    """List the microphones, with the rates at which they really open."""
    from rich.console import Console

    from streamsed.devices import input_devices, working_rates
    from streamsed.display import devices_table

    found = [(device, working_rates(device)) for device in input_devices()]
    Console(soft_wrap=True).print(devices_table(found))


@app.command()
def doctor(
    *,
    device: Annotated[
        str | None, typer.Option("--device", "-d", metavar="INDEX|NAME")
    ] = None,
    model: ModelOption = "default",
    latency: Annotated[float, typer.Option(metavar="S")] = 1.0,
) -> int:
    """Check what is needed to listen; every failure ends with its remedy."""
    from streamsed.doctor import examine

    ill = 0
    for finding in examine(model=model, device=device, latency=latency):
        mark = "ok  " if finding.well else "FAIL"
        print(f"{mark}  {finding.what}: {' '.join(finding.says.split())}", flush=True)
        ill += not finding.well
    return min(1, ill)


@app.command()
def info(
    model: Annotated[
        str, typer.Argument(metavar="[NAME|PATH]", help="A shipped model or a file.")
    ] = "default",
    *,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Say what a model detects, how it is set, scored and trained, and what runs it."""
    from rich.console import Console

    from streamsed.artefact import find_model
    from streamsed.display import engines_table, info_table
    from streamsed.model import Model

    loaded = Model.load(model, **engine_settings(engine, precision, threads))
    console = Console(soft_wrap=True)
    console.print(info_table(loaded.info, find_model(model)))
    console.print(engines_table(loaded))


@app.command()
def bench(
    model: Annotated[
        str, typer.Argument(metavar="[NAME|PATH]", help="A shipped model or a file.")
    ] = "default",
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

    from streamsed.artefact import find_model
    from streamsed.bench import measure
    from streamsed.display import bench_table
    from streamsed.engines.choice import Wish

    wish = Wish("auto", engine, precision, threads)
    rows = measure(find_model(model), wish, n_rounds=rounds)
    Console(soft_wrap=True).print(bench_table(list(rows)))
