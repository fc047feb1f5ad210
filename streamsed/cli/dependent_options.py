"""Options that would have no effect are refused: they need another one, or exclude it.

So are empty values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

from typer.core import TyperCommand

from streamsed.cli.settings_file import fault_of_file

OptionRules = Mapping[str, Mapping[str, Sequence[str]]]
"""By command: an option, or several with "or", and those that it concerns.

An option may stand with a value, as in `--step auto`; an argument is called by its name in
the help, such as `PATH`.
"""

NEEDED: OptionRules = {
    "file": {"--plot": ("--from", "--to", "--theme")},
    "listen": {
        "--stdin": ("--rate", "--channels", "--encoding"),
        "--file": ("--pace",),
        "--step auto": ("--max-load",),
        "--log": ("--log-rotate",),
        "--exec": ("--exec-on", "--cooldown", "--exec-timeout"),
        "--save-clips": ("--clips-limit", "--clips-days", "--save-speech"),
    },
    "calibrate": {"PATH": ("--recursive",), "--output": ("--overwrite",)},
    "corpus run": {
        "--engine ray": ("--ray-address",),
        "--engine local": ("--part-every",),
    },
}
"""What needs the option."""

EXCLUDED: OptionRules = {
    "file": {"--device cuda": ("--threads",)},
    "listen": {
        "--stdin": ("--file", "--device", "--wait"),
        "--file": ("--device", "--channel", "--wait"),
    },
    "corpus run": {"--dry-run": ("--engine ray", "--part-every")},
}
"""What cannot be combined with the option."""


class DependentOptions(TyperCommand):
    """A command that refuses options which would have no effect.

    Only options of the command line are refused: a settings file may have them all.
    """

    needed: ClassVar[OptionRules] = NEEDED
    excluded: ClassVar[OptionRules] = EXCLUDED

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse empty values, as of an unset variable; `Path("")` is the folder "."."""
        for before, each in pairwise(["", *args]):
            if not each and not ctx.resilient_parsing:
                what = before if before.startswith("-") else "an argument"
                raise ValueError(f"{what} must not be empty")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Check the options and run the command; an error names the file of a value."""
        for option, other in _pairs(self.excluded, ctx):
            if self._is_given(ctx, other) and self._is_set(ctx, option):
                where = "" if self._is_given(ctx, option) else " of the settings file"
                raise ValueError(
                    f"{option}{where} and {other} cannot be combined; choose one"
                )
        for needed, other in _pairs(self.needed, ctx):
            choices = re.split(", | or ", needed)
            if self._is_given(ctx, other) and not any(
                self._is_set(ctx, each) for each in choices
            ):
                raise ValueError(f"{other} needs {needed}")
        try:
            return super().invoke(ctx)
        except (OSError, ValueError) as error:
            if fault := fault_of_file(error, ctx):
                raise ValueError(fault) from error
            raise

    def _is_given(self, ctx: Any, option: str) -> bool:
        """Return whether an option is on the command line, with its value if it has one."""
        source = ctx.get_parameter_source(self._parameter(option).name)
        return source.name == "COMMANDLINE" and self._is_set(ctx, option, empty=True)

    def _is_set(self, ctx: Any, option: str, *, empty: bool = False) -> bool:
        """Return whether an option has a value, from any source."""
        value = ctx.params.get(self._parameter(option).name)
        wanted = option.partition(" ")[2]
        return str(value) == wanted if wanted else empty or bool(value)

    def _parameter(self, option: str) -> Any:
        """Return the parameter of an option or argument; KeyError if there is none."""
        name = option.partition(" ")[0]
        for each in self.params:
            if name in each.opts or name == str(each.metavar).strip("[].{}"):
                return each
        raise KeyError(option)


def _pairs(rules: OptionRules, ctx: Any) -> Iterator[tuple[str, str]]:
    """Yield the rules of a command: each option with one that it concerns."""
    words: list[str] = []
    while ctx.parent is not None:
        words.insert(0, str(ctx.info_name))
        ctx = ctx.parent
    for option, others in rules.get(" ".join(words), {}).items():
        for other in others:
            yield option, other
