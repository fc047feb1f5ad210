"""`streamsed bench`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamsed.cli.options import (
    ModelArgument,
    Sha256Option,
    TrustOption,
    engine_settings,
    with_options,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from streamsed.diagnostics.bench import BenchResult


@with_options(engine=engine_settings)
def bench(
    model: ModelArgument = "default",
    *,
    engine: dict[str, Any],
    rounds: Annotated[
        int, typer.Option(metavar="N", help="Segments that each engine scores.")
    ] = 20,
    model_sha256: Sha256Option = None,
    trust_model: TrustOption = False,
) -> None:
    """Measure the time per segment of each engine and precision on this machine."""
    from rich.console import Console

    from streamsed.diagnostics.bench import measure
    from streamsed.inference.model_file import ModelFile, find_model
    from streamsed.inference.selection import EngineRequest

    file = ModelFile.open(find_model(model), sha256=model_sha256)
    request = EngineRequest(**engine, trust=trust_model)
    rows = list(measure(file, request, n_rounds=rounds))
    console = Console(soft_wrap=True)
    console.print(bench_table(rows))
    console.print(f"model {file.info.name}, sha256 {file.sha256}", markup=False)


def bench_table(rows: Sequence[BenchResult]) -> RenderableType:
    """Return a table of each engine's time per segment, fastest first."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("engine", "precision"):
        table.add_column(column, no_wrap=True)
    for column in (
        *("threads", "start (s)", "ms per segment", "real-time factor"),
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
