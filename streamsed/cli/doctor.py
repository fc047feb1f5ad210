"""`streamsed doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from streamsed.cli.options import DeviceOption, ModelOption
from streamsed.terminal import printable


def doctor(
    *,
    device: DeviceOption = None,
    model: ModelOption = "default",
    latency: Annotated[
        float,
        typer.Option(metavar="S", help="Latency that the machine must keep up with."),
    ] = 1.0,
) -> int:
    """Check the requirements of `listen`; failures are printed with what to do."""
    from streamsed.diagnostics.doctor import examine

    ill = 0
    for finding in examine(model=model, device=device, latency=latency):
        mark = "ok  " if finding.well else "FAIL"
        print(f"{mark}  {printable(finding.what)}: ", end="")
        print(printable(" ".join(finding.says.split())), flush=True)
        ill += not finding.well
    return min(1, ill)
