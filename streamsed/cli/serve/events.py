"""`streamsed events`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streamsed.serve.store.reader import Choice, StoreReader

FORMATS = ("table", "csv", "jsonl", "parquet")
FOREIGN = ("json", "ods", "tsv", "xls", "xlsx")
"""Suffixes of formats that are not written; a table of text would not open by such a name."""
NEWEST = 1000
"""Maximum number of events in a table."""
SQLITE = b"SQLite format 3"
"""How a store begins."""


def events(
    settings: Annotated[
        Path | None,
        typer.Argument(
            metavar="[HOME.TOML]",
            help="Settings file of `streamsed serve` with a [store].",
            show_default=False,
        ),
    ] = None,
    *,
    store: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read this store, without a settings file."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="Start of the time: 24h, 7d, today, yesterday, 2026-11-26 or "
            "2026-11-26T07:30.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="End of the time, as for --since."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only events of this label; repeatable."),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only events of this source; repeatable."),
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="|".join(FORMATS),
            help="Format. [default: by the suffix of --output, else table]",
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
) -> None:
    """List the events that `streamsed serve` stored, and their rates per hour listened."""
    from streamsed.atomic_write import check_not_read
    from streamsed.serve.store.reader import StoreReader

    if (settings is None) == (store is None):
        raise ValueError("give either HOME.TOML or --store FILE")
    file_format = _format(format_name, output)
    path = store if store is not None else _store_of(settings or Path())
    check_not_read(output, [path] if settings is None else [path, settings])
    with StoreReader(path) as reader:
        choice = _choice(reader, since, until, label or [], source or [])
        if file_format == "table":
            _show(reader, choice, output)
        else:
            _export(reader, choice, file_format, output)


def _format(name: str | None, output: Path | None) -> str:
    if name is None:
        suffix = "" if output is None else output.suffix.lower().removeprefix(".")
        if suffix in FOREIGN:
            raise ValueError(
                f"--output {output}: .{suffix} is not among the formats; its name may end with "
                ".csv, .jsonl, .parquet or, for the table, .txt"
            )
        return suffix if suffix in FORMATS else "table"
    if name not in FORMATS:
        raise ValueError(f"--format must be one of {', '.join(FORMATS)}, not {name!r}")
    if name == "parquet" and output is None:
        raise ValueError("--format parquet needs --output FILE")
    return name


def _store_of(settings: Path) -> Path:
    """Return the path of the store in a settings file, ignoring its other tables."""
    from streamsed.serve.settings.outputs import read_store
    from streamsed.serve.settings.toml_table import SettingsError, read_toml

    with settings.open("rb") as stream:
        if stream.read(len(SQLITE)) == SQLITE:
            raise ValueError(
                f"{settings}: is a store, not a settings file; give --store {settings}"
            )
    top = read_toml(settings)
    table = top.table("store")
    found = None if table is None else read_store(table)
    if top.mistakes:
        raise SettingsError(top.mistakes)
    if found is None:
        raise ValueError(f"{settings}: no [store]; add one, or give --store FILE")
    return found.path


def _choice(
    reader: StoreReader,
    since: str | None,
    until: str | None,
    labels: list[str],
    sources: list[str],
) -> Choice:
    from dataclasses import replace
    from datetime import datetime

    from streamsed.label_names import match_label
    from streamsed.serve.store.moments import read_moment
    from streamsed.serve.store.reader import Choice

    now = datetime.now().astimezone()
    choice = Choice()
    if since is not None:
        choice = replace(choice, since=read_moment(since, option="--since", now=now))
    if until is not None:
        choice = replace(choice, until=read_moment(until, option="--until", now=now))
    if choice.since >= choice.until:
        raise ValueError(f"--until must be later than --since {since}, not {until}")
    known = reader.labels()
    if known:
        labels = [match_label(name, known, option="--label") for name in labels]
    names = reader.sources()
    for name in sources:
        if name not in names:
            listed = ", ".join(names) or "none yet"
            raise ValueError(
                f"--source: unknown source {name[:60]!r}; sources: {listed}"
            )
    return replace(choice, labels=labels, sources=sources)


def _export(
    reader: StoreReader, choice: Choice, file_format: str, output: Path | None
) -> None:
    from streamsed.atomic_write import write
    from streamsed.serve.store.export import csv_lines, json_lines, write_parquet
    from streamsed.terminal import print_lines

    found = reader.events(choice)
    if file_format == "parquet" and output is not None:
        write_parquet(output, found)
        return
    lines = csv_lines(found) if file_format == "csv" else json_lines(found)
    if output is not None:
        write(output, lines)
    else:
        print_lines(lines)


def _show(reader: StoreReader, choice: Choice, output: Path | None) -> None:
    import io
    from collections import Counter

    from rich.console import Console

    from streamsed.atomic_write import write
    from streamsed.serve.store.table import events_table

    counts: Counter[str] = Counter()
    for each in reader.counts(choice):
        counts[each.label] += each.n_events
    hours = reader.listened(choice)
    newest = list(reader.events(choice, newest=NEWEST))[::-1]
    shown = events_table(
        newest,
        counts,
        listened=sum(hour.heard for hour in hours),
        lost=sum(hour.lost for hour in hours),
    )
    if output is None:
        Console(highlight=False).print(shown)
        return
    wide = Console(width=160, record=True, file=io.StringIO())
    wide.print(shown)
    write(output, [wide.export_text()])
