"""The list of commands in a help: a whole sentence for each."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

ANY_LENGTH = 1000


class CommandList(TyperGroup):
    """Commands whose summaries are wrapped in the help, where typer cuts them off."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each command with the first sentence of its help."""
        rows = [
            (name, self.commands[name].get_short_help_str(ANY_LENGTH))
            for name in self.list_commands(ctx)
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
