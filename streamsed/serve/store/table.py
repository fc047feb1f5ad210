"""Table of events of a store for the terminal, with rates of labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from streamsed.report.page import duration
from streamsed.serve.store.stored import StoredEvent
from streamsed.terminal import printable

HOUR = 3600.0


def events_table(
    events: Sequence[StoredEvent],
    counts: Mapping[str, int],
    *,
    listened: float,
    lost: float,
) -> RenderableType:
    """Show events, and the rates of their labels per hour listened.

    Parameters
    ----------
    events : sequence of StoredEvent
        Events to list.
    counts : mapping
        Number of all selected events by label.
    listened, lost : float
        Selected seconds with and without sound, of all selected sources.
    """
    table = Table(box=None, pad_edge=False)
    for head in ("when", "source", "label"):
        table.add_column(head, no_wrap=True)
    for head in ("duration", "score"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("")
    for event in events:
        when = datetime.fromtimestamp(event.onset).astimezone()
        table.add_row(
            f"{when:%Y-%m-%d %H:%M:%S}",
            Text(printable(event.source)),
            Text(printable(event.label)),
            "" if event.duration is None else duration(event.duration),
            f"{event.score:.2f}",
            "" if event.state == "closed" else event.state,
        )
    total = sum(counts.values())
    parts: list[RenderableType] = [table, Text()] if events else []
    if total > len(events):
        parts += [
            Text(f"the newest {len(events)} of {total} events; --format csv lists all")
        ]
    parts.append(Text(_summary(listened, lost)))
    if counts:
        parts += [Text(), _rates(Counter(counts), listened)]
    return Group(*parts)


def _summary(listened: float, lost: float) -> str:
    words = f"listened for {duration(listened)}"
    return f"{words}, {duration(lost)} lost" if lost >= 0.05 else words


def _rates(counts: Counter[str], listened: float) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("label", no_wrap=True)
    table.add_column("events", justify="right", no_wrap=True)
    table.add_column("per hour", justify="right", no_wrap=True)
    for label, count in counts.most_common():
        rate = f"{count * HOUR / listened:.2f}" if listened else ""
        table.add_row(Text(printable(label)), str(count), rate)
    return table
