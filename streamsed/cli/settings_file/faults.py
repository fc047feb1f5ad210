"""Errors of a command, in terms of the settings file that a wrong value came from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from streamsed.cli.errors import error_message
from streamsed.cli.settings_file.reading import read_toml

_OPTION = re.compile(r"--[a-z][a-z0-9-]*")


def fault_of_file(error: Exception, context: Any) -> str:
    """Return what is wrong with a settings file, if an error is about a value from it.

    Parameters
    ----------
    error : Exception
        Why a command could not do its work.
    context : click.Context
        The command's, with its options and where their values come from.

    Returns
    -------
    str
        The error, with the file and names of its settings instead of options; empty if it
        is about none of them.
    """
    path = context.params.get("settings")
    if not isinstance(path, Path):
        return ""
    given = {
        max(each.opts, key=len): context.params.get(each.name)
        for each in context.command.params
        if getattr(context.get_parameter_source(each.name), "name", "") == "DEFAULT_MAP"
    }
    message = error_message(error)
    for option, value in given.items():  # a file that it names, such as the model
        if isinstance(value, str | Path) and message.startswith(f"{value}: "):
            message = f"{option}: {message}"
    named = [each for each in _OPTION.findall(message) if each in given]
    if not named:
        return ""
    if not message.startswith(named[0]):
        names = ", ".join(dict.fromkeys(each[2:] for each in named))
        return f"{message} ({path} sets {names})"
    place = f"{path}:"
    table = _table(context)
    if named[0][2:] in _own_names(path, table):
        place += f" [{table}]"
    return (
        f"{place} {_OPTION.sub(lambda m: m[0][2:] if m[0] in given else m[0], message)}"
    )


def _table(context: Any) -> str:
    """Return the table of a command in the file: the name of its group, if it has one."""
    while context.parent is not None and context.parent.parent is not None:
        context = context.parent
    return str(context.info_name)


def _own_names(path: Path, table: str) -> set[str]:
    """Return the names, with hyphens, in a command's own table of a file."""
    own = read_toml(path).get(table)
    return {key.replace("_", "-") for key in own} if isinstance(own, dict) else set()
