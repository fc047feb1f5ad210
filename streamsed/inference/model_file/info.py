"""The description in a model file: labels, settings and origin of its network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from streamsed.config import FrontendConfig, PostConfig, StreamConfig
from streamsed.inference.thresholds.operating_points import (
    OperatingPoint,
    choose_point,
    read_points,
)
from streamsed.inference.thresholds.recall_curves import RecallCurves, read_curves

FORMAT_VERSION = 1
MAX_LABELS = 2000
MAX_NAME = 200
"""Maximum length of a label, and of the model's name."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Description of a model file: its labels, settings and origin.

    Parameters
    ----------
    name : str
        Name of the model.
    labels : tuple of str
        The columns of its scores.
    frontend, stream, post : FrontendConfig, StreamConfig, PostConfig
        The features it was trained on, and its default settings.
    scores_at_export : mapping
        Its scores at export, and the data they were measured on.
    training : mapping
        How it was trained.
    engines : mapping
        Results of each engine and precision ("openvino int8") at export: `max_difference`
        of scores, `events_changed` (0 to 1), `probe_difference`, `accepted`, and event F1
        if measured; or `failed`, why one that this machine has gave no scores. Empty in
        older files.
    parameters : int
        Number of trained parameters.
    gmac : float
        Billions of multiplications per segment.
    operating_points : tuple of OperatingPoint
        Thresholds for other sensitivities and values of `settle` than `post`. Empty in
        older files; see `operating_point`.
    recall_curves : tuple of RecallCurves
        Recall at each threshold, for values of `settle`. Empty in older files.
    """

    name: str
    labels: tuple[str, ...]
    frontend: FrontendConfig
    stream: StreamConfig
    post: PostConfig
    scores_at_export: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    engines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    parameters: int = 0
    gmac: float = 0.0
    operating_points: tuple[OperatingPoint, ...] = ()
    recall_curves: tuple[RecallCurves, ...] = ()

    def __post_init__(self) -> None:
        """Check the labels, and the settings that depend on them or on each other."""
        labels = self.labels
        for name in (self.name, *labels):
            if not name.isprintable() or not name:
                raise ValueError(f"the label {name!r} is not printable")
            if len(name) > MAX_NAME:
                raise ValueError(
                    f"the label {name[:20]!r}... is longer than {MAX_NAME} characters"
                )
        if not labels or len(set(labels)) < len(labels):
            raise ValueError(
                f"labels={labels[:20]} must be one or more, without duplicates"
            )
        self.stream.check(self.frontend)
        for post in (self.post, *(point.post for point in self.operating_points)):
            for setting in fields(post):
                post.per_label(setting.name, labels)
        for point in self.operating_points:
            for label in point.false_alarms:
                if label not in labels:
                    raise ValueError(f"false_alarms names the unknown label {label!r}")

    def operating_point(
        self, *, sensitivity: str = "normal", settle: float | None = None
    ) -> OperatingPoint:
        """Return the thresholds for a sensitivity and a value of `settle`.

        Parameters
        ----------
        sensitivity : str
            "low", "normal" or "high".
        settle : float or None
            Seconds; None is the model's own.

        Raises
        ------
        ValueError
            There is no such sensitivity.
        """
        own = OperatingPoint("normal", self.stream.settled, self.post, {})
        return choose_point(
            (*self.operating_points, own),
            self.labels,
            sensitivity=sensitivity,
            settle=self.stream.settled if settle is None else settle,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dict for JSON, with the version of the format."""
        return {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "labels": list(self.labels),
            "frontend": self.frontend.to_dict(),
            "stream": self.stream.to_dict(),
            "post": self.post.to_dict(),
            "scores_at_export": dict(self.scores_at_export),
            "training": dict(self.training),
            "engines": {name: dict(record) for name, record in self.engines.items()},
            "parameters": self.parameters,
            "gmac": self.gmac,
            "operating_points": [point.to_dict() for point in self.operating_points],
            "recall_curves": [curves.to_dict() for curves in self.recall_curves],
        }

    @classmethod
    def from_dict(cls, info: Mapping[str, Any]) -> ModelInfo:
        """Build from a dict of the form of `to_dict`.

        Raises
        ------
        ValueError
            The version of the format is not supported, something is missing or has the
            wrong type, or a setting is unknown or out of range.
        """
        version = info.get("format_version")
        if version != FORMAT_VERSION:
            raise ValueError(f"format_version={version!r} must be {FORMAT_VERSION}")
        labels = _of_kind(info, "labels", list)
        if len(labels) > MAX_LABELS:
            raise ValueError(
                f"it has {len(labels)} labels; at most {MAX_LABELS} are allowed"
            )
        if not all(isinstance(label, str) for label in labels):
            raise ValueError("its labels must be strings")
        engines = _of_kind({"engines": {}, **info}, "engines", dict)
        for name, record in engines.items():
            _check_record(name, record)
        return cls(
            name=_of_kind(info, "name", str),
            labels=tuple(labels),
            frontend=FrontendConfig.from_dict(_of_kind(info, "frontend", dict)),
            stream=StreamConfig.from_dict(_of_kind(info, "stream", dict)),
            post=PostConfig.from_dict(_of_kind(info, "post", dict)),
            scores_at_export=_of_kind(info, "scores_at_export", dict),
            training=_of_kind(info, "training", dict),
            engines=engines,
            parameters=_of_kind(info, "parameters", int),
            gmac=float(_of_kind(info, "gmac", int, float)),
            operating_points=read_points(info.get("operating_points", [])),
            recall_curves=read_curves(info.get("recall_curves", []), labels),
        )


def _of_kind(info: Mapping[str, Any], name: str, *kinds: type) -> Any:
    """Return an entry after checking its type; a bool is not a number."""
    value = info.get(name)
    if not isinstance(value, kinds) or isinstance(value, bool):
        expected: dict[type, str] = {dict: "an object", list: "a list", str: "a string"}
        rule = f"its {name} must be {expected.get(kinds[0], 'a number')}"
        raise ValueError(rule)  # noqa: TRY004 - an error in the file, not of the caller
    return value


def _check_record(engine: str, record: Any) -> None:
    """Raise ValueError if the record of an engine is invalid."""
    numbers = {"max_difference", "events_changed", "probe_difference", "event_f1_macro"}
    if not isinstance(record, dict) or not isinstance(record.get("accepted"), bool):
        rule = f"its record of the engine {engine!r} has no `accepted`"
        raise ValueError(rule)  # noqa: TRY004 - an error in the file, not of the caller
    for name in numbers & record.keys():
        _of_kind(record, name, int, float)
