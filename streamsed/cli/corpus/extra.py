"""What corpora need beside the rest, and the options that reading them shares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

OutArgument = Annotated[
    Path, typer.Argument(metavar="OUT", help="What `streamsed corpus -o` wrote.")
]
MinScoreOption = Annotated[
    float, typer.Option(metavar="S", help="Only events of at least this score.")
]


def need_extra() -> None:
    """Say what to install before an import says less."""
    from importlib.util import find_spec

    if find_spec("pyarrow") is None or find_spec("fsspec") is None:
        raise ModuleNotFoundError(
            "corpora need pyarrow and fsspec: pip install 'streamsed[corpus]'"
        )
