"""The group of commands; `run` is the default."""

from __future__ import annotations

from typing import Any

import typer

from streamsed.cli.command_list import CommandList
from streamsed.cli.corpus.export import export
from streamsed.cli.corpus.run import run
from streamsed.cli.corpus.search import search
from streamsed.cli.dependent_options import DependentOptions


class _RunByDefault(CommandList):
    """A group whose default command is `run`: `corpus INPUT...` is `corpus run INPUT...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert `run` where the first argument is not a command; without any, show help."""
        args = args or ["--help"]
        if args[0] not in (*self.commands, "--help", "-h"):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the options of `run` as well."""
        super().format_help(ctx, formatter)
        run = self.commands["run"]
        run.format_options(type(ctx)(run, info_name="run", parent=ctx), formatter)


corpus = typer.Typer(
    cls=_RunByDefault,
    rich_markup_mode=None,
    help="Detect events in any number of recordings and write tables (Parquet). "
    "`streamsed corpus INPUT... -o OUT` starts, or continues, a run with the options below.",
)

EXAMPLES = (
    (run, "streamsed corpus run recordings/ -o corpus/"),
    (export, "streamsed corpus export corpus/ -o dogs.csv --label Dog"),
    (search, "streamsed corpus search corpus/ -o clips/ --label Dog --limit 20"),
)
"""Commands, each with an example for its help."""

for command, example in EXAMPLES:
    corpus.command(cls=DependentOptions, epilog=f"Example: {example}")(command)
