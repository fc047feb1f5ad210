"""The options that several commands share, and how their values are parsed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from streamsed.config import PerLabel
    from streamsed.detection_settings import DetectionSettings

ModelOption = Annotated[
    str, typer.Option("--model", "-m", metavar="NAME|PATH", help="Model to use.")
]
ModelArgument = Annotated[
    str, typer.Argument(metavar="[NAME|PATH]", help="A shipped model or a model file.")
]
EngineOption = Annotated[
    str,
    typer.Option(metavar="auto|openvino|onnx|torchscript", help="Inference engine."),
]
PrecisionOption = Annotated[
    str,
    typer.Option(
        metavar="auto|fp32|bf16|int8",
        help="Arithmetic of the engine; auto is the fastest that keeps the events the same.",
    ),
]
ThreadsOption = Annotated[
    int | None, typer.Option(metavar="N", help="Threads per segment.")
]
TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust-model",
        help="Run the code in a model file of the older format; only if you know its author.",
    ),
]
Sha256Option = Annotated[
    str | None,
    typer.Option(
        "--model-sha256",
        metavar="HEX",
        help="Refuse the model file unless its SHA-256 is HEX.",
    ),
]
JsonLogOption = Annotated[
    Path | None,
    typer.Option(
        "--json-log",
        metavar="FILE",
        help="Append progress as JSON lines; - is stderr.",
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        "-d",
        metavar="INDEX|NAME",
        help="Microphone or source of the sound server, by index or part of its name. "
        "[default: the system's default]",
    ),
]
ChannelOption = Annotated[
    int | None,
    typer.Option(metavar="N", help="Listen to channel N only, counted from 1."),
]
RecursiveOption = Annotated[
    bool, typer.Option("--recursive", "-r", help="Include subfolders.")
]
StepOption = Annotated[
    float | None, typer.Option(metavar="S", help="Score a segment every S seconds.")
]
LatencyOption = Annotated[
    float | None,
    typer.Option(metavar="S", help="Report the end of an event after S seconds."),
]
SettleOption = Annotated[
    float | None,
    typer.Option(
        metavar="S",
        help="Make an event final after S seconds; at most one segment, the default.",
    ),
]
ThresholdOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="T|LABEL=T", help="Score at which an event starts, 0 to 1; repeatable."
    ),
]
OffsetThresholdOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="T|LABEL=T",
        help="Score below which an event ends, at most --threshold; repeatable.",
    ),
]
SensitivityOption = Annotated[
    str,
    typer.Option(
        metavar="low|normal|high",
        help="Set of the model's thresholds; see `streamsed info`.",
    ),
]
SmoothingOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="S|LABEL=S",
        help="Smooth scores by a median over S seconds, for long sounds; repeatable.",
    ),
]
ConfirmOption = Annotated[
    float,
    typer.Option(
        metavar="S",
        help="Report only events at least S seconds longer than --min-duration.",
    ),
]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Do not report this label; repeatable."),
]
MinGapOption = Annotated[
    list[str] | None,
    typer.Option(metavar="S|LABEL=S", help="Fill shorter gaps; repeatable."),
]
MinDurationOption = Annotated[
    list[str] | None,
    typer.Option(metavar="S|LABEL=S", help="Drop shorter events; repeatable."),
]
LabelOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Report this label only; repeatable."),
]


def engine_settings(
    engine: str,
    precision: str,
    threads: int | None,
    device: str = "auto",
    *,
    trust: bool = False,
) -> dict[str, Any]:
    """Return the settings of `Model.load`.

    Raises
    ------
    ValueError
        `threads` is less than 1.
    """
    if threads is not None and threads < 1:
        raise ValueError("--threads must be 1 or more")
    return {
        "trust": trust,
        "engine": engine,
        "precision": precision,
        "threads": threads,
        "device": device,
    }


def detection_settings(
    *,
    sensitivity: str,
    threshold: list[str] | None,
    offset_threshold: list[str] | None,
    smoothing: list[str] | None,
    min_gap: list[str] | None,
    min_duration: list[str] | None,
    confirm: float,
    label: list[str] | None,
    ignore: list[str] | None,
) -> DetectionSettings:
    """Return the detection settings that were given."""
    from streamsed.detection_settings import DetectionSettings

    given = {
        "onset_threshold": _per_label("--threshold", threshold or []),
        "offset_threshold": _per_label("--offset-threshold", offset_threshold or []),
        "smoothing": _per_label("--smoothing", smoothing or []),
        "min_gap": _per_label("--min-gap", min_gap or []),
        "min_duration": _per_label("--min-duration", min_duration or []),
    }
    return DetectionSettings(
        post={name: value for name, value in given.items() if value is not None},
        sensitivity=sensitivity,
        confirm=confirm,
        only=label or [],
        ignore=ignore or [],
    )


def _per_label(name: str, entries: list[str]) -> PerLabel | None:
    """Parse `0.4` or `Dog=0.6 Cat=0.3`: one number for all labels, or one per label."""
    numbers: dict[str, float] = {}
    for entry in entries:
        label, equals, number = entry.rpartition("=")
        try:
            numbers[label if equals else ""] = float(number)
        except ValueError:
            raise ValueError(
                f"{name} must be a number or LABEL=NUMBER, not {entry!r}; "
                f"for example {name} 0.4 or {name} Dog=0.4"
            ) from None
    if "" in numbers:
        if len(numbers) > 1:
            raise ValueError(
                f"{name}: give one number for all labels or one per label, not both"
            )
        return numbers[""]
    return numbers or None
