"""`streamsed bench`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from streamsed.cli.options import (
    EngineOption,
    ModelArgument,
    PrecisionOption,
    ThreadsOption,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from streamsed.diagnostics.bench import BenchResult


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
    from streamsed.inference.model_file import find_model
    from streamsed.inference.selection import EngineRequest

    request = EngineRequest("auto", engine, precision, threads)
    rows = measure(find_model(model), request, n_rounds=rounds)
    Console(soft_wrap=True).print(bench_table(list(rows)))


def bench_table(rows: Sequence[BenchResult]) -> RenderableType:
    """Show what each engine takes for a segment, the fastest first."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("engine", "precision"):
        table.add_column(column, no_wrap=True)
    for column in (
        *("threads", "start (s)", "ms a segment", "real-time factor"),
        *("step (s)", "memory (MB)"),
    ):
        table.add_column(column, justify="right")
    for row in sorted(rows, key=lambda row: row.segment):
        table.add_row(
            row.engine,
            row.precision,
            str(row.threads),
            f"{row.load:.2f}",
            f"{1000 * row.segment:.1f}",
            f"{row.real_time_factor:.4f}",
            f"{row.step:.2f}",
            f"{row.memory:.0f}",
        )
    return table
