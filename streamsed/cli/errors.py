"""How errors and Ctrl-C end a command: one line, in terms of options and files.

The library names the argument and its value, as in ``step=0 must be positive (in
seconds)``. A user of the command line gave an option, so the message becomes ``--step must
be positive (in seconds), not 0``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from streamsed.cli.command_list import CommandList
from streamsed.terminal import reason_of

OPTIONS = {
    "step": "--step",
    "latency": "--latency",
    "settle": "--settle",
    "onset_threshold": "--threshold",
    "rise_threshold": "--rise-threshold",
    "offset_threshold": "--offset-threshold",
    "min_gap": "--min-gap",
    "min_duration": "--min-duration",
    "smoothing": "--smoothing",
    "onset_search": "--onset-search",
    "device": "--device",
    "engine": "--engine",
    "precision": "--precision",
    "threads": "--threads",
    "rounds": "--rounds",
    "model": "--model",
}
"""The options that set arguments of the library."""

_ARGUMENT = re.compile(r"(\w+)(| of [^=]*)=(.*?) must be ([^;]*)(.*)", re.DOTALL)
_FIRST = re.compile(r"^(\w+)=([^\s:]+)")
_OTHER = re.compile(r"\b(\w+)=(\S+)")


def error_message(error: Exception, options: Mapping[str, str] = OPTIONS) -> str:
    """Return the one line that is printed of an error that the user can correct.

    Parameters
    ----------
    error : Exception
        Of the library.
    options : mapping
        The options that set the library's arguments.

    Examples
    --------
    >>> error_message(ValueError("step=0 must be positive (in seconds)"))
    '--step must be positive (in seconds), not 0'
    >>> error_message(ValueError("latency=1 must be at least step=2 (in seconds)"))
    '--latency must be at least --step 2 (in seconds), not 1'
    >>> error_message(ValueError("device=cuda: torch finds no CUDA device"))
    '--device cuda: torch finds no CUDA device'
    >>> error_message(PermissionError(13, "Permission denied", "/events.csv"))
    '/events.csv: permission denied'
    """
    message = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        if error.filename is None:
            return f"the output could not be written completely ({error.strerror})"
        return f"{error.filename}: {reason_of(error)}"

    def named(found: re.Match[str]) -> str:
        option = options.get(found[1])
        return found[0] if option is None else f"{option} {found[2]}"

    found = _ARGUMENT.fullmatch(message)
    if found is None or found[1] not in options:
        return _FIRST.sub(named, message)
    name, label, value, rule, rest = found.groups()
    return (
        f"{options[name]}{label} must be {_OTHER.sub(named, rule)}, not {value}{rest}"
    )


class Interruption(Exception):  # noqa: N818 - not an error, as KeyboardInterrupt
    """A command was interrupted; typer would exit without a message."""


class Interruptible(CommandList):
    """Commands that raise `Interruption` when they are interrupted."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interruption from error
