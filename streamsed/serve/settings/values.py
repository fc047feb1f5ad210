"""Convert and check values of a settings file.

Each function returns the converted value or raises ValueError with a message to put after
the key and value.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
import shutil
import stat
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from streamsed.config import PerLabel
from streamsed.config.settings import is_number
from streamsed.label_names import match_label
from streamsed.serve.settings.hours import Hours

MOST = 1e9
"""Largest number of seconds, days or segments that a setting may name."""
MAX_TEXT = 4096
"""Characters of a text."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(kB|MB|GB|TB)")
_UNITS = {"kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
_TOPIC = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*")

One = TypeVar("One")


def text(value: Any) -> str:
    """Convert printable text."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be text in quotes, and not empty")
    if len(value) > MAX_TEXT or not value.isprintable():
        raise ValueError(f"must be printable text of at most {MAX_TEXT} characters")
    return value


def texts(value: Any) -> tuple[str, ...]:
    """Convert a list of texts, or one text."""
    return tuple(text(each) for each in (value if isinstance(value, list) else [value]))


def name(value: Any) -> str:
    """Convert a name that is also an id: letters, digits, hyphens and underscores."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(
            "must be a name of at most 64 letters a to z, digits, - and _, such as kitchen "
            "or garden-2"
        )
    return value


def flag(value: Any) -> bool:
    """Convert true or false."""
    if value is not True and value is not False:
        raise ValueError("must be true or false")
    return bool(value)


def whole(*, least: int = 0, most: int = 10**9) -> Callable[[Any], int]:
    """Return a converter of whole numbers within bounds."""

    def convert(value: Any) -> int:
        number = isinstance(value, int) and not isinstance(value, bool)
        if not number or not least <= value <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(value)

    return convert


def number(
    *,
    above: float | None = None,
    least: float = 0.0,
    most: float = MOST,
    unit: str = "",
) -> Callable[[Any], float]:
    """Return a converter of numbers within bounds; `above` is a strict lower bound."""
    bounds = f"from {least:g} to" if above is None else f"above {above:g}, up to"
    rule = f"must be a number {bounds} {most:g}" + (f" ({unit})" if unit else "")

    def convert(value: Any) -> float:
        low = value > above if above is not None and is_number(value) else True
        if not is_number(value) or not low or not least <= value <= most:
            raise ValueError(rule)
        return float(value)

    return convert


def choice(*choices: str) -> Callable[[Any], str]:
    """Return a converter of one of several words."""

    def convert(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return str(value)

    return convert


def choices(*known: str) -> Callable[[Any], tuple[str, ...]]:
    """Return a converter of a list of words, or of one."""
    one = choice(*known)

    def convert(value: Any) -> tuple[str, ...]:
        return tuple(
            one(each) for each in (value if isinstance(value, list) else [value])
        )

    return convert


def label(labels: Collection[str]) -> Callable[[Any], str]:
    """Return a converter of labels of the model; without labels, of any text."""

    def convert(value: Any) -> str:
        named = text(value)
        if not labels:
            return named
        try:
            return match_label(named, list(labels), option="")
        except ValueError as error:
            raise ValueError(f"has an{str(error).removeprefix(':')}") from None

    return convert


def label_list(labels: Collection[str]) -> Callable[[Any], tuple[str, ...]]:
    """Return a converter of a list of labels, or of one."""
    one = label(labels)

    def convert(value: Any) -> tuple[str, ...]:
        return tuple(
            one(each) for each in (value if isinstance(value, list) else [value])
        )

    return convert


def per_label(
    labels: Collection[str], one: Callable[[Any], float]
) -> Callable[[Any], PerLabel]:
    """Return a converter of a number for all labels, or of a table of numbers by label."""
    spelt = label(labels)

    def convert(value: Any) -> PerLabel:
        if isinstance(value, dict):
            return {spelt(key): one(each) for key, each in value.items()}
        return one(value)

    return convert


def span(value: Any) -> Hours:
    """Convert a span of the day."""
    return Hours.parse(text(value))


def spans(value: Any) -> tuple[Hours, ...]:
    """Convert a list of spans of the day, or one."""
    return tuple(span(each) for each in (value if isinstance(value, list) else [value]))


def size(value: Any) -> int:
    """Convert a size in bytes, as a number or with a unit."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        value = round(float(match[1]) * _UNITS[match[2]])
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= 1e15:
        raise ValueError('must be a size, such as "500MB" or "2GB"')
    return value


def command(value: Any) -> tuple[str, ...]:
    """Convert a command line, or a list of its words; the program must exist."""
    if isinstance(value, list):
        words = list(texts(value))
    else:
        try:
            words = shlex.split(text(value))
        except ValueError as error:
            raise ValueError(f"must be quoted as for a shell ({error})") from None
    if not words or shutil.which(words[0]) is None:
        raise ValueError("must start with a program that exists; this one is not found")
    return tuple(words)


def path(value: Any) -> Path:
    """Convert a path; ~ is the home folder."""
    try:
        return Path(text(value)).expanduser()
    except RuntimeError:  # ~name of nobody
        raise ValueError("begins with the home folder of an unknown user") from None


def existing_file(value: Any) -> Path:
    """Convert the path of an existing file."""
    file = path(value)
    if not file.is_file():
        raise ValueError("must be an existing file")
    return file


def secret(value: Any) -> Path:
    """Convert the path of a file with a secret, which only its owner may read."""
    file = path(value)
    try:
        mode = file.stat().st_mode
        with file.open("rb") as stream:
            held = stream.read(MAX_TEXT).strip()
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(mode) or not held:
        raise ValueError("must be a file with the secret on its first line")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ValueError("is readable by others; `chmod 600` it")
    return file


def url(*schemes: str) -> Callable[[Any], str]:
    """Return a converter of addresses with a host and one of several schemes."""

    def convert(value: Any) -> str:
        parts = split_url(text(value))
        if parts.scheme not in schemes or not parts.hostname or " " in parts.netloc:
            known = ", ".join(f"{scheme}://" for scheme in schemes)
            raise ValueError(f"must be an address with a host, starting with {known}")
        return str(value)

    return convert


def split_url(value: str) -> SplitResult:
    """Return the parts of an address.

    Raises
    ------
    ValueError
        It is not an address.
    """
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - is checked when it is read
    except ValueError:
        raise ValueError("must be an address such as rtsp://host:554/path") from None
    return parts


def topic(value: Any) -> str:
    """Convert the beginning of MQTT topics."""
    if not isinstance(value, str) or not _TOPIC.fullmatch(value) or len(value) > 200:
        raise ValueError("must be letters, digits, - and _, with / between them")
    return value


def address(value: Any) -> tuple[str, int]:
    """Convert a host and a port, such as 127.0.0.1:8080 or [::1]:8080."""
    rule = "must be a host and a port up to 65535, such as 127.0.0.1:8080"
    try:
        parts = split_url(f"//{text(value)}")
    except ValueError:
        raise ValueError(rule) from None
    if parts.username or parts.path or parts.query or parts.port is None:
        raise ValueError(rule)
    return parts.hostname or "0.0.0.0", parts.port


def is_loopback(host: str) -> bool:
    """Whether an address is only reachable from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def root_path(value: Any) -> str:
    """Convert the path under which a proxy serves the page, such as /sounds, or ""."""
    if value == "":
        return ""
    if not isinstance(value, str) or not re.fullmatch(
        r"(?:/[A-Za-z0-9_.~-]+)+/?", value
    ):
        raise ValueError("must be a path such as /sounds")
    return value.rstrip("/")
