"""Settings of a training run; see `train.config.preset` for named ones."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from streamsed.config import FrontendConfig
from streamsed.config.settings import shortened
from train.config.mixing import MixingConfig
from train.config.network import SUBSAMPLING, NetworkConfig
from train.config.scenes import SceneConfig

PRECISIONS = ("fp32", "bf16", "fp16")
SYSTEMS = ("resnet", "crnn")
ROUNDINGS = ("nearest", "down")
SCALINGS = ("triple", "single", "relative", "standardize")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How a network is built and trained; the defaults are the report's system.

    Settings that the report does not state are choices of this project: learning rate,
    weight decay, clipping, averaging, batches and length. `docs/decisions.md` lists them,
    and every table prints them.

    Parameters
    ----------
    system : {"resnet", "crnn"}
        The report's network and losses, or the challenge's baseline.
    network : NetworkConfig
        How the report's network is built; of the baseline, `width` is its number of filters,
        and the rest has no effect.
    frontend : FrontendConfig
        Features.
    mixing : MixingConfig
        How soundscapes are generated, if it is trained on them.
    scenes : SceneConfig
        How scenes are generated and cut, if it is trained on them.
    scaling : {"triple", "single", "relative", "standardize"}
        Input scaling, see `train.datasets.scaling`.
    alpha : float
        Weight of the region loss (eq. 2).
    auxiliary : float
        Weight of the loss of other sounds than the labels, if they are known (scenes); 0
        trains on the labels only.
    edge : float
        Weight of the last second of a segment in the strong loss (scenes), which matters most
        in a live stream; that of the rest is 1.
    batch_size : int
        Clips per step.
    learning_rate : float
        Highest rate of the schedule: linear warm-up, then a cosine to a hundredth.
    constant_rate : bool
        Stay at the highest rate instead.
    weight_decay : float
        Of AdamW.
    warmup : float
        Part of the run, from 0 to 1, in which the learning rate increases.
    ramp : float
        Part of the run, from 0 to 1, in which the weight of the agreement with the teacher
        increases; for the baseline only.
    clip_norm : float
        Maximum norm of the gradient.
    ema_decay, ema_tail : float
        Weights are averaged over about 1 / (1 - ema_decay) steps; 0 averages nothing.
        The tail: see `train.fit.weight_average`.
    unlabelled : int
        Number of unlabelled clips per batch, if there are any; the rest is half strong,
        half weak clips, if there are weak ones.
    evaluate_average : bool
        Validate, keep and export the averaged weights rather than the last ones.
    augment : bool
        Recolour frames and drop bands of soundscapes (see `train.datasets.augment`);
        recorded clips stay as they are.
    target_rounding : {"nearest", "down"}
        Of the targets of recorded clips that are trained on, see
        `train.datasets.clip_features.score_targets`; in the validation loss, to the nearest.
    held_out : float
        Share of the synthetic and of the weak clips that is not trained on. Checkpoints
        are then ranked by event F1 on the former plus tagging F1 on the latter instead of
        validation loss, as in the baseline; for the baseline only.
    precision : {"fp32", "bf16", "fp16"}
        Of the network's arithmetic; losses, weights and their updates stay float32.
    steps : int
        Length of the run, unless `minutes` says otherwise.
    minutes : float or None
        Length of the run in minutes of wall time instead of `steps`.
    validations : int
        How often the network is measured, the last time at the end.
    seed : int
        Of the weights and of every mixture.
    threads : int
        CPU threads of the arithmetic.

    Raises
    ------
    ValueError
        A setting is out of range.
    """

    system: str = "resnet"
    frontend: FrontendConfig = field(default_factory=FrontendConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    mixing: MixingConfig = field(default_factory=MixingConfig)
    scenes: SceneConfig = field(default_factory=SceneConfig)
    scaling: str = "triple"
    alpha: float = 0.1
    auxiliary: float = 0.0
    edge: float = 1.0
    batch_size: int = 16
    learning_rate: float = 1e-3
    constant_rate: bool = False
    weight_decay: float = 0.01
    warmup: float = 0.03
    ramp: float = 0.5
    clip_norm: float = 5.0
    ema_decay: float = 0.999
    ema_tail: float = 0.1
    unlabelled: int = 0
    evaluate_average: bool = True
    augment: bool = True
    target_rounding: str = "nearest"
    held_out: float = 0.0
    precision: str = "fp32"
    steps: int = 20000
    minutes: float | None = None
    validations: int = 20
    seed: int = 0
    threads: int = 2

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("batch_size", "steps", "validations", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        for name in ("edge", "learning_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)} must be positive")
        for name in ("alpha", "auxiliary", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 0")
        for name in ("warmup", "ramp", "ema_decay", "held_out"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"{name}={getattr(self, name)} must be from 0 to below 1"
                )
        if not 0 < self.ema_tail <= 1:
            raise ValueError(f"ema_tail={self.ema_tail} must be above 0 and at most 1")
        for name, choices in (
            ("system", SYSTEMS),
            ("precision", PRECISIONS),
            ("scaling", SCALINGS),
            ("target_rounding", ROUNDINGS),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name}={getattr(self, name)} must be one of {', '.join(choices)}"
                )
        if not 0 <= self.unlabelled < self.batch_size - 1:
            raise ValueError(
                f"unlabelled={self.unlabelled} must leave two clips of "
                f"batch_size={self.batch_size}"
            )
        if self.unlabelled and self.system != "crnn":
            raise ValueError(
                f"unlabelled={self.unlabelled} must be 0 for system={self.system}, whose "
                "loss needs labels"
            )
        if self.held_out and self.system != "crnn":
            raise ValueError(
                f"held_out={self.held_out} must be 0 for system={self.system}, whose "
                "checkpoints are those of lowest validation loss"
            )
        if self.minutes is not None and not self.minutes > 0:
            raise ValueError(f"minutes={self.minutes} must be positive")
        self._check_network()

    def _check_network(self) -> None:
        """Check that the network can take what the front-end gives."""
        if self.frontend.subsampling != SUBSAMPLING:
            raise ValueError(
                f"subsampling={self.frontend.subsampling} must be {SUBSAMPLING}, by which "
                "the networks divide time"
            )
        if self.frontend.n_mels < self.network.least_mels and self.system == "resnet":
            raise ValueError(
                f"n_mels={self.frontend.n_mels} must be at least "
                f"{self.network.least_mels}, by which the network divides frequency"
            )
        if self.network.views and self.scaling != "relative":
            raise ValueError(
                f"scaling={self.scaling} must be relative for network.views=true, which are "
                "made of relative levels"
            )
        self.network.check_yamnet(self.frontend)

    def rate_at(self, progress: float) -> float:
        """Compute the learning rate at a point of the run, from 0 to 1.

        Examples
        --------
        >>> config = TrainConfig(learning_rate=1.0, warmup=0.1)
        >>> [round(config.rate_at(progress), 3) for progress in (0.05, 0.1, 0.55, 1.0)]
        [0.5, 1.0, 0.505, 0.01]
        """
        if self.constant_rate:
            return self.learning_rate
        if progress < self.warmup:
            return self.learning_rate * max(progress / self.warmup, 1e-3)
        done = (progress - self.warmup) / (1.0 - self.warmup)
        return self.learning_rate * (0.505 + 0.495 * math.cos(math.pi * done))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as a nested dict for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> TrainConfig:
        """Build from a dict of the form of `to_dict`, or part of it.

        Raises
        ------
        ValueError
            A setting is unknown, of another type than its default, or out of range.
        """
        parts = dict(settings)
        for name, kind in _TABLES.items():
            table = parts.get(name, {})
            if not _is_like(table, {}):
                raise ValueError(
                    f"{name}={shortened(repr(table))} must be a table of settings"
                )
            _check(kind, table)
            parts[name] = kind(**table)
        _check(cls, parts)
        return cls(**parts)


_TABLES: dict[str, type] = {
    "network": NetworkConfig,
    "mixing": MixingConfig,
    "scenes": SceneConfig,
    "frontend": FrontendConfig,
}


def _check(kind: type, settings: Mapping[str, Any]) -> None:
    """Check names and types of settings against the defaults."""
    default = kind()
    known = [each.name for each in fields(kind)]
    for key, value in settings.items():
        if key not in known:
            near = difflib.get_close_matches(shortened(str(key)), known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise ValueError(
                f"unknown setting {shortened(repr(key))}{hint} The settings are "
                f"{', '.join(known)}"
            )
        usual = getattr(default, key)
        if not _is_like(value, usual):
            raise ValueError(
                f"{key}={shortened(repr(value))} must be {_kind_of(usual)}"
            )


def _kind_of(default: object) -> str:
    """Return what a setting must be, by its default."""
    kinds = {bool: "true or false", str: "text", int: "a whole number"}
    kinds |= {float: "a number", tuple: "a list"}
    kind = kinds.get(type(default), "a number")
    shown = list(default) if isinstance(default, tuple) else default
    return kind if default in (None, True, False) else f"{kind} such as {shown!r}"


def _is_like(value: object, default: object) -> bool:
    """Return whether a value has the type of a default, or is a number if that is None."""
    if isinstance(default, tuple):
        usual = default[0] if default else 0
        return isinstance(value, list | tuple) and all(
            _is_like(each, usual) for each in value
        )
    if isinstance(default, float) or default is None:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number or (default is None and value is None)
    if isinstance(default, int):
        return isinstance(value, int) and isinstance(value, bool) == isinstance(
            default, bool
        )
    return isinstance(value, type(default))
