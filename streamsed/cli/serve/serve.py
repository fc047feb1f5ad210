"""`streamsed serve`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def serve(
    path: Annotated[
        Path, typer.Argument(metavar="TOML", help="Sources, outputs and settings.")
    ],
    *,
    check: Annotated[
        bool,
        typer.Option("--check", help="Name every mistake in the file with its line."),
    ] = False,
) -> int:
    """Detect events in many sources day and night, with a settings file.

    Cameras and radios on the network (by ffmpeg), microphones, files and pipes; their
    events go into a log and a store, to Home Assistant by MQTT, to other programs, and
    onto a page. A source that is lost is reconnected. SIGHUP reads the file
    again, SIGTERM closes what is open; see docs/at-home.md.
    """
    from streamsed.serve.job import ServeJob

    job = ServeJob(path)
    if check:
        return job.check()
    code = job.run()
    # All is closed. The interpreter would take a second to take itself apart, and several
    # on a small machine, while the sender of the signal waits.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
