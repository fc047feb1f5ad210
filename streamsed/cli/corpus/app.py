"""The group of commands: `run` is meant where none is named."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from streamsed.cli.corpus.export import export
from streamsed.cli.corpus.run import run
from streamsed.cli.corpus.search import search


class _RunByDefault(TyperGroup):
    """Commands of which `run` is meant where none is named: its inputs come first."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the command where an input stands."""
        if args and args[0] not in (*self.commands, "--help", "-h"):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the options of `run` too."""
        super().format_help(ctx, formatter)
        run = self.commands["run"]
        run.format_options(type(ctx)(run, info_name="run", parent=ctx), formatter)


corpus = typer.Typer(
    cls=_RunByDefault,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Detect in any number of recordings and write tables (Parquet). "
    "`streamsed corpus INPUT... -o OUT` runs, with the options below.",
)

for command in (run, export, search):
    corpus.command()(command)
