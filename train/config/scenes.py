"""Settings of scenes: how `train.mixing.scenes` generates longer recordings of a room."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneConfig:
    """How scenes are generated and cut into segments.

    Parameters
    ----------
    duration : float
        Seconds; 0 trains on soundscapes of one segment each instead of on scenes.
    segments : int
        Segments cut from each scene.
    n_variants : int
        Number of variants of each recording to keep.
    fresh : float
        Probability that a new variant of a recording is generated.
    level : (float, float)
        dB, range of a sound's level relative to the background.
    pause : (float, float)
        Seconds between one sound and the next.
    overlap : float
        Probability that the next sound begins before one ends.
    distractor : float
        Probability that a sound belongs to none of the labels.
    tonal : float
        Probability that such a sound is a chord.
    noise : float
        Probability that the background is noise.
    silent : float
        Probability that the background is digital silence.
    empty, listed, steady : float
        Probabilities of a scene without labels, one built from lists (if there are any),
        and one with a long sound.
    padded : float
        Probability that a segment is the first seconds of a stream, padded with silence.
    clipped : float
        Probability of clipped peaks.
    gain : (float, float)
        dB, range of the level of the loudest sample.

    Raises
    ------
    ValueError
        A setting is out of range.
    """

    duration: float = 0.0
    segments: int = 6
    n_variants: int = 8
    fresh: float = 0.04
    level: tuple[float, float] = (2.0, 32.0)
    pause: tuple[float, float] = (0.0, 6.0)
    overlap: float = 0.2
    distractor: float = 0.45
    tonal: float = 0.08
    noise: float = 0.15
    silent: float = 0.12
    empty: float = 0.12
    listed: float = 0.3
    steady: float = 0.12
    padded: float = 0.1
    clipped: float = 0.05
    gain: tuple[float, float] = (-55.0, 0.0)

    def __post_init__(self) -> None:
        """Check the ranges; lists, as in TOML and JSON, become tuples."""
        for name in ("level", "pause", "gain"):
            span = tuple(getattr(self, name))
            object.__setattr__(self, name, span)
            if len(span) != 2 or not span[0] <= span[1]:
                raise ValueError(f"{name}={span} must be two numbers, the lower first")
        if not 0 <= self.duration <= 600:
            raise ValueError(
                f"duration={self.duration} must be from 0 to 600 (seconds)"
            )
        if self.segments < 1 or self.n_variants < 1:
            raise ValueError("segments and n_variants must be at least 1")
        for name in (
            *("fresh", "overlap", "distractor", "tonal", "noise", "silent", "padded"),
            *("empty", "listed", "steady", "clipped"),
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)} must be from 0 to 1")
