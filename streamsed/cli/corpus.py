"""`streamsed corpus`, with `export` and `search` under it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from streamsed.cli.options import (
    LatencyOption,
    MinDurationOption,
    MinGapOption,
    ModelOption,
    PrecisionOption,
    StepOption,
    ThresholdOption,
    engine_settings,
    post_settings,
)

EXTRA = "corpora need pyarrow and fsspec: pip install 'streamsed[corpus]'"


class _RunByDefault(TyperGroup):
    """Commands of which `run` is meant where none is named: its inputs come first."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the command where an input stands."""
        if args and args[0] not in (*self.commands, "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


corpus = typer.Typer(
    cls=_RunByDefault,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Detect in any number of recordings and write tables (Parquet). "
    "`streamsed corpus INPUT... -o OUT` runs; `streamsed corpus run --help` has its options.",
)

OutArgument = Annotated[
    Path, typer.Argument(metavar="OUT", help="What `streamsed corpus -o` wrote.")
]
LabelsOption = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME", help="Only this label; repeatable."),
]
MinScoreOption = Annotated[
    float, typer.Option(metavar="S", help="Only events of at least this score.")
]


@corpus.command()
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
        str, typer.Option(metavar="I/N", help="Do the I-th of N parts of the files.")
    ] = "1/1",
    engine: Annotated[
        str, typer.Option(metavar="local|ray", help="Processes here, or a Ray cluster.")
    ] = "local",
    ray_address: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Of the cluster; local starts one.")
    ] = "local",
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Processes. [default: one per core]")
    ] = None,
    model: ModelOption = "default",
    inference: Annotated[
        str,
        typer.Option(
            metavar="auto|openvino|onnx|torchscript", help="What runs the network."
        ),
    ] = "auto",
    precision: PrecisionOption = "auto",
    device: Annotated[
        str, typer.Option(metavar="cpu|cuda", help="Where the network runs.")
    ] = "cpu",
    step: StepOption = None,
    latency: LatencyOption = None,
    threshold: ThresholdOption = None,
    min_gap: MinGapOption = None,
    min_duration: MinDurationOption = None,
    scores: Annotated[
        bool, typer.Option("--scores", help="Write frame scores too, in 16 bits.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(metavar="S", help="Give up on a file after this long.")
    ] = 300.0,
    memory: Annotated[
        int, typer.Option(metavar="MB", help="End a worker that takes more.")
    ] = 4096,
    piece: Annotated[
        float, typer.Option(metavar="S", help="Cut longer recordings into pieces of S.")
    ] = 1200.0,
    part_every: Annotated[
        float, typer.Option(metavar="S", help="Write what is done every S seconds.")
    ] = 60.0,
    staging: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="For copies of remote files. [default: in OUT]"
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Do files again that failed before.")
    ] = False,
    relist: Annotated[
        bool, typer.Option("--relist", help="List the inputs again; do what is new.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do 1 % and say what all of it takes.")
    ] = False,
) -> int:
    """Detect in any number of recordings; the same command goes on after any end.

    Exit code 0: all files done. 1: some failed (see OUT/files). 2: none done, or it cannot
    go on. 130: interrupted; what was done by then is written.
    """
    _need_extra()
    from streamsed.corpus.files.shards import Shard
    from streamsed.corpus.pool import Limits
    from streamsed.corpus.run import CorpusRun

    if engine not in ("local", "ray"):
        raise ValueError(f"--engine={engine} must be local or ray")
    for name, value in (
        ("--timeout", timeout),
        ("--memory", memory),
        ("--part-every", part_every),
    ):
        if not value > 0:
            raise ValueError(f"{name}={value} must be positive")
    job = CorpusRun(
        out=output,
        shard=Shard.parse(shard),
        model=model,
        engine=engine_settings(inference, precision, 1, device),
        step=step,
        latency=latency,
        post=post_settings(threshold, min_gap, min_duration),
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
    if not dry_run:
        return job.run(inputs)
    forecast = job.predict(inputs)
    lines = forecast.lines(job.n_workers) if forecast else ["all files are done"]
    print("\n".join(lines))
    return 0


@corpus.command()
def export(
    out: OutArgument,
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .parquet, .csv, .tsv or .jsonl file.",
        ),
    ],
    label: LabelsOption = None,
    min_score: MinScoreOption = 0.0,
) -> int:
    """Join the parts of a corpus, events with their files, to one file."""
    _need_extra()
    from streamsed.corpus.tables.export import export_events

    n_events, n_files = export_events(out, output, labels=label, min_score=min_score)
    print(f"{n_events} events of {n_files} files")
    return 0


@corpus.command()
def search(
    out: OutArgument,
    *,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for the clips."),
    ],
    label: LabelsOption = None,
    min_score: MinScoreOption = 0.0,
    context: Annotated[
        float, typer.Option(metavar="S", help="Seconds before and after each event.")
    ] = 1.0,
    limit: Annotated[
        int,
        typer.Option(metavar="N", help="At most so many, the highest scores first."),
    ] = 100,
) -> int:
    """Cut events out of their recordings, to listen to them.

    Writes a FLAC file for each, Audacity labels beside it, and one Raven table.
    Exit code 0: all cut. 1: some recordings could not be read. 2: none.
    """
    _need_extra()
    from streamsed.corpus.tables.search import search_events

    return search_events(
        out, output, labels=label, min_score=min_score, context=context, limit=limit
    )


def _need_extra() -> None:
    """Say what to install before an import says less."""
    from importlib.util import find_spec

    if find_spec("pyarrow") is None or find_spec("fsspec") is None:
        raise ModuleNotFoundError(EXTRA)
