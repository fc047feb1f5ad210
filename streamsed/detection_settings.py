"""What a person may change of a detection: how easily it detects, and what it reports.

The same settings serve recordings and live sound, so that `file` gives the events that
`listen` closes. They are laid over those that a model file carries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streamsed.config import PerLabel, PostConfig, StreamConfig
from streamsed.inference.model_file import ModelInfo
from streamsed.label_names import match_label

OPTIONS = {
    "onset_threshold": "--threshold",
    "offset_threshold": "--offset-threshold",
    "smoothing": "--smoothing",
    "min_gap": "--min-gap",
    "min_duration": "--min-duration",
}
"""The option of the command line that sets each setting by label."""


@dataclass(frozen=True, slots=True)
class DetectionSettings:
    """Say how scores become events, and which labels are reported.

    Parameters
    ----------
    post : mapping
        Settings of `PostConfig` that replace the model's own.
    sensitivity : str
        "low", "normal" or "high": which of the model's thresholds are the model's own.
    confirm : float
        Seconds that an event must last beyond its label's shortest duration.
    only, ignore : sequence of str
        Labels that alone are reported, if there are any, and labels that are not.

    Raises
    ------
    ValueError
        `confirm` is negative or no number.
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
                f"--confirm={self.confirm} must be at least 0 (in seconds)"
            )

    def post_for(self, info: ModelInfo, *, settle: float) -> PostConfig:
        """Return how the scores of a model become events.

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
        """Return `post` with the model's own spelling of each label."""
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
        """Return those of the model's labels that are reported, in their order.

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
            raise ValueError("--ignore must leave a label to report, and leaves none")
        return kept


def stream_for(
    info: ModelInfo, *, step: float | None, latency: float | None, settle: float | None
) -> StreamConfig:
    """Return how often and how late a model is scored, where that is given or not.

    Parameters
    ----------
    info : ModelInfo
        The model, whose own settings stand for what is not given.
    step, latency, settle : float or None
        Seconds; what is not given is never above the next, and gives way to it.

    Raises
    ------
    ValueError
        What is given does not fit together, or not to the model.
    """
    own = info.stream
    settled = own.settled if settle is None else settle
    latency = min(own.latency, settled) if latency is None else latency
    settled = max(settled, latency) if settle is None else settled
    step = min(own.step, latency) if step is None else step
    stream = StreamConfig(step=step, latency=latency, settle=settled)
    stream.check(info.frontend)
    return stream
