"""Ctrl-C, passed on to who runs the commands: typer would end without a word."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class Interruption(Exception):  # noqa: N818 - no more an error than KeyboardInterrupt
    """A command was interrupted."""


class Interruptible(TyperGroup):
    """Commands that raise `Interruption` when they are interrupted."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interruption from error
