"""`streamsed report`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated

import typer

FORMATS = ("table", "csv")


def report(
    logs: Annotated[
        list[Path],
        typer.Argument(
            metavar="LOG...",
            help="Logs of `streamsed listen --log`, oldest first.",
            show_default=False,
        ),
    ],
    *,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="table|csv",
            help="csv has one row per label and hour. [default: by the suffix of "
            "--output, else table]",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write to a file instead of printing.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also plot when each label occurred (.png, .svg or .pdf).",
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Report this label only; repeatable."),
    ] = None,
) -> None:
    """Summarize logs: which events occurred when, how often and how long, per hour."""
    from rich.console import Console

    from streamsed.atomic_write import check_not_read, write
    from streamsed.label_names import match_label
    from streamsed.plots.picture_file import check_picture
    from streamsed.report.log import read_logs
    from streamsed.report.tally import csv_lines
    from streamsed.terminal import print_lines

    if format_name is None:
        is_csv = output is not None and output.suffix.lower() == ".csv"
        format_name = "csv" if is_csv else "table"
    if format_name not in FORMATS:
        raise ValueError(
            f"--format must be {' or '.join(FORMATS)}, not {format_name!r}"
        )
    if plot is not None:
        check_picture(plot)
    check_not_read(output, logs)
    log = read_logs(logs)
    if label:
        known = sorted({event.label for event in log.events})
        if not known:
            raise ValueError("--label: the log has no events")
        chosen = {match_label(name, known, option="--label") for name in label}
        log.events = [event for event in log.events if event.label in chosen]
    if plot is not None:
        from streamsed.report.chart import plot_report

        plot_report(plot, log)
    if format_name == "csv" and output is not None:
        write(output, csv_lines(log))
    elif format_name == "csv":
        print_lines(csv_lines(log))
    else:
        from streamsed.report.page import page

        if output is None:
            console = Console(highlight=False)
            console.print(page(log, console.width))
            return
        wide = Console(width=160, record=True, file=io.StringIO())
        wide.print(page(log, wide.width))
        write(output, [wide.export_text()])
