"""`streamsed info`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsed.cli.options import (
    EngineOption,
    ModelArgument,
    PrecisionOption,
    Sha256Option,
    ThreadsOption,
    TrustOption,
    engine_settings,
)
from streamsed.terminal import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from streamsed.inference.model import Model
    from streamsed.inference.model_file import ModelFile


def info(
    model: ModelArgument = "default",
    *,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = None,
    model_sha256: Sha256Option = None,
    trust_model: TrustOption = False,
) -> None:
    """Say what a model detects, how it is set, scored and trained, and what runs it."""
    from rich.console import Console

    from streamsed.inference.model import Model
    from streamsed.inference.model_file import ModelFile, find_model

    opened = ModelFile.open(find_model(model), sha256=model_sha256)
    settings = engine_settings(engine, precision, threads, trust=trust_model)
    loaded = Model.load(opened, **settings)
    console = Console(soft_wrap=True)
    console.print(info_table(opened))
    console.print(engines_table(loaded))


ORIGINS = {
    "shipped": "shipped with this package",
    "exported": "exported by you",
    "": "not known here; only its data are used",
}


def info_table(file: ModelFile) -> RenderableType:
    """Show what a model file says of itself."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    info, path = file.info, printable(str(file.path))
    table = Table(title=Text(f"{info.name}  ({path})"), title_justify="left", box=None)
    table.add_column("", style="dim", no_wrap=True)
    table.add_column("")
    segment = f"{info.frontend.segment_frames} frames, {info.frontend.n_mels} mel bands"
    table.add_row("labels", Text(", ".join(info.labels)))
    table.add_row("sha256", file.sha256)
    table.add_row("origin", ORIGINS[file.origin])
    table.add_row(
        "size", f"{len(file.archive.data) / 1e6:.1f} MB, {info.parameters} weights"
    )
    table.add_row("cost", f"{info.gmac:.2f} GMAC per segment of {segment}")
    table.add_row(
        "stream", f"step {info.stream.step} s, latency {info.stream.latency} s"
    )
    for section in (info.scores_at_export, info.training):
        for name, value in section.items():
            shown = f"{value:.4g}" if isinstance(value, float) else str(value)
            table.add_row(Text(printable(name)), Text(printable(shown)))
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
    from rich.table import Table
    from rich.text import Text

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
    for other in model.rejected:
        table.add_row(Text(other.name), Text(printable(other.rejected_because)))
    return table
