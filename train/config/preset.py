"""Named settings of a training run.

A preset is a TOML file in `train/config/presets` that states only its differences from the
defaults, with reasons. Its tables `[network]`, `[mixing]` and `[frontend]` are
`NetworkConfig`, `MixingConfig` and `FrontendConfig`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from streamsed.config.settings import shortened
from train.config.train import TrainConfig

LONG = re.compile(r"\S{100,}")
"""A word that no message repeats as a whole: a number of thousands of digits, say."""
PRESETS = Path(__file__).parent / "presets"


def preset_names() -> list[str]:
    """List the presets."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def load_preset(
    name: str,
    assignments: Sequence[str] = (),
    *,
    overlay: str | None = None,
    width: int | None = None,
    **changes: Any,
) -> TrainConfig:
    """Read a preset and apply changes that are not None.

    Parameters
    ----------
    name : str
        One of `preset_names`.
    assignments : sequence of str
        Lines of TOML, such as `network.self_mask=false`, that override the preset.
    overlay : str or None
        Another preset, whose settings override the first before that.
    width : int or None
        `network.width`.
    **changes
        Settings of `TrainConfig`.

    Raises
    ------
    ValueError
        There is no such preset, or it or a change names an unknown setting.

    Examples
    --------
    >>> load_preset("nec_alpha_0.1", ["alpha=0.5", "network.self_mask=false"]).alpha
    0.5
    """
    settings = _read_preset(name)
    if overlay is not None:
        _update(settings, _read_preset(overlay))
    over = _parse(assignments)
    assigned = _paths(over)
    over |= {key: value for key, value in changes.items() if value is not None}
    if "steps" in over:
        settings.pop("minutes", None)  # a number of steps replaces a time
    _update(settings, over)
    try:
        config = TrainConfig.from_dict(settings)
    except ValueError as error:
        message = _of_assignments(str(error), assigned)
        raise ValueError(LONG.sub(lambda word: shortened(word[0]), message)) from error
    if width is not None:
        config = replace(config, network=replace(config.network, width=width))
    return config


def refuse_assignments(assignments: Sequence[str], reasons: Mapping[str, str]) -> None:
    """Raise a ValueError if a setting is assigned that is not to be.

    Parameters
    ----------
    assignments : sequence of str
        Lines of TOML.
    reasons : mapping of str to str
        Why not, or what to do instead, by the setting.
    """
    assigned = _parse(assignments)
    for name, reason in reasons.items():
        if name in assigned:
            raise ValueError(f"--set {name}: {reason}")


def _parse(assignments: Sequence[str]) -> dict[str, Any]:
    """Read lines of TOML, the later ones over the earlier."""
    settings: dict[str, Any] = {}
    for line in assignments:
        try:
            _update(settings, tomllib.loads(line))
        except tomllib.TOMLDecodeError as error:
            raise ValueError(
                f"--set {shortened(repr(line))}: not KEY=VALUE in TOML, such as alpha=0.1 or "
                f"system='crnn' ({shortened(str(error))})"
            ) from error
    return settings


def _read_preset(name: str) -> dict[str, Any]:
    if name not in preset_names():
        raise ValueError(f"preset={name} must be one of {', '.join(preset_names())}")
    return tomllib.loads((PRESETS / f"{name}.toml").read_text(encoding="utf-8"))


def _paths(settings: Mapping[str, Any], start: str = "") -> dict[str, str]:
    """Return the dotted path of each setting, such as `network.width` of `width`."""
    paths: dict[str, str] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            paths |= _paths(value, f"{start}{key}.")
        paths[key] = f"{start}{key}"
    return paths


def _of_assignments(message: str, assigned: Mapping[str, str]) -> str:
    """Name `--set` in the message for a setting that it assigned."""
    if message.startswith("unknown setting"):
        return f"--set: {message}"
    found = re.fullmatch(r"(\w+)=(.*?) must ([^;]*)(.*)", message, re.DOTALL)
    if found is None or found[1] not in assigned:
        return message
    name, value, rule, rest = found.groups()
    return f"--set {assigned[name]} must {rule}, not {shortened(value)}{rest}"


def _update(settings: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Apply changes to settings, tables entry by entry."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(settings.get(key), dict):
            settings[key] |= value
        else:
            settings[key] = value
