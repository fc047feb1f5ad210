"""A report as a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from streamsed.report.log import ListeningLog
from streamsed.report.tally import Tally, hours_of, tallies
from streamsed.terminal import counted, printable

BARS = " ▁▂▃▄▅▆▇█"
WIDE = 115
"""Minimum width of a terminal for all columns."""
LABEL_WIDTH = 32
"""Columns of a label at most; a longer one would leave no room for the numbers."""
MAX_HOURS = 24
"""Maximum number of bars; in a longer log, each covers several hours."""


def page(log: ListeningLog, width: int) -> RenderableType:
    """Return a table of how often and how long each label occurred, and in which hours.

    Parameters
    ----------
    log : ListeningLog
        The log.
    width : int
        Columns of the terminal; a narrow one shows fewer columns.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("label", no_wrap=True, max_width=LABEL_WIDTH)
    for head in ("events", "per hour", "duration"):
        table.add_column(head, justify="right", no_wrap=True)
    if is_wide := width >= WIDE:
        for head in ("median", "score", "first", "last"):
            table.add_column(head, justify="right", no_wrap=True)
    table.add_column(_hours_head(log), no_wrap=True)
    for each in tallies(log):
        table.add_row(*_row(each, is_wide=is_wide))
    return Group(Text(_head(log)), Text(), table)


def _row(each: Tally, *, is_wide: bool) -> list[Text | str]:
    cells: list[Text | str] = [Text(printable(each.label)), str(each.n_events)]
    cells += [f"{each.per_hour:.1f}", duration(each.seconds)]
    if is_wide:
        cells += [duration(each.median), f"{each.score:.2f}"]
        cells += [clock(each.first), clock(each.last)]
    return [*cells, sparkline(each.by_hour)]


def _head(log: ListeningLog) -> str:
    """Return the times with sound, and what was lost or skipped."""
    if not log.listened:
        return "nothing was recorded"
    start, stop = log.listened[0][0], log.listened[-1][1]
    recorded = log.seconds_listened
    words = f"{clock(start)} to {clock(stop)}: listened for {duration(recorded)}"
    if missing := round(stop - start - recorded):
        words += f", not for {duration(missing)}"
    if log.n_runs > 1:
        words += f", in {log.n_runs} runs"
    if log.n_left_out:
        words += f"; {counted(log.n_left_out, 'invalid line')}"
    return words if log.events else f"{words}; no events"


def _hours_head(log: ListeningLog) -> str:
    hours = hours_of(log)
    if not hours:
        return ""
    first = datetime.fromtimestamp(hours[0]).astimezone()
    last = datetime.fromtimestamp(hours[-1]).astimezone()
    return f"hours {first:%H} to {last:%H}"


def sparkline(counts: Sequence[int]) -> str:
    """Draw counts as bars, scaled to the largest.

    Examples
    --------
    >>> sparkline([0, 1, 8, 4])
    ' ▁█▄'
    """
    together = -(-len(counts) // MAX_HOURS)
    sums = [sum(counts[i : i + together]) for i in range(0, len(counts), together or 1)]
    most = max(sums, default=0) or 1
    return "".join(BARS[-(-8 * each // most)] for each in sums)


def duration(seconds: float) -> str:
    """Format a duration for people.

    Examples
    --------
    >>> duration(4.25), duration(150), duration(30000)
    ('4.2 s', '2 min 30 s', '8 h 20 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def clock(seconds: float) -> str:
    """Format a clock time in the local time zone, with its day."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%d %b %H:%M:%S")
