"""A detector that runs every label at many thresholds side by side.

What a threshold does to a stream is more than a comparison: gaps are filled, short events
are dropped, provisional events are announced and withdrawn. So no second way of counting is
written here. Each label's column of scores is repeated, once for each threshold, under a
name of its own, and the runtime's own `Detector` does the rest::

    network      Cat  Dog
    repeated     Cat at .3   Cat at .35   ...   Dog at .5   Dog at .55   ...

The network runs once; the ten labels of the shipped model at twenty thresholds take 4 ms
more for a segment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from streamsed.config import PostConfig, StreamConfig
from streamsed.detector import Detector
from streamsed.inference.model import Model
from streamsed.inference.model_file import ModelInfo
from streamsed.samples import Float32

GRID = (
    *(0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7),
    *(0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995),
)
"""Onset thresholds that are tried, where they are above a label's own."""

MAX_COLUMNS = 4000
"""Columns of scores; a model of many labels gets fewer thresholds for each."""

BY_LABEL = (
    "onset_threshold",
    "rise_threshold",
    "offset_threshold",
    "min_gap",
    "min_duration",
    "smoothing",
)


@dataclass(frozen=True, slots=True)
class ThresholdLevels:
    """The thresholds at which each label is detected.

    Parameters
    ----------
    info : ModelInfo
        The model.
    post : PostConfig
        How its scores become events; its onset thresholds are the lowest that are tried.
    labels : tuple of str
        Those of its labels that are tried, in its order.
    thresholds : tuple of tuple of float
        For each of them its thresholds, rising, its own first.
    """

    info: ModelInfo
    post: PostConfig
    labels: tuple[str, ...]
    thresholds: tuple[tuple[float, ...], ...]

    @classmethod
    def above(
        cls, info: ModelInfo, post: PostConfig, labels: Sequence[str]
    ) -> ThresholdLevels:
        """Lay out the thresholds from each label's own upwards."""
        most = max(1, MAX_COLUMNS // len(labels) - 1)  # beside each label's own
        every = math.ceil(len(GRID) / most)
        grid = GRID[::-1][::every][::-1]  # the highest is always among them
        own = dict(
            zip(
                info.labels, post.per_label("onset_threshold", info.labels), strict=True
            )
        )
        thresholds = tuple(
            (own[label], *(t for t in grid if t > own[label])) for label in labels
        )
        return cls(info, post, tuple(labels), thresholds)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns: "1.4" is the second label's at its fifth threshold."""
        return tuple(f"{label}.{level}" for label, level in self._columns())

    def detector(self, model: Model, stream: StreamConfig) -> Detector:
        """Return a detector of all labels at all thresholds, named as `names`."""
        source = [self.info.labels.index(label) for label in self.labels]
        columns = np.array([source[label] for label, _ in self._columns()], np.int64)
        post = self._post()
        info = replace(
            self.info,
            labels=self.names,
            post=post,
            operating_points=(),
            recall_curves=(),
        )
        repeated = Model(info, _Repeated(model, columns), model.chosen)
        return Detector(repeated, stream=stream, post=post)

    def _columns(self) -> list[tuple[int, int]]:
        return [
            (label, level)
            for label, thresholds in enumerate(self.thresholds)
            for level in range(len(thresholds))
        ]

    def _post(self) -> PostConfig:
        """Return the settings of all columns, each as `--threshold LABEL=T` makes them.

        Onsets are not searched: that looks at all labels, each once, and changes where events
        begin, but seldom how many there are.
        """
        settings: dict[str, dict[str, float]] = {name: {} for name in BY_LABEL}
        labels = self.info.labels
        for level in range(max(map(len, self.thresholds))):
            at = {
                label: each[level]
                for label, each in zip(self.labels, self.thresholds, strict=True)
                if level < len(each)
            }
            post = self.post.override(labels, {"onset_threshold": at})
            for name in BY_LABEL:
                values = dict(zip(labels, post.per_label(name, labels), strict=True))
                for index, label in enumerate(self.labels):
                    if label in at:
                        settings[name][f"{index}.{level}"] = values[label]
        return PostConfig(**settings)


class _Repeated:
    """An engine that gives another model's columns of scores, some several times."""

    place, threads = "cpu", 1

    def __init__(self, model: Model, columns: np.ndarray) -> None:
        self._model = model
        self._columns = columns

    def run(self, features: Float32) -> tuple[Float32, Float32]:
        """Score a segment."""
        scores, region = self._model.score(features)
        return np.ascontiguousarray(scores[:, self._columns]), region
