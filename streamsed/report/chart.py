"""Plot a report: when each label occurred, and when nothing was recorded."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from streamsed.config.settings import shortened
from streamsed.plots.picture_file import new_figure, save_figure
from streamsed.report.log import ListeningLog
from streamsed.report.page import duration
from streamsed.report.tally import tallies

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 12.0
"""Inches."""
THINNEST = 1 / 700
"""Minimum width of an event, as a share of the whole width."""
DAY = 86400.0


def plot_report(path: Path, log: ListeningLog) -> None:
    """Plot a lane per label against the time of day, as a picture; see `streamsed.plots.picture_file`.

    Raises
    ------
    OSError
        The plot cannot be written.
    ModuleNotFoundError
        matplotlib is not installed.
    ValueError
        The log has no time of listening.
    """
    if not log.listened:
        raise ValueError("--plot: the log has no time of listening to draw")
    n_labels = max(1, len(tallies(log)))
    figure = new_figure(WIDTH, 1.3 + 0.38 * n_labels)
    axes = figure.subplots()
    _draw_lanes(axes, log)
    _draw_clock(axes, log)
    save_figure(figure, path)


def _draw_lanes(axes: Axes, log: ListeningLog) -> None:
    start, stop = log.listened[0][0], log.listened[-1][1]
    thinnest = (stop - start) * THINNEST
    found = tallies(log)
    for lane, each in enumerate(found):
        bars = [
            (event.onset - start, max(event.duration, thinnest))
            for event in log.events
            if event.label == each.label
        ]
        axes.broken_barh(bars, (lane - 0.36, 0.72), color="tab:blue", lw=0)
        says = (
            f" {each.n_events} ({each.per_hour:.1f} per hour), {duration(each.seconds)}"
        )
        axes.text(1.0, lane, says, transform=axes.get_yaxis_transform(), va="center",
                  fontsize=9)  # fmt: skip
    silent = zip(log.listened, log.listened[1:], strict=False)
    for (_, left), (back, _) in silent:
        axes.axvspan(left - start, back - start, color="0.85", lw=0)
    axes.set_yticks(range(len(found)))
    axes.set_yticklabels([shortened(each.label) for each in found], parse_math=False)
    axes.set(xlim=(0, stop - start), ylim=(max(1, len(found)) - 0.5, -0.5))


def _draw_clock(axes: Axes, log: ListeningLog) -> None:
    """Label the axis with round clock times."""
    start, stop = log.listened[0][0], log.listened[-1][1]
    steps = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 10800, 21600, 43200, DAY)
    step = next((s for s in steps if (stop - start) / s <= 12), 7 * DAY)
    began = datetime.fromtimestamp(start).astimezone()
    midnight = began.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    first = midnight + -(-(start - midnight) // step) * step
    ticks = [first + i * step for i in range(int((stop - first) // step) + 1)]
    form = "%H:%M:%S" if step < 60 else "%H:%M" if step < DAY else "%d %b"
    axes.set_xticks([tick - start for tick in ticks])
    axes.set_xticklabels(
        [datetime.fromtimestamp(tick).astimezone().strftime(form) for tick in ticks]
    )
    recorded = duration(log.seconds_listened)
    axes.set_title(
        f"{began:%d %B %Y}, {recorded} listened; grey: not listening", loc="left"
    )
