"""The user's detection settings: thresholds, smoothing, and which labels are reported.

Recordings and live sound use the same settings, so that `file` finds the events that
`listen` closes. They override those in the model file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streamsed.config import PerLabel, PostConfig, StreamConfig
from streamsed.inference.model_file import ModelInfo
from streamsed.label_names import match_label

OPTIONS = {
    "onset_threshold": "--threshold",
    "rise_threshold": "--rise-threshold",
    "offset_threshold": "--offset-threshold",
    "smoothing": "--smoothing",
    "onset_search": "--onset-search",
    "min_gap": "--min-gap",
    "min_duration": "--min-duration",
}
"""The option of the command line that sets each setting by label."""


@dataclass(frozen=True, slots=True)
class DetectionSettings:
    """How scores become events, and which labels are reported.

    Parameters
    ----------
    post : mapping
        Settings of `PostConfig` that override the model's.
    sensitivity : str
        "low", "normal" or "high": which set of the model's thresholds to start from.
    confirm : float
        Seconds that an event must last beyond the minimum duration of its label.
    only, ignore : sequence of str
        If `only` is not empty, only its labels are reported; those of `ignore` never are.

    Raises
    ------
    ValueError
        `confirm` is negative or not a number.
    """

    post: Mapping[str, PerLabel] = field(default_factory=dict)
    sensitivity: str = "normal"
    confirm: float = 0.0
    only: Sequence[str] = ()
    ignore: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check what does not depend on the model."""
        if not 0 <= self.confirm < float("inf"):
            raise ValueError(
                f"--confirm must be at least 0 (in seconds), not {self.confirm}"
            )

    def post_for(self, info: ModelInfo, *, settle: float) -> PostConfig:
        """Return the settings that turn a model's scores into events.

        Parameters
        ----------
        info : ModelInfo
            The model.
        settle : float
            Seconds after which its scores are final.

        Raises
        ------
        ValueError
            There is no such sensitivity or label, or a value is out of range.
        """
        labels = info.labels
        point = info.operating_point(sensitivity=self.sensitivity, settle=settle)
        post = point.post.override(labels, self._by_label(labels))
        if not self.confirm:
            return post
        shortest = zip(labels, post.per_label("min_duration", labels), strict=True)
        longer = {label: seconds + self.confirm for label, seconds in shortest}
        return post.override(labels, {"min_duration": longer})

    def _by_label(self, labels: Sequence[str]) -> dict[str, PerLabel]:
        """Return `post` with labels spelt as the model spells them."""
        return {
            name: {
                match_label(label, labels, option=OPTIONS.get(name, name)): number
                for label, number in value.items()
            }
            if isinstance(value, Mapping)
            else value
            for name, value in self.post.items()
        }

    def reported(self, labels: Sequence[str]) -> tuple[str, ...]:
        """Return the labels that are reported, in the model's order.

        Raises
        ------
        ValueError
            A label is not one of the model's, or none is left.
        """
        only = {match_label(name, labels, option="--label") for name in self.only}
        left_out = {
            match_label(name, labels, option="--ignore") for name in self.ignore
        }
        kept = tuple(
            label
            for label in labels
            if (not only or label in only) and label not in left_out
        )
        if not kept:
            raise ValueError("--ignore leaves no label to report")
        return kept


def stream_for(
    info: ModelInfo, *, step: float | None, latency: float | None, settle: float | None
) -> StreamConfig:
    """Return how often segments are scored and how long scores may wait.

    Parameters
    ----------
    info : ModelInfo
        The model; its settings are the defaults.
    step, latency, settle : float or None
        Seconds; a value left out is lowered to the next larger one if need be.

    Raises
    ------
    ValueError
        The values contradict each other or the model.
    """
    own = info.stream
    settled = own.settled if settle is None else settle
    latency = min(own.latency, settled) if latency is None else latency
    settled = max(settled, latency) if settle is None else settled
    step = min(own.step, latency) if step is None else step
    stream = StreamConfig(step=step, latency=latency, settle=settled)
    stream.check(info.frontend)
    return stream
