"""Parse untrusted JSON: bounded in size and depth, finite numbers, unique keys."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_INTEGER = 2**53
"""Integers up to this are exact in every JSON parser."""


def read_json(text: bytes) -> Any:
    """Parse JSON.

    Parameters
    ----------
    text : bytes
        UTF-8.

    Raises
    ------
    ValueError
        It is not JSON, or breaks one of the restrictions above.

    Examples
    --------
    >>> read_json(b'{"step": 5.0, "labels": ["Dog"]}')
    {'step': 5.0, 'labels': ['Dog']}
    >>> read_json(b"[NaN]")
    Traceback (most recent call last):
        ...
    ValueError: NaN is not a valid JSON number
    """
    if len(text) > MAX_BYTES:
        raise ValueError(
            f"its JSON has {len(text)} bytes; at most {MAX_BYTES} are allowed"
        )
    try:
        value = json.loads(
            text.decode(),
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_bounded,
            object_pairs_hook=_distinct,
        )
    except RecursionError:
        raise ValueError(
            f"its JSON is nested more than {MAX_DEPTH} levels deep"
        ) from None
    _check_depth(value)
    return value


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a valid JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits[:20]} is too large")
    return number


def _bounded(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) > MAX_INTEGER:
        raise ValueError(f"the number {digits[:20]} is too large")
    return int(digits)


def _distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("its JSON has a duplicate key")
    return made


def _check_depth(value: Any) -> None:
    """Raise ValueError if lists and objects are nested too deep, without recursion."""
    layer = [value]
    for _ in range(MAX_DEPTH + 1):
        layer = [
            inner
            for outer in layer
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not layer:
            return
    raise ValueError(f"its JSON is nested more than {MAX_DEPTH} levels deep")
