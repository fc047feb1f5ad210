"""What is reported: thresholds, gaps, durations and labels."""

# No `from __future__ import annotations`: the annotations of `detection_settings` become
# those of other functions, so they must be objects.

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streamsed.config import PerLabel
    from streamsed.detection_settings import DetectionSettings

SensitivityOption = Annotated[
    str,
    typer.Option(
        metavar="low|normal|high",
        help="Set of the model's thresholds; see `streamsed info`.",
    ),
]
ThresholdOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="T|LABEL=T", help="Score at which an event starts, 0 to 1; repeatable."
    ),
]
RiseThresholdOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="T|LABEL=T",
        help="Score from which it is dated back, at most --threshold; repeatable.",
    ),
]
OffsetThresholdOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="T|LABEL=T",
        help="Score below which an event ends, at most --threshold; repeatable.",
    ),
]
SmoothingOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="S|LABEL=S",
        help="Smooth scores by a median over S seconds, for long sounds; repeatable.",
    ),
]
OnsetSearchOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="S|LABEL=S",
        help="Date it back by up to S seconds, to where scores rise most; repeatable.",
    ),
]
MinGapOption = Annotated[
    list[str] | None,
    typer.Option(metavar="S|LABEL=S", help="Fill shorter gaps; repeatable."),
]
MinDurationOption = Annotated[
    list[str] | None,
    typer.Option(metavar="S|LABEL=S", help="Drop shorter events; repeatable."),
]
ConfirmOption = Annotated[
    float,
    typer.Option(
        metavar="S",
        help="Report only events at least S seconds longer than --min-duration.",
    ),
]
LabelOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Report this label only; repeatable."),
]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Do not report this label; repeatable."),
]


def detection_settings(
    *,
    sensitivity: SensitivityOption = "normal",
    threshold: ThresholdOption = None,
    rise_threshold: RiseThresholdOption = None,
    offset_threshold: OffsetThresholdOption = None,
    smoothing: SmoothingOption = None,
    onset_search: OnsetSearchOption = None,
    min_gap: MinGapOption = None,
    min_duration: MinDurationOption = None,
    confirm: ConfirmOption = 0.0,
    label: LabelOption = None,
    ignore: IgnoreOption = None,
) -> "DetectionSettings":
    """Return the detection settings that were given; its parameters are the options."""
    from streamsed.detection_settings import DetectionSettings

    given = {
        "onset_threshold": _per_label("--threshold", threshold or []),
        "rise_threshold": _per_label("--rise-threshold", rise_threshold or []),
        "offset_threshold": _per_label("--offset-threshold", offset_threshold or []),
        "smoothing": _per_label("--smoothing", smoothing or []),
        "onset_search": _per_label("--onset-search", onset_search or []),
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


def _per_label(name: str, entries: list[str]) -> "PerLabel | None":
    """Parse `0.4` or `Dog=0.6 Cat=0.3`: one number for all labels, or one per label."""
    numbers: dict[str, float] = {}
    for entry in entries:
        label, equals, number = entry.rpartition("=")
        try:
            if equals and not label:
                raise ValueError
            numbers[label] = float(number)
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
