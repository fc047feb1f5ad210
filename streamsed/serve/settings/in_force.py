"""The current settings without secrets, for display.

Addresses are shown without credentials and queries, commands without arguments, and files
with secrets by their paths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from streamsed.serve.settings.hours import Hours
from streamsed.serve.settings.tables import ServeSettings
from streamsed.serve.sources.address import redacted

_TABLES = (
    "model", "stream", "sources", "log", "store", "clips", "mqtt", "webhooks", "exec",
    "rules", "page",
)  # fmt: skip
_ADDRESSES = ("url",)
_ARGUMENTS = ("ffmpeg_args", "command")


def in_force(settings: ServeSettings) -> dict[str, Any]:
    """Return the settings for JSON, table by table, without empty tables."""
    shown = {name: _shown(getattr(settings, name)) for name in _TABLES}
    return {name: table for name, table in shown.items() if table not in (None, [], {})}


def _shown(value: Any, name: str = "") -> Any:
    """Return one setting for JSON."""
    if isinstance(value, Hours | Path):
        return str(value)
    if name in _ADDRESSES and isinstance(value, str):
        return _without_path(value)
    if name in _ARGUMENTS and value:
        return f"{value[0]} and {len(value) - 1} more" if len(value) > 1 else value[0]
    if is_dataclass(value):
        return _table(value)
    if isinstance(value, Mapping):
        return {str(key): _shown(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(each) for each in value]
    return value


def _table(value: Any) -> dict[str, Any]:
    """Return the settings of a table that are not empty."""
    shown: dict[str, Any] = {}
    for field in fields(value):
        if (each := _shown(getattr(value, field.name), field.name)) in (
            None,
            "",
            [],
            {},
        ):
            continue
        if is_dataclass(getattr(value, field.name)):
            shown |= each  # settings of detection are shown beside those of the source
        else:
            shown[field.name] = each
    return shown


def _without_path(url: str) -> str:
    """Return an address; of one on the web only its host, since paths may be secret."""
    address = redacted(url)
    scheme, _, rest = address.partition("://")
    if scheme in ("http", "https") and "/" in rest:
        return f"{scheme}://{rest.split('/')[0]}/…"
    return address
