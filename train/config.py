"""The settings of a training run, and the named presets that change some of them.

A preset is a TOML file in `train/presets` that states only its differences from
`TrainConfig`'s defaults, with reasons; `load_preset("small")` reads one.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

PRESETS = Path(__file__).parent / "presets"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Say how a network is made and trained; the defaults are the report's network.

    Parameters
    ----------
    width, stem_pools : int
        See `train.network.Network`.
    alpha : float
        Weight of the region loss (eq. 2).
    batch_size : int
        Clips per step.
    learning_rate : float
        Highest rate of the schedule: linear warm-up, then a cosine to a hundredth.
    weight_decay : float
        Of AdamW.
    warmup : float
        Part of the run, from 0 to 1, that the learning rate takes to rise.
    clip_norm : float
        Gradients longer than this are shortened to it.
    ema_decay : float
        Weights are averaged over about 1 / (1 - ema_decay) steps; 0 averages nothing.
    steps : int
        Length of the run, unless `minutes` says otherwise.
    minutes : float or None
        Length of the run in minutes of wall time instead of `steps`.
    seed : int
        Of the weights and of every mixture.
    threads : int
        CPU threads of the arithmetic.

    Raises
    ------
    ValueError
        A setting is out of range.
    """

    width: int = 64
    stem_pools: int = 1
    alpha: float = 0.1
    batch_size: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.03
    clip_norm: float = 5.0
    ema_decay: float = 0.999
    steps: int = 20000
    minutes: float | None = None
    seed: int = 0
    threads: int = 2

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("width", "stem_pools", "batch_size", "steps", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        for name in ("learning_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)} must be positive")
        for name in ("alpha", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 0")
        for name in ("warmup", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be from 0 to 1")
        if self.minutes is not None and not self.minutes > 0:
            raise ValueError(f"minutes={self.minutes} must be positive")

    def rate_at(self, progress: float) -> float:
        """Compute the learning rate at a point of the run, from 0 to 1.

        Examples
        --------
        >>> config = TrainConfig(learning_rate=1.0, warmup=0.1)
        >>> [round(config.rate_at(progress), 3) for progress in (0.05, 0.1, 0.55, 1.0)]
        [0.5, 1.0, 0.505, 0.01]
        """
        if progress < self.warmup:
            return self.learning_rate * max(progress / self.warmup, 1e-3)
        done = (progress - self.warmup) / (1.0 - self.warmup)
        return self.learning_rate * (0.505 + 0.495 * math.cos(math.pi * done))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as a dict that JSON can hold."""
        return asdict(self)


def preset_names() -> list[str]:
    """List the presets."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def load_preset(name: str, **changes: Any) -> TrainConfig:
    """Read a preset and apply changes; those that are None are left out.

    Raises
    ------
    ValueError
        There is no such preset, or it names an unknown setting.
    """
    if name not in preset_names():
        raise ValueError(f"preset={name} must be one of {', '.join(preset_names())}")
    text = (PRESETS / f"{name}.toml").read_text(encoding="utf-8")
    settings = tomllib.loads(text)
    if changes.get("steps") is not None:
        settings.pop("minutes", None)  # a number of steps replaces a time
    settings |= {key: value for key, value in changes.items() if value is not None}
    known = [field.name for field in fields(TrainConfig)]
    for key in settings:
        if key not in known:
            raise ValueError(f"{key!r} must be a setting: one of {', '.join(known)}")
    return TrainConfig(**settings)
