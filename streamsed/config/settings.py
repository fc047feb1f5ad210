"""The base class of all settings, and their checks."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Self

LONGEST_SHOWN = 60
"""Characters of a value that an error message repeats at most."""

MAX_SECONDS = 1e6
"""Longest duration in settings, in seconds: eleven days."""

MAX_KEY_PARTS = 32
"""Parts of a dotted key in TOML; the time of tomllib grows with their square."""
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(
    rf"(?<![\w-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{MAX_KEY_PARTS}}}"
)


class Settings:
    """`to_dict` and a strict `from_dict` for frozen dataclasses."""

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as a dict that can be written as JSON."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Build from a dict; an unknown key raises ValueError."""
        known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        for key in settings:
            if key not in known:
                raise ValueError(
                    f"{shortened(repr(key))} is not a setting of {cls.__name__}; "
                    f"the settings are {', '.join(known)}"
                )
        return cls(**settings)


def is_number(value: object) -> bool:
    """Return whether a value is a number; a bool is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def require(holds: object, name: str, value: object, rule: str) -> None:
    """Raise ValueError with the name and value of a setting unless `holds`."""
    if not holds:
        raise ValueError(f"{name}={shortened(str(value))} must {rule}")


def shortened(text: str) -> str:
    """Return untrusted text for a message: printable, and truncated if it is long.

    Examples
    --------
    >>> len(shortened("x" * 1000))
    61
    """
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def toml_text(data: bytes) -> str:
    """Return the text of a TOML file; some editors begin it with a byte order mark.

    Raises
    ------
    ValueError
        It is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"byte {error.start + 1} is not UTF-8; save it with this encoding"
        ) from None


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML of a stranger, in a time that is bounded by its length.

    Raises
    ------
    ValueError
        It is not TOML, a key has too many parts, or a number too many digits.
    RecursionError
        It is nested too deeply.

    Examples
    --------
    >>> parse_toml("a.b = 1")
    {'a': {'b': 1}}
    """
    if found := _LONG_KEY.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise ValueError(
            f"a key has more than {MAX_KEY_PARTS} parts (at line {line}, column 1)"
        )
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # of int
        raise ValueError("a number has too many digits") from None
