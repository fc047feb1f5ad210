"""What a person sees in the terminal: tables, and a bar while one waits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from streamsed.audio.devices import Device
from streamsed.diagnostics.bench import Row
from streamsed.inference.model import Model
from streamsed.inference.model_file import ModelInfo


def info_table(info: ModelInfo, path: Path) -> RenderableType:
    """Show what a model file says of itself."""
    table = Table(title=Text(f"{info.name}  ({path})"), title_justify="left", box=None)
    table.add_column("", style="dim", no_wrap=True)
    table.add_column("")
    segment = f"{info.frontend.segment_frames} frames, {info.frontend.n_mels} mel bands"
    table.add_row("labels", Text(", ".join(info.labels)))
    table.add_row(
        "size", f"{path.stat().st_size / 1e6:.1f} MB, {info.parameters} weights"
    )
    table.add_row("cost", f"{info.gmac:.2f} GMAC per segment of {segment}")
    table.add_row(
        "stream", f"step {info.stream.step} s, latency {info.stream.latency} s"
    )
    for section in (info.scores_at_export, info.training):
        for name, value in section.items():
            shown = f"{value:.4g}" if isinstance(value, float) else str(value)
            table.add_row(Text(name), Text(shown))
    post = Table(title="post-processing", title_justify="left", box=None)
    names = ("onset_threshold", "offset_threshold", "min_gap", "min_duration")
    for column in ("label", *names):
        post.add_column(column.replace("_", " "))
    columns = [info.post.per_label(name, info.labels) for name in names]
    for label, *values in zip(info.labels, *columns, strict=True):
        post.add_row(Text(label), *(f"{value:g}" for value in values))
    return Group(table, post)


def engines_table(model: Model) -> RenderableType:
    """Show what runs a model here, and what spoke against the others."""
    table = Table(title="engine", title_justify="left", box=None)
    table.add_column("", style="dim", no_wrap=True)
    table.add_column("")
    record = model.info.engines.get(model.chosen.name, {})
    says = f"chosen, on {model.place}"
    if "events_changed" in record:
        says += (
            f"; at export its scores were within {record['max_difference']:.2g} of the "
            f"network's, and {record['events_changed']:.1%} of the events others"
        )
    table.add_row(model.chosen.name, Text(says))
    for other in model.passed_over:
        table.add_row(Text(other.name), Text(other.against))
    return table


def bench_table(rows: Sequence[Row]) -> RenderableType:
    """Show what each engine takes for a segment, the fastest first."""
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


def devices_table(found: Sequence[tuple[Device, Sequence[int]]]) -> RenderableType:
    """Show input devices with the rates at which they open; the default has a star."""
    if not found:
        return Text("no input devices; plug a microphone in")
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
            Text(device.name),
            Text(device.host),
            str(device.n_channels),
            f"{device.sample_rate} Hz",
            " ".join(map(str, rates)) or "none",
        )
    return table
