"""`streamsed serve`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def serve(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="HOME.TOML", help="Settings file: sources, outputs and detection."
        ),
    ],
    *,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Only check the file, and that its outputs can be written; print all "
            "mistakes.",
        ),
    ] = False,
) -> int:
    """Detect events in many sources day and night, with a settings file.

    Sources are cameras and network radios (read by ffmpeg), microphones, files and pipes.
    Events are written to a log and a store, sent to Home Assistant by MQTT and to other
    programs, and shown on a web page. A source that is lost is reconnected. SIGHUP reloads
    the file, SIGTERM ends the program; see docs/at-home.md.
    """
    from streamsed.serve.job import ServeJob

    job = ServeJob(path)
    if check:
        return job.check()
    code = job.run()
    # Everything is closed. The interpreter's own shutdown takes a second, and several on a
    # small machine, while the sender of the signal waits.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
