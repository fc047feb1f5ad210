"""`streamsed info`: a summary for people, or everything as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamsed.cli.options import (
    ModelArgument,
    Sha256Option,
    TrustOption,
    engine_settings,
    with_options,
)
from streamsed.terminal import percent, printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from streamsed.inference.model import Model
    from streamsed.inference.model_file import ModelFile, ModelInfo


@with_options(engine=engine_settings)
def info(
    model: ModelArgument = "default",
    *,
    engine: dict[str, Any],
    model_sha256: Sha256Option = None,
    trust_model: TrustOption = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything, as one JSON object.")
    ] = False,
) -> None:
    """Show a model's labels, scores, settings, training data and inference engine."""
    from rich.console import Console

    from streamsed.inference.model import Model
    from streamsed.inference.model_file import ModelFile, find_model

    opened = ModelFile.open(find_model(model), sha256=model_sha256)
    loaded = Model.load(opened, **engine, trust=trust_model)
    if as_json:
        print(json.dumps(info_dict(opened, loaded), indent=1))
        return
    console = Console(soft_wrap=True, highlight=False)
    console.print(info_page(opened, loaded))


ORIGINS = {
    "shipped": "shipped with this package",
    "exported": "exported by you",
    "": "unknown; only its data are used, no code in it is run",
}


def info_dict(file: ModelFile, model: Model) -> dict[str, Any]:
    """Return the file's description, its path, and the engine that runs it here."""
    return {
        "path": str(file.path),
        "sha256": file.sha256,
        "origin": file.origin or None,
        "bytes": len(file.archive.data),
        **file.info.to_dict(),
        "engine": {
            "name": model.chosen.engine,
            "precision": model.chosen.precision,
            "device": model.chosen.device,
            "rejected": {each.name: each.rejected_because for each in model.rejected},
        },
    }


def info_page(file: ModelFile, model: Model) -> RenderableType:
    """Lay out a page: what the model is, its labels, and how well it detects them."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    info = file.info
    about = Table(box=None, show_header=False, pad_edge=False)
    about.add_column(style="dim", no_wrap=True)
    about.add_column()
    for name, says in (*_about(file), *_scored(info), *_trained(info), *_run(model)):
        about.add_row(name, Text(printable(says)))
    title = Text(printable(info.name), style="bold")
    labels = [labels_table(info)]
    searched = info.post.per_label("onset_search", info.labels)
    if any(searched):
        labels.append(
            Text(
                f"{sum(map(bool, searched))} of {len(searched)} may begin up to "
                f"{max(searched):g} s earlier, where the scores of all rise"
            )
        )
    return Group(
        title, Text(), about, Text(), *labels, Text(), sensitivities_table(info)
    )


def labels_table(info: ModelInfo) -> RenderableType:
    """Return a table of each label's settings, and its F1 if the file has it."""
    from rich.table import Table
    from rich.text import Text

    from streamsed.inference.thresholds.operating_points import THRESHOLDS

    f1 = _f1_per_label(info)
    scored = f1 is not None
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    table.add_column("label", no_wrap=True)
    heads = ["opens at", "begins at", "ends below", "min gap", "min length"]
    smoothing = info.post.per_label("smoothing", info.labels)
    if any(smoothing):
        heads.append("median over")
    for head in (*heads, *(["event F1"] if scored else [])):
        table.add_column(head, justify="right")
    names = (*THRESHOLDS, "min_gap", "min_duration")
    columns = [info.post.per_label(name, info.labels) for name in names]
    for label, *numbers, gap, shortest, smoothed in zip(
        info.labels, *columns, smoothing, strict=True
    ):
        cells = [f"{each:.2f}" for each in numbers]
        cells += [f"{gap:.2f} s", f"{shortest:.2f} s"]
        if any(smoothing):
            cells.append(f"{smoothed:.1f} s" if smoothed else "–")
        if f1 is not None:
            cells.append(_percent(f1.get(label)))
        table.add_row(Text(label), *cells)
    return table


def sensitivities_table(info: ModelInfo) -> RenderableType:
    """Return a table of the false alarms at each sensitivity, and its thresholds."""
    from rich.table import Table

    from streamsed.inference.thresholds.operating_points import SENSITIVITIES

    table = Table(box=None, pad_edge=False)
    alarms = "false alarms per hour without events"  # there are more amid events
    for head in ("sensitivity", "settles after", alarms):
        table.add_column(head, justify="right" if head != "sensitivity" else "left")
    points = list(info.operating_points)
    for name in SENSITIVITIES:
        if not any(point.sensitivity == name for point in points):
            points.append(info.operating_point(sensitivity=name))
    for point in sorted(points, key=lambda p: SENSITIVITIES.index(p.sensitivity)):
        n_alarms = point.total_false_alarms
        cost = "not measured" if n_alarms is None else f"{n_alarms:.1f}"
        table.add_row(point.sensitivity, f"{point.settle:g} s", cost)
    return table


Rows = Iterator[tuple[str, str]]


def _about(file: ModelFile) -> Rows:
    info = file.info
    frontend = info.frontend
    seconds = frontend.segment_score_frames * frontend.score_frame_duration
    yield "file", f"{file.path} ({len(file.archive.data) / 1e6:.1f} MB)"
    yield "sha256", file.sha256
    yield "origin", ORIGINS[file.origin]
    size = f"{info.parameters / 1e6:.2g} million weights"
    work = f"{info.gmac:.2g} billion multiplications for {seconds:.0f} s of sound"
    yield "network", f"{size}; {work}"
    bands = (
        f"{frontend.n_mels} mel bands, {frontend.fmin:.0f} to {frontend.fmax:.0f} Hz"
    )
    every = f"one score every {1000 * frontend.score_frame_duration:.0f} ms"
    yield "input", f"{frontend.sample_rate} Hz, {bands}; {every}"
    yield (
        "streaming",
        f"steps of {info.stream.step:g} s, latency {info.stream.latency:g} s",
    )


def _scored(info: ModelInfo) -> Rows:
    scores = info.scores_at_export
    known = {"event_f1_macro": "macro", "event_f1_micro": "micro"}
    found = [
        f"{_percent(scores[n])} {says}" for n, says in known.items() if n in scores
    ]
    if found:
        yield "event F1", ", ".join(found)
    if "data" in scores:
        yield "measured on", str(scores["data"])
    for name, value in scores.items():
        if name not in (*known, "data", "event_f1_per_label", "continuous"):
            yield name.replace("_", " "), _plain(value)
    yield from _scored_live(scores.get("continuous"))


def _scored_live(continuous: object) -> Rows:
    """Say how well long recordings were detected in, in one line for each latency."""
    if not isinstance(continuous, Mapping):
        return
    names = {"event_f1_macro": "macro", "event_f1_micro": "micro"}
    for latency, scores in continuous.items():
        if not isinstance(scores, Mapping):
            continue
        f1 = [f"{_percent(scores.get(n))} {says}" for n, says in names.items()]
        says = f"event F1 {', '.join(f1)}"
        alarms = scores.get("false_announcements_per_hour")
        if isinstance(alarms, int | float):
            says += f"; {alarms:.0f} false announcements per hour"
        yield f"after {latency} s", says
    if "how" in continuous:
        yield "measured on", str(continuous["how"])


def _f1_per_label(info: ModelInfo) -> Mapping[str, object] | None:
    """Return event F1 of each label: of clips, or else live at the shortest latency."""
    scores = info.scores_at_export
    live = scores.get("continuous")
    places = [scores, *(live.values() if isinstance(live, Mapping) else ())]
    for place in places:
        f1 = place.get("event_f1_per_label") if isinstance(place, Mapping) else None
        if isinstance(f1, Mapping):
            return f1
    return None


def _trained(info: ModelInfo) -> Rows:
    training = info.training
    clips, steps = training.get("clips"), training.get("steps")
    if clips is not None:
        yield "trained with", f"{clips} clips in {steps} steps"
    for name, says in (
        ("data", "trained on"),
        ("fit_command", "trained by"),
        ("command", "exported by"),
        ("commit", "at commit"),
    ):
        if name in training:
            yield says, str(training[name])


def _run(model: Model) -> Rows:
    record = model.info.engines.get(model.chosen.name, {})
    says = model.place
    if "events_changed" in record:
        changed = percent(record["events_changed"])
        says += f"; at export, {changed} of events differed from the network's in fp32"
    yield "runs here on", says
    reasons: dict[str, list[str]] = {}
    for other in model.rejected:
        reasons.setdefault(other.rejected_because, []).append(other.name)
    for reason, names in reasons.items():
        yield "not on", f"{', '.join(names)}: {reason}"


def _plain(value: object) -> str:
    """Format a value without Python's brackets and quotes."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _percent(share: object) -> str:
    return percent(share) if isinstance(share, int | float) else "–"
