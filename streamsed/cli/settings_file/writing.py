"""Write settings as a file that is read back, with a comment for each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from streamsed.cli.settings_file.schema import (
    SECTIONS,
    Option,
    command_of,
    options_of,
    shared_options,
)


def write_settings(values: Mapping[str, Mapping[str, Any]], commands: Any) -> str:
    """Return settings as the text of a file that `read_settings` reads back.

    Parameters
    ----------
    values : mapping
        For each of `SECTIONS`, the values of its parameters.
    commands : mapping
        The program's commands by name.

    Raises
    ------
    ValueError
        A value is a file name that is not valid text.
    """
    schema = {each: options_of(command_of(each, commands)) for each in SECTIONS}
    sharing = shared_options(commands)
    first = SECTIONS[0]
    lines = [
        line
        for name in sharing[first]
        for line in _lines(name, schema[first][name], values[first])
    ]
    for section in SECTIONS:
        lines.append(f"\n[{section}]")
        for name, option in schema[section].items():
            if name not in sharing[section]:
                lines += _lines(name, option, values[section])
    return "\n".join(lines) + "\n"


def _lines(name: str, option: Option, values: Mapping[str, Any]) -> Iterator[str]:
    value = values.get(option.parameter)
    yield f"# {' '.join(option.help.split())}"
    if value is None or value in ([], ()):
        yield f"# {name} ="
    else:
        yield f"{name} = {_toml(name, value)}"


def _toml(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(name, each) for each in value)}]"
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"--{name}: {text!r} is not valid UTF-8, so a settings file cannot contain it"
        ) from None
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
