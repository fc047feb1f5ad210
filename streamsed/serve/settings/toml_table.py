"""Read a TOML file and collect all mistakes with their lines.

Values are read one by one by `take`, with a function that converts the value or raises
ValueError. A mistake is noted with file, line and key, and reading continues with the
default, so that all mistakes are found at once. Keys that were not read are unknown.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from streamsed.config.settings import parse_toml, shortened, toml_text
from streamsed.serve.settings.toml_lines import KeyPath, key_lines

MAX_BYTES = 1_000_000
Value = TypeVar("Value")
Default = TypeVar("Default")


class Mistake(NamedTuple):
    """A mistake in a settings file.

    Parameters
    ----------
    path : Path
        The file.
    line : int
        Counted from 1; 0 for the whole file.
    text : str
        The key, what is wrong, and what to do.
    """

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        at = f":{self.line}" if self.line else ""
        return f"{self.path}{at}: {self.text}"


class SettingsError(ValueError):
    """A settings file has mistakes.

    Parameters
    ----------
    mistakes : list of Mistake
        At least one.
    """

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = sorted(mistakes, key=lambda mistake: mistake.line)
        more = len(mistakes) - 1
        rest = f" (and {more} more; --check lists them)" if more else ""
        super().__init__(f"{self.mistakes[0]}{rest}")


class TomlTable:
    """A table of a file, whose values are read once.

    Parameters
    ----------
    values : mapping
        As parsed by tomllib.
    at : tuple
        Path of keys and indices from the top of the file.
    file : Path
        Path, for messages.
    lines : mapping
        See `key_lines`.
    mistakes : list of Mistake
        Shared by all tables of the file; modified in place.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        at: KeyPath,
        *,
        file: Path,
        lines: Mapping[KeyPath, int],
        mistakes: list[Mistake],
    ) -> None:
        self._values: dict[str, tuple[str, Any]] = {}
        self._at = at
        self._file = file
        self._lines = lines
        self._known: list[str] = []
        self.mistakes = mistakes
        for spelt, value in values.items():
            key = spelt.replace("-", "_")
            if key in self._values:
                self.add_mistake(
                    f"{spelt} is given twice, with - and with _; remove one", spelt
                )
            self._values[key] = (spelt, value)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def take(
        self, key: str, convert: Callable[[Any], Value], default: Default
    ) -> Value | Default:
        """Return the converted value, or `default` if it is missing or invalid.

        Parameters
        ----------
        key : str
            With underscores; the file may have hyphens.
        convert : callable
            Returns the converted value, or raises ValueError with a message to put after the
            key and value.
        default : object
            Returned instead.
        """
        self._known.append(key)
        if key not in self._values:
            return default
        spelt, value = self._values[key]
        try:
            return convert(value)
        except ValueError as error:
            self.add_mistake(f"{self._shown(spelt, value)} {error}", spelt)
            return default

    def require(self, key: str, why: str) -> None:
        """Note a mistake if a key is missing."""
        if key not in self._values:
            self.add_mistake(f"{key} is missing; {why}")

    def add_mistake(self, text: str, key: str = "") -> None:
        """Note a mistake at a key of this table, or at its header."""
        spelt = self._values[key][0] if key in self._values else key
        at = (*self._at, spelt) if key else self._at
        while at and at not in self._lines:
            at = at[:-1]
        self.mistakes.append(Mistake(self._file, self._lines.get(at, 0), text))

    def table(self, key: str) -> TomlTable | None:
        """Return a table, or None if the file does not have it."""
        self._known.append(key)
        spelt, value = self._values.get(key, (key, None))
        if value is None:
            return None
        if not isinstance(value, dict):
            self.add_mistake(f"{key} must be a table, written [{key}]", spelt)
            return None
        return self._inner(value, (*self._at, spelt))

    def tables(self, key: str) -> list[TomlTable]:
        """Return the tables of an array of tables, in order."""
        self._known.append(key)
        spelt, value = self._values.get(key, (key, []))
        if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
            self.add_mistake(
                f"{key} must be an array of tables, written [[{key}]]", spelt
            )
            return []
        return [
            self._inner(each, (*self._at, spelt, index))
            for index, each in enumerate(value)
        ]

    def finish(self, *, skip: tuple[str, ...] = ()) -> None:
        """Note all keys that were not read, except those in `skip`."""
        for key, (spelt, _) in self._values.items():
            if key not in self._known and key not in skip:
                near = difflib.get_close_matches(key, self._known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else "remove it"
                self.add_mistake(
                    f"{shortened(spelt)!r} is not a setting; {hint}", spelt
                )

    def _inner(self, values: Mapping[str, Any], at: KeyPath) -> TomlTable:
        return TomlTable(
            values, at, file=self._file, lines=self._lines, mistakes=self.mistakes
        )

    def _shown(self, spelt: str, value: Any) -> str:
        """Return a key with its value, unless the value may be secret."""
        secret = isinstance(value, str) and "://" in value
        return spelt if secret else f"{spelt}={shortened(repr(value))}"


def read_toml(path: Path) -> TomlTable:
    """Return the top table of a file.

    Raises
    ------
    OSError
        It cannot be read.
    SettingsError
        It is not TOML.
    """
    with path.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise SettingsError([Mistake(path, 0, f"too large; at most {MAX_BYTES} bytes")])
    try:
        text = toml_text(data)
        values = parse_toml(text)
    except RecursionError:
        reason = "nested too deeply"
        raise SettingsError([Mistake(path, 0, reason)]) from None
    except ValueError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else 0
        reason = f"not valid TOML: {error}"
        raise SettingsError([Mistake(path, line, reason)]) from None
    return TomlTable(values, (), file=path, lines=key_lines(text), mistakes=[])
