"""Which options of which commands are settings, and where in a file they stand."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple, get_args, get_origin

SECTIONS = ("listen", "file", "corpus")
"""Commands that take settings from a file."""

APART = frozenset({"device", "format", "step", "file"})
"""Options that have another meaning in each command, and belong in its section."""

APART_FROM = {"corpus": frozenset({"engine"})}
"""Options that mean something else in one command than in the others."""


class Option(NamedTuple):
    """An option of a command, as a setting.

    Parameters
    ----------
    parameter : str
        Its name in the code.
    kind : type
        bool, int, float, list (of numbers or texts, or by label) or str.
    help : str
        What it does.
    """

    parameter: str
    kind: type
    help: str


def options_of(command: Any) -> dict[str, Option]:
    """Return the options of a command by their names in a settings file."""
    signature = inspect.signature(command.callback, eval_str=True)
    options = {}
    for param in command.params:
        names = [name[2:] for name in param.opts if name.startswith("--")]
        if names and names[0] not in ("help", "settings"):
            hint = signature.parameters[param.name].annotation.__origin__
            kinds = {get_origin(each) or each for each in get_args(hint) or (hint,)}
            kind = next((k for k in (bool, int, float, list) if k in kinds), str)
            if get_origin(hint) is list:
                kind = list
            options[names[0]] = Option(param.name, kind, param.help or "")
    return options


def command_of(section: str, commands: Mapping[str, Any]) -> Any:
    """Return the command that a section is for; `corpus` is a group that runs by default."""
    command = commands[section]
    return getattr(command, "commands", {}).get("run", command)


def shared_options(commands: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return for each section the options that it shares with others: those of `listen`.

    They stand at the top of a file.
    """
    schema = {each: options_of(command_of(each, commands)) for each in SECTIONS}
    common = [name for name in schema["listen"] if name in schema["file"]]
    return {
        section: [
            name
            for name in common
            if name in options
            and name not in APART
            and name not in APART_FROM.get(section, ())
        ]
        for section, options in schema.items()
    }
