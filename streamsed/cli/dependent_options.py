"""Options that have an effect only together with another one are refused without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from typer.core import TyperCommand

NEEDED: Mapping[str, Mapping[str, Sequence[str]]] = {
    "file": {"--plot": ("--from", "--to", "--theme")},
    "listen": {
        "--stdin": ("--rate", "--channels", "--encoding"),
        "--file": ("--pace",),
        "--log": ("--log-rotate",),
        "--exec": ("--exec-on", "--cooldown", "--exec-timeout"),
        "--save-clips": ("--clips-limit", "--clips-days", "--save-speech"),
    },
}
"""By command: an option, and those that need it."""

EXCLUDED: Mapping[str, Mapping[str, Sequence[str]]] = {
    "listen": {
        "--stdin": ("--file", "--device", "--wait"),
        "--file": ("--device", "--wait"),
    },
}
"""By command: an option, and those that it cannot be combined with."""


class DependentOptions(TyperCommand):
    """A command that refuses options which would have no effect.

    Only options of the command line are refused: a settings file may have them all.
    """

    def invoke(self, ctx: Any) -> Any:
        """Check the options and run the command."""
        given = self._given(ctx)
        for option, others in EXCLUDED.get(str(ctx.info_name), {}).items():
            for other in others:
                if option in given and other in given:
                    raise ValueError(
                        f"{option} and {other} cannot be combined; choose one"
                    )
        for needed, others in NEEDED.get(str(ctx.info_name), {}).items():
            for other in others:
                if other in given and not self._is_set(ctx, needed):
                    raise ValueError(f"{other} needs {needed}")
        return super().invoke(ctx)

    def _given(self, ctx: Any) -> set[str]:
        """Return the options of the command line."""
        return {
            name
            for each in self.params
            if ctx.get_parameter_source(each.name).name == "COMMANDLINE"
            for name in each.opts
        }

    def _is_set(self, ctx: Any, option: str) -> bool:
        """Return whether an option has a value, from any source."""
        return any(
            bool(ctx.params.get(each.name))
            for each in self.params
            if option in each.opts
        )
