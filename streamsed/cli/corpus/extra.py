"""The packages that `corpus` needs, and the options that its subcommands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

OutArgument = Annotated[
    Path, typer.Argument(metavar="OUT", help="Folder that `streamsed corpus -o` wrote.")
]
MinScoreOption = Annotated[
    float, typer.Option(metavar="SCORE", help="Only events with at least this score.")
]


def need_extra() -> None:
    """Raise an error that gives the command to install what is missing."""
    from importlib.util import find_spec

    from streamsed.installation import install_command

    if find_spec("pyarrow") is None or find_spec("fsspec") is None:
        raise ModuleNotFoundError(
            f"corpus needs pyarrow and fsspec: {install_command('corpus')}"
        )
