"""What a settings file says to `streamsed serve` alone, if it is its file as well.

`serve` reads and checks these tables itself, and skips those of the other commands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TABLES = frozenset(
    ("source", "log", "store", "mqtt", "webhook", "exec", "rule", "page", "clips")
)


def is_of_serve(settings: Mapping[str, Any]) -> bool:
    """Return whether a file is one of `streamsed serve`: it names sources."""
    return _is_tables(settings.get("source"))


def without_serve(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a file of `serve` that other commands share with it.

    Its `step` is its own, and `labels` is what the others call `label`.
    """
    shared = {
        key: value
        for key, value in settings.items()
        if key != "step" and not (key in TABLES and _is_tables(value))
    }
    if "labels" in shared:
        shared.setdefault("label", shared.pop("labels"))
    return shared


def _is_tables(value: Any) -> bool:
    """Return whether a value is a table, or a list of them."""
    entries = value if isinstance(value, list) and value else [value]
    return all(isinstance(each, dict) for each in entries)
