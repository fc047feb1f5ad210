"""Settings of post-processing: thresholds and durations, for all labels or by label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from streamsed.config.settings import (
    MAX_SECONDS,
    Settings,
    is_number,
    require,
    shortened,
)

MAX_SMOOTHING = 60.0
"""Seconds; every event is delayed by half of the longest median, and by the longest search."""
PerLabel = float | Mapping[str, float]
"""One value for every label, or a value for some labels by name."""


@dataclass(frozen=True, slots=True)
class PostConfig(Settings):
    """How scores become events: thresholds, then connect, then cut (section 3).

    Every setting is one number for all labels or a mapping from label to number; labels
    that a mapping leaves out keep the default.

    Parameters
    ----------
    onset_threshold : float or mapping
        A label becomes active at a score of at least this.
    offset_threshold : float, mapping or None
        An active label stays active down to this; None means `onset_threshold`.
    min_gap : float or mapping
        Seconds; a gap strictly shorter than this is filled.
    min_duration : float or mapping
        Seconds; an event strictly shorter than this is dropped, after filling.
    smoothing : float or mapping
        Seconds; length of a centred median filter on the scores, for long sounds. It
        delays every event by half of the longest length. 0 does not filter, as in the
        report.
    rise_threshold : float, mapping or None
        An event begins with the first of the frames just before its onset threshold is
        reached that have a score of at least this; None means `onset_threshold`.
    onset_search : float or mapping
        Seconds; by how much an event may be dated back further, to where the scores of all
        labels rise together most (see `streamsed.pipeline.onset_search`), for long sounds.
        It delays the end of every event by the longest. 0 does not search, as in the
        report.

    Examples
    --------
    >>> post = PostConfig(onset_threshold={"Dog": 0.3})
    >>> post.per_label("onset_threshold", ["Cat", "Dog"])
    [0.5, 0.3]
    """

    onset_threshold: PerLabel = 0.5
    offset_threshold: PerLabel | None = None
    min_gap: PerLabel = 0.2
    min_duration: PerLabel = 0.2
    smoothing: PerLabel = 0.0
    rise_threshold: PerLabel | None = None
    onset_search: PerLabel = 0.0

    def __post_init__(self) -> None:
        """Check every number of every setting."""
        for field in fields(self):
            for value in self._values(field.name):
                rule = "be a number, or a number for each label"
                require(is_number(value), field.name, repr(value), rule)
        for name in ("onset_threshold", *_LOWER):
            for value in self._values(name):
                require(0 <= value <= 1, name, value, "be from 0 to 1")
        for name in ("min_gap", "min_duration"):
            for value in self._values(name):
                rule = f"be at least 0, and at most {MAX_SECONDS:g} (in s)"
                require(0 <= value <= MAX_SECONDS, name, value, rule)
        for name in ("smoothing", "onset_search"):
            for value in self._values(name):
                rule = f"be from 0 to {MAX_SMOOTHING:.0f} (in s)"
                require(0 <= value <= MAX_SMOOTHING, name, value, rule)

    def override(
        self, labels: Sequence[str], settings: Mapping[str, PerLabel]
    ) -> PostConfig:
        """Return a copy in which `settings` replace this one's, label by label.

        A number replaces the setting of every label, a mapping that of the labels it
        names. The rise and offset thresholds of a label that has none equal its new onset
        threshold; otherwise they are lowered to the onset threshold if that is lower.

        Raises
        ------
        ValueError
            A key is not a setting, a value is out of range, a label is not one of
            `labels`, or a rise or offset threshold is above its onset threshold.

        Examples
        --------
        >>> post = PostConfig().override(["Cat", "Dog"], {"min_gap": {"Dog": 1.0}})
        >>> post.per_label("min_gap", ["Cat", "Dog"])
        [0.2, 1.0]
        """
        type(self).from_dict(settings)  # checks the keys
        merged: dict[str, list[float]] = {}
        for name in _DEFAULTS:
            own = self.per_label(name, labels)
            merged[name] = _spread(name, settings.get(name, {}), labels, own)
        onsets = merged["onset_threshold"]
        for name in _LOWER:
            setting = getattr(self, name)
            own = _spread(name, {} if setting is None else setting, labels, onsets)
            own = [min(pair) for pair in zip(own, onsets, strict=True)]
            merged[name] = _spread(name, settings.get(name, {}), labels, own)
        made = PostConfig(
            **{k: dict(zip(labels, v, strict=True)) for k, v in merged.items()}
        )
        for name in _LOWER:
            made.per_label(name, labels)  # checks them against the onset threshold
        return made

    def _values(self, name: str) -> list[float]:
        setting = getattr(self, name)
        if setting is None:
            return []
        return list(setting.values()) if isinstance(setting, Mapping) else [setting]

    def per_label(self, name: str, labels: Sequence[str]) -> list[float]:
        """Return setting `name` for each of `labels`, in their order.

        Raises
        ------
        ValueError
            The setting names a label that is not one of `labels`, or a rise or offset
            threshold is above its onset threshold.
        """
        setting = getattr(self, name)
        if name in _LOWER:
            onsets = self.per_label("onset_threshold", labels)
            if setting is None:
                return onsets
            values = _spread(name, setting, labels, onsets)
            for label, onset, value in zip(labels, onsets, values, strict=True):
                require(
                    value <= onset,
                    f"{name} of {label}",
                    value,
                    f"be at most its onset_threshold={onset}",
                )
            return values
        default = float(_DEFAULTS[name])
        return _spread(name, setting, labels, [default] * len(labels))


_LOWER = ("rise_threshold", "offset_threshold")
"""Settings that are at most the onset threshold, which is their default."""
_DEFAULTS = {
    "onset_threshold": 0.5,
    "min_gap": 0.2,
    "min_duration": 0.2,
    "smoothing": 0.0,
    "onset_search": 0.0,
}


def _spread(
    name: str, setting: PerLabel, labels: Sequence[str], defaults: Sequence[float]
) -> list[float]:
    """Return the number for each label: the setting's, or the default."""
    if not isinstance(setting, Mapping):
        return [float(setting)] * len(labels)
    known = set(labels)
    for label in setting:
        if label not in known:
            raise ValueError(
                f"{name}: unknown label {shortened(repr(label))}; "
                f"the labels are {', '.join(labels[:30])}"
            )
    return [
        float(setting.get(label, default))
        for label, default in zip(labels, defaults, strict=True)
    ]
