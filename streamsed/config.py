"""The three settings that travel inside a model file, each frozen and validated.

`FrontendConfig` says how samples become log-mel frames and segments, `StreamConfig` how
often segments are scored and how long a score may wait, `PostConfig` how scores become
events. Each converts to a plain dict and back; an unknown key is an error, because a
misspelt setting that is silently ignored is worse than none.

Units: Hz and seconds outside, frames inside. One *frame* is one column of the log-mel
spectrogram (`hop_length` samples); one *score frame* is `subsampling` frames.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

MAX_SAMPLE_RATE = 10_000_000
"""Hz; as the core has it."""

MAX_MELS = 4096
"""Mel bands; as the core has it."""

MAX_SMOOTHING = 60.0
"""Seconds; a longer median would hold every event back for half of it."""

MAX_SECONDS = 1e6
"""Longest gap or event that a setting may name: eleven days."""

MAX_VALUES = 1 << 24
"""Values in a segment, 64 MB: 128 times as many as the report's segments have."""

PerLabel = float | Mapping[str, float]
"""One value for every label, or a value for some labels by name."""


class _Config:
    """`to_dict` and a strict `from_dict` for the frozen dataclasses below."""

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as a dict that JSON can hold."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Build from a dict; a key that is no setting raises ValueError."""
        known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        for key in settings:
            if key not in known:
                raise ValueError(
                    f"{key!r} is not a setting of {cls.__name__}; "
                    f"the settings are {', '.join(known)}"
                )
        return cls(**settings)


def _is_number(value: object) -> bool:
    """Whether a value is a number that arithmetic can take: JSON's true is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _require(rule_holds: object, name: str, value: object, rule: str) -> None:
    if not rule_holds:
        raise ValueError(f"{name}={value} must {rule}")


@dataclass(frozen=True, slots=True)
class FrontendConfig(_Config):
    """Say how samples become log-mel frames, segments and score frames.

    The defaults are the report's (section 2.1): 2048-sample frames every 431 samples of
    44.1 kHz audio, 128 mel bands, segments of 1024 frames (10 s).

    Parameters
    ----------
    sample_rate : int
        Hz.
    n_fft, win_length : int
        Samples; `n_fft` a power of two, `win_length` at most `n_fft`.
    hop_length : int
        Samples between the centres of successive frames.
    n_mels : int
        Mel bands.
    fmin, fmax : float
        Hz, the edges of the mel filterbank.
    amin : float
        Power below this counts as this: the floor of the decibels.
    top_db : float
        dB; within a segment nothing is lower than its maximum minus this.
    segment_frames : int
        Frames the model sees at once, a multiple of `subsampling`.
    subsampling : int
        Frames per score frame.

    Raises
    ------
    ValueError
        A setting is out of range; the message names it and the rule.

    Examples
    --------
    >>> frontend = FrontendConfig()
    >>> frontend.segment_score_frames, round(frontend.score_frame_duration, 6)
    (128, 0.078186)
    >>> FrontendConfig.from_dict(frontend.to_dict()) == frontend
    True
    """

    sample_rate: int = 44100
    n_fft: int = 2048
    win_length: int = 2048
    hop_length: int = 431
    n_mels: int = 128
    fmin: float = 0.0
    fmax: float = 22050.0
    amin: float = 1e-10
    top_db: float = 80.0
    segment_frames: int = 1024
    subsampling: int = 8

    def __post_init__(self) -> None:
        """Check every setting."""
        for field in fields(self):
            value = getattr(self, field.name)
            whole = field.type == "int"
            _require(
                _is_number(value) and isinstance(value, int if whole else (int, float)),
                field.name,
                repr(value),
                "be a whole number" if whole else "be a number",
            )
        up_to_n_fft = f"be from 1 to n_fft={self.n_fft}"
        band = f"be above fmin={self.fmin} and at most half of sample_rate={self.sample_rate}"
        multiple = (
            f"be a positive multiple of subsampling={self.subsampling}, and at most "
            f"{MAX_VALUES} / n_mels={self.n_mels}"
        )
        power = self.n_fft > 0 and self.n_fft & (self.n_fft - 1) == 0
        whole = self.subsampling > 0 and self.segment_frames % self.subsampling == 0
        rules = {
            "sample_rate": (
                1 <= self.sample_rate <= MAX_SAMPLE_RATE,
                f"be from 1 to {MAX_SAMPLE_RATE} Hz",
            ),
            "n_fft": (
                power and 64 <= self.n_fft <= 65536,
                "be a power of two from 64 to 65536",
            ),
            "win_length": (0 < self.win_length <= self.n_fft, up_to_n_fft),
            "hop_length": (0 < self.hop_length <= self.n_fft, up_to_n_fft),
            "n_mels": (1 <= self.n_mels <= MAX_MELS, f"be from 1 to {MAX_MELS}"),
            "fmin": (self.fmin >= 0, "be at least 0"),
            "fmax": (self.fmin < self.fmax and 2 * self.fmax <= self.sample_rate, band),
            "amin": (1.2e-38 <= self.amin <= 3.4e38, "be from 1.2e-38 to 3.4e38"),
            "top_db": (0 < self.top_db < math.inf, "be positive"),
            "subsampling": (self.subsampling > 0, "be positive"),
            "segment_frames": (
                whole and 0 < self.segment_frames * self.n_mels <= MAX_VALUES,
                multiple,
            ),
        }
        for name, (holds, rule) in rules.items():
            _require(holds, name, getattr(self, name), rule)

    @property
    def segment_score_frames(self) -> int:
        """Score frames in a segment."""
        return self.segment_frames // self.subsampling

    @property
    def score_frame_length(self) -> int:
        """Samples between the starts of successive score frames."""
        return self.subsampling * self.hop_length

    @property
    def score_frame_duration(self) -> float:
        """Seconds between the starts of successive score frames."""
        return self.score_frame_length / self.sample_rate

    @property
    def segment_duration(self) -> float:
        """Seconds of audio in a segment."""
        return self.segment_frames * self.hop_length / self.sample_rate


@dataclass(frozen=True, slots=True)
class StreamConfig(_Config):
    """Say how often a segment is scored, and when an event has ended and is settled.

    A score frame is the weighted mean over all segments that hold it and were scored
    before it became `settle` old: settling later gives better boundaries, and delays
    nothing but the final record. The end of an event is reported before that, on the
    scores known so far.

    Parameters
    ----------
    step : float
        Seconds between successive segments.
    latency : float
        Seconds after its end at which an event is reported as ended; at least `step`.
    settle : float or None
        Seconds after which a score frame is final, and with it the events it belongs to;
        from `latency` to one segment. None settles at once: it is `latency`.

    Examples
    --------
    >>> stream = StreamConfig(step=0.5, latency=1.0, settle=10.0)
    >>> stream.in_score_frames(FrontendConfig())
    (6, 13)
    >>> stream.settle_score_frames(FrontendConfig())
    128
    """

    step: float = 5.0
    latency: float = 10.0
    settle: float | None = None

    def __post_init__(self) -> None:
        """Check the settings against each other."""
        for name in ("step", "latency", "settled"):
            value = getattr(self, name)
            name = "settle" if name == "settled" else name
            _require(_is_number(value), name, repr(value), "be a number (in seconds)")
        _require(
            not self.latency <= 0, "latency", self.latency, "be positive (in seconds)"
        )
        _require(
            0 < self.step < math.inf, "step", self.step, "be positive (in seconds)"
        )
        _require(
            self.step <= self.latency < math.inf,
            "latency",
            self.latency,
            f"be at least step={self.step} (in seconds)",
        )
        _require(
            self.latency <= self.settled < math.inf,
            "settle",
            self.settle,
            f"be at least latency={self.latency} (in seconds)",
        )

    @property
    def settled(self) -> float:
        """Seconds after which a score frame is final: `settle`, or else `latency`."""
        return self.latency if self.settle is None else self.settle

    def in_score_frames(self, frontend: FrontendConfig) -> tuple[int, int]:
        """Return step and latency in whole score frames, at least one each.

        Raises
        ------
        ValueError
            The latency is longer than one segment.
        """
        duration = frontend.score_frame_duration
        step = max(1, round(self.step / duration))
        latency = max(1, round(self.latency / duration))
        _require(
            latency <= frontend.segment_score_frames,
            "latency",
            self.latency,
            f"be at most one segment ({frontend.segment_duration:.3g} s)",
        )
        return step, latency

    def check(self, frontend: FrontendConfig) -> None:
        """Raise ValueError if a setting does not fit the segments of `frontend`."""
        self.in_score_frames(frontend)
        self.settle_score_frames(frontend)

    def settle_score_frames(self, frontend: FrontendConfig) -> int:
        """Return after how many whole score frames a score is final, at least one.

        Raises
        ------
        ValueError
            That is longer than one segment.
        """
        frames = max(1, round(self.settled / frontend.score_frame_duration))
        _require(
            frames <= frontend.segment_score_frames,
            "settle",
            self.settled,
            f"be at most one segment ({frontend.segment_duration:.3g} s)",
        )
        return frames


@dataclass(frozen=True, slots=True)
class PostConfig(_Config):
    """Say how scores become events: thresholds, then connect, then cut (section 3).

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
        Seconds; scores are replaced by their median over this long, centred, before
        anything else, for sounds that last. Every event then closes half of the longest
        of these later. 0 leaves the scores as they are, as the report does.

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

    def __post_init__(self) -> None:
        """Check every number of every setting."""
        for field in fields(self):
            for value in self._values(field.name):
                rule = "be a number, or a number for each label"
                _require(_is_number(value), field.name, repr(value), rule)
        for name in ("onset_threshold", "offset_threshold"):
            for value in self._values(name):
                _require(0 <= value <= 1, name, value, "be from 0 to 1")
        for name in ("min_gap", "min_duration"):
            for value in self._values(name):
                rule = f"be at least 0, and at most {MAX_SECONDS:g} (in s)"
                _require(0 <= value <= MAX_SECONDS, name, value, rule)
        for value in self._values("smoothing"):
            rule = f"be from 0 to {MAX_SMOOTHING:.0f} (in s)"
            _require(0 <= value <= MAX_SMOOTHING, "smoothing", value, rule)

    def override(
        self, labels: Sequence[str], settings: Mapping[str, PerLabel]
    ) -> PostConfig:
        """Return a copy in which `settings` replace this one's, label by label.

        A number replaces the setting of every label, a mapping that of the labels it
        names. Without an offset threshold of its own a label's follows its new onset
        threshold; with one, a lower onset threshold pulls it down.

        Raises
        ------
        ValueError
            A key is no setting, a value is out of range, or a label is not one of
            `labels`.

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
        setting = {} if self.offset_threshold is None else self.offset_threshold
        own = _spread("offset_threshold", setting, labels, onsets)
        own = [min(pair) for pair in zip(own, onsets, strict=True)]
        new = settings.get("offset_threshold", {})
        merged["offset_threshold"] = _spread("offset_threshold", new, labels, own)
        return PostConfig(
            **{k: dict(zip(labels, v, strict=True)) for k, v in merged.items()}
        )

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
            The setting names a label that is not one of `labels`, or an offset
            threshold is above its onset threshold.
        """
        setting = getattr(self, name)
        if name == "offset_threshold":
            onsets = self.per_label("onset_threshold", labels)
            if setting is None:
                return onsets
            values = _spread(name, setting, labels, onsets)
            for label, onset, offset in zip(labels, onsets, values, strict=True):
                _require(
                    offset <= onset,
                    f"offset_threshold of {label}",
                    offset,
                    f"be at most its onset_threshold={onset}",
                )
            return values
        default = float(_DEFAULTS[name])
        return _spread(name, setting, labels, [default] * len(labels))


_DEFAULTS = {
    "onset_threshold": 0.5,
    "min_gap": 0.2,
    "min_duration": 0.2,
    "smoothing": 0.0,
}


def _spread(
    name: str, setting: PerLabel, labels: Sequence[str], defaults: Sequence[float]
) -> list[float]:
    """Give each label its number: the setting's own, or its default."""
    if not isinstance(setting, Mapping):
        return [float(setting)] * len(labels)
    known = set(labels)
    for label in setting:
        if label not in known:
            raise ValueError(
                f"{name} names the unknown label {label!r}; "
                f"the labels are {', '.join(labels[:30])}"
            )
    return [
        float(setting.get(label, default))
        for label, default in zip(labels, defaults, strict=True)
    ]
