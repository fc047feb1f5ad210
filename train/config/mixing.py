"""Settings of mixing: how soundscapes are generated, for training and evaluation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MixingConfig:
    """How soundscapes are generated; the defaults give varied training data.

    Parameters
    ----------
    duration : float
        Seconds.
    n_variants : int
        Variants kept of each clip (see `train.mixing.palette`); 0 uses the clips as they are.
    event_to_background : (float, float)
        dB, range of an event's level relative to the background.
    max_events : int
        Maximum number of sounds; a repeated sound counts once.
    isolated : float
        Probability of sounds in digital silence, as in a short recording that is padded.
    empty : float
        Probability of a background without events, if sounds are not isolated.
    short : float
        Probability that background and events stop early, padded with silence.
    distractor : float
        Probability of an unlabelled sound at the level of an event, and of another
        after each.
    tonal : float
        Probability that such a sound is a chord instead of a background.
    layout : float
        Probability that a soundscape is built like a clip of a list, if lists are given.
    clipped : float
        Probability of clipped peaks.
    gain : (float, float)
        dB, range of the level of the loudest sample.

    Raises
    ------
    ValueError
        A setting is out of range.
    """

    duration: float = 10.0
    n_variants: int = 6
    event_to_background: tuple[float, float] = (6.0, 30.0)
    max_events: int = 4
    isolated: float = 0.15
    empty: float = 0.04
    short: float = 0.1
    distractor: float = 0.3
    tonal: float = 0.15
    layout: float = 0.5
    clipped: float = 0.05
    gain: tuple[float, float] = (-40.0, 0.0)

    def __post_init__(self) -> None:
        """Check the ranges; lists, as in TOML and JSON, become tuples."""
        for name in ("event_to_background", "gain"):
            span = tuple(getattr(self, name))
            object.__setattr__(self, name, span)
            if len(span) != 2 or not span[0] <= span[1]:
                raise ValueError(f"{name}={span} must be two levels, the lower first")
        if not self.duration > 0:
            raise ValueError(f"duration={self.duration} must be positive (in seconds)")
        if self.n_variants < 0:
            raise ValueError(f"n_variants={self.n_variants} must be at least 0")
        if self.max_events < 1:
            raise ValueError(f"max_events={self.max_events} must be at least 1")
        for name in (
            "isolated",
            "empty",
            "short",
            "distractor",
            "tonal",
            "layout",
            "clipped",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)} must be from 0 to 1")


EVALUATION_MIXING = MixingConfig(
    n_variants=0, isolated=0.0, short=0.0, distractor=0.1, tonal=0.0, clipped=0.0
)
"""Plain mixtures of unaltered clips, for evaluation."""
