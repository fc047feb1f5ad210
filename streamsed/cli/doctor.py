"""`streamsed doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from streamsed.cli.options import (
    ModelOption,
)
from streamsed.terminal import printable


def doctor(
    *,
    device: Annotated[
        str | None, typer.Option("--device", "-d", metavar="INDEX|NAME")
    ] = None,
    model: ModelOption = "default",
    latency: Annotated[float, typer.Option(metavar="S")] = 1.0,
) -> int:
    """Check what `listen` needs; each failure comes with its remedy."""
    from streamsed.diagnostics.doctor import examine

    ill = 0
    for finding in examine(model=model, device=device, latency=latency):
        mark = "ok  " if finding.well else "FAIL"
        print(f"{mark}  {printable(finding.what)}: ", end="")
        print(printable(" ".join(finding.says.split())), flush=True)
        ill += not finding.well
    return min(1, ill)
