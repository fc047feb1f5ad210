"""`streamsed devices`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from streamsed.terminal import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from streamsed.audio.devices import Device


def devices(
    *,
    sources: Annotated[
        bool,
        typer.Option("--sources", help="List the sound server's sources instead."),
    ] = False,
) -> None:
    """List the microphones and the sampling rates at which they open.

    With --sources: the sources of PulseAudio or PipeWire, by names that `listen --device`
    accepts too.
    """
    from rich.console import Console
    from rich.text import Text

    from streamsed.audio.devices import input_devices, working_rates
    from streamsed.audio.sound_server import server_sources

    console = Console(soft_wrap=True)
    if sources:
        for source in server_sources():
            console.print(Text(f"{source.name}  {source.description}"))
        return
    found = [(device, working_rates(device)) for device in input_devices()]
    console.print(devices_table(found))


def devices_table(found: Sequence[tuple[Device, Sequence[int]]]) -> RenderableType:
    """Return a table of input devices and their rates; a star marks the default."""
    from rich.table import Table
    from rich.text import Text

    if not found:
        return Text("no input devices; plug in a microphone")
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for column in (
        "index",
        "name",
        "host",
        "channels",
        "default rate",
        "opens at (Hz)",
    ):
        table.add_column(column)
    for device, rates in found:
        table.add_row(
            "*" if device.is_default else "",
            str(device.index),
            Text(printable(device.name)),
            Text(printable(device.host)),
            str(device.n_channels),
            f"{device.sample_rate} Hz",
            " ".join(map(str, rates)) or "none",
        )
    return table
