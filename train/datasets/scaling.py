"""Scalings: how the decibels of a segment become what a network sees.

Each maps decibel frames to as many numbers, `scaling(frames) -> x`, and turns into a
plain dict and back, so that a checkpoint can hold it:

- `Triple` is the report's product of three min-max scalings (eq. 1);
- `Single` is one min-max scaling of the whole segment: what the report's is compared to;
- `Relative` keeps the distances in decibels: what the shipped network takes;
- `Standardize` subtracts each band's mean in the training set and divides by its
  deviation: the DCASE 2019 baseline's.

All raise what lies more than `top_db` below the segment's maximum to that floor first.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from streamsed.config import FrontendConfig
from streamsed.pipeline.frontend import normalize, relative_levels
from train.datasets.feature_cache import Features

Frames = NDArray[np.float32]

N_FITTED = 1000
"""Minimum number of clips to fit a scaling to, if there are as many."""


def floored(frames: Frames, top_db: float) -> Frames:
    """Raise what lies more than `top_db` below the maximum to there."""
    if frames.size == 0:
        return frames
    floor = frames.max() - np.float32(top_db)
    raised: Frames = np.maximum(frames, floor, dtype=np.float32)
    return raised


@dataclass(frozen=True, slots=True)
class Scaling(ABC):
    """What every scaling is: a function of frames, and settings with a name."""

    name: ClassVar[str]
    top_db: float = field(default=FrontendConfig().top_db, kw_only=True)
    """dB below a segment's maximum that its floor lies."""

    def __post_init__(self) -> None:
        """Check the floor."""
        if not 0 < self.top_db < math.inf:
            raise ValueError(f"top_db={self.top_db} must be positive")

    @abstractmethod
    def __call__(self, frames: Frames) -> Frames:
        """Scale decibels, float32 (n_frames, n_mels), to as many numbers."""

    def to_dict(self) -> dict[str, Any]:
        """Return name and numbers, as JSON and a checkpoint can hold them."""
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Triple(Scaling):
    """Scale to [0, 1] per frame, per band and over all, and multiply (eq. 1).

    Examples
    --------
    >>> Triple()(np.array([[-60, -20], [-60, -40]], dtype=np.float32)).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """

    name: ClassVar[str] = "triple"

    def __call__(self, frames: Frames) -> Frames:
        """Scale one segment; see `streamsed.pipeline.frontend.normalize`."""
        return normalize(frames, top_db=self.top_db)


@dataclass(frozen=True, slots=True)
class Single(Scaling):
    """Scale to [0, 1] over all; a segment without range scales to 0.

    Examples
    --------
    >>> Single()(np.array([[-60, -20], [-60, -40]], dtype=np.float32)).tolist()
    [[0.0, 1.0], [0.0, 0.5]]
    """

    name: ClassVar[str] = "single"

    def __call__(self, frames: Frames) -> Frames:
        """Scale one segment."""
        if frames.size == 0:
            return frames.copy()
        frames = floored(frames, self.top_db)
        lowest = frames.min()
        span = frames.max() - lowest
        return (frames - lowest) / span if span > 0 else np.zeros_like(frames)


@dataclass(frozen=True, slots=True)
class Relative(Scaling):
    """Scale decibels relative to the segment's maximum: 0 at the floor, 1 at the maximum.

    What `NetworkConfig.views` takes: twice as loud moves everything by as much, whatever
    else sounds. A segment without range scales to 0.

    Examples
    --------
    >>> Relative(top_db=80)(np.array([[-60, -20], [-120, -40]], dtype=np.float32)).tolist()
    [[0.5, 1.0], [0.0, 0.75]]
    """

    name: ClassVar[str] = "relative"

    def __call__(self, frames: Frames) -> Frames:
        """Scale one segment; see `streamsed.pipeline.frontend.relative_levels`."""
        return relative_levels(frames, top_db=self.top_db)


@dataclass(frozen=True, slots=True)
class Standardize(Scaling):
    """Subtract each band's mean and divide by its deviation.

    Parameters
    ----------
    mean, deviation : tuple of float
        dB, one number for each band, from `fit`. A band that never deviated scales to 0.
    top_db : float
        dB below a segment's maximum that its floor lies.

    Raises
    ------
    ValueError
        The two differ in length or hold a number that is not finite or, of a deviation,
        negative.

    Examples
    --------
    >>> clip = np.array([[-60, -20], [-40, -20]], dtype=np.float32)
    >>> scaling = Standardize.fit([clip], top_db=80.0)
    >>> scaling.mean, scaling.deviation
    ((-50.0, -20.0), (10.0, 0.0))
    >>> scaling(clip).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """

    name: ClassVar[str] = "standardize"
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the numbers."""
        Scaling.__post_init__(self)
        if not self.mean or len(self.mean) != len(self.deviation):
            raise ValueError(
                f"mean and deviation of {len(self.mean)} and {len(self.deviation)} "
                "bands must be of equally many, at least one"
            )
        for value in self.mean:
            if not math.isfinite(value):
                raise ValueError(f"mean={value} of a band must be finite")
        for value in self.deviation:
            if not 0 <= value < math.inf:
                raise ValueError(f"deviation={value} of a band must be at least 0")

    @classmethod
    def fit(cls, clips: Iterable[Frames], *, top_db: float) -> Self:
        """Take mean and deviation over all frames of some clips of the training set.

        Parameters
        ----------
        clips : iterable of float32 (n_frames, n_mels)
            Decibels, one array for each clip; looked at one after the other.
        top_db : float
            dB, see above; applied before anything is counted.

        Raises
        ------
        ValueError
            There is no frame in them.
        """
        n_frames, total, squares = 0, np.zeros(1), np.zeros(1)
        for clip in clips:
            frames = floored(clip, top_db).astype(np.float64)
            n_frames += len(frames)
            total = total + frames.sum(axis=0)
            squares = squares + (frames**2).sum(axis=0)
        if n_frames == 0:
            raise ValueError(f"n_frames={n_frames} of the clips must be at least 1")
        mean = total / n_frames
        # Rounding may leave a trace of variance, or less than none, in a constant band.
        variance = squares / n_frames - mean**2
        variance[variance < 1e-9 * (1.0 + mean**2)] = 0.0
        deviation = np.sqrt(variance)
        return cls(tuple(mean.tolist()), tuple(deviation.tolist()), top_db=top_db)

    def __call__(self, frames: Frames) -> Frames:
        """Scale one segment.

        Raises
        ------
        ValueError
            The segment has another number of bands.
        """
        if frames.shape[1:] != (len(self.mean),):
            raise ValueError(
                f"n_mels={frames.shape[-1]} must be {len(self.mean)}, "
                "as in the clips that were fitted"
            )
        deviation = np.array(self.deviation)
        scale = np.divide(
            1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0
        )
        centred = floored(frames, self.top_db) - np.array(self.mean, np.float32)
        scaled: Frames = centred * scale.astype(np.float32)
        return scaled


SCALINGS: dict[str, type[Scaling]] = {
    kind.name: kind for kind in (Triple, Single, Relative, Standardize)
}
"""The scalings by name."""


def fit_scaling(name: str, clips: Iterable[Frames], *, top_db: float) -> Scaling:
    """Make the scaling of that name, fitted to `clips` if it has anything to fit.

    Raises
    ------
    ValueError
        There is no such scaling.
    """
    if _kind(name) is Standardize:
        return Standardize.fit(clips, top_db=top_db)
    return _kind(name)(top_db=top_db)


def spread_frames(sets: Iterable[tuple[Features, Sequence[str]]]) -> Iterator[Frames]:
    """Read the decibels of clips spread evenly over sets, at least `N_FITTED` of them.

    Every clip weighs the same, whichever set it is of, as in the baseline, which takes
    all of them.

    Parameters
    ----------
    sets : iterable of (Features, sequence of str)
        What was computed, and which clips of it may be read.
    """
    clips = [(features, name) for features, names in sets for name in names]
    for features, name in clips[:: max(len(clips) // N_FITTED, 1)]:
        yield features.read(name)


def scaling_from_dict(settings: Mapping[str, Any]) -> Scaling:
    """Create a scaling from the dict of its `to_dict`.

    Raises
    ------
    ValueError
        There is no such scaling, or a number of it is out of range.
    """
    numbers = {k: v for k, v in settings.items() if k != "name"}
    for key in ("mean", "deviation"):
        if key in numbers:
            numbers[key] = tuple(numbers[key])
    return _kind(str(settings["name"]))(**numbers)


def _kind(name: str) -> type[Scaling]:
    if name not in SCALINGS:
        raise ValueError(f"scaling={name} must be one of {', '.join(SCALINGS)}")
    return SCALINGS[name]
