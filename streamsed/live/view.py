"""The live terminal view: what is heard now, the last half minute, the latest events.

    microphone  44100 Hz   step 0.31 s  latency 1.0 s   load 12 %   lost 0.0 s     1:23:45
    level  ──────────────────────────────                         -18 dB
    Dog              ░░▒▓████░░                          ░▓██████                   0.93
    Speech                        ▒▓▓▓██████████▓▓░                                 0.02
    ...
       1:23:36.25  0.86 s  0.91  Dog

It lives on the terminal's alternate screen, is redrawn a few times a second by the
listening loop itself, fits whatever size the terminal has, and leaves nothing behind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Self

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from streamsed.events import Event
from streamsed.live.snapshot import Snapshot
from streamsed.live.summary import Summary
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.terminal import printable

SPAN = 30.0
"""Seconds that the lanes show."""
FLOOR = 60.0
"""dB below full scale at which the level meter is empty."""
SHADES = " ░▒▓█"


class LiveView:
    """Draw snapshots on a terminal's alternate screen.

    Parameters
    ----------
    console : Console
        A terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, screen=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, snapshot: Snapshot) -> None:
        """Draw a snapshot."""
        self._live.update(picture(snapshot, self._console.size), refresh=True)


def picture(snapshot: Snapshot, size: tuple[int, int]) -> RenderableType:
    """Return the whole view of a snapshot.

    Parameters
    ----------
    snapshot : Snapshot
        What to show.
    size : (int, int)
        Columns and lines.
    """
    width, height = size
    lines = [_status(snapshot), _level(snapshot.peak, width)]
    lines += _lanes(snapshot, width)
    room = height - len(lines) - 1
    lines += _latest(snapshot.events, room)
    lines += [Text()] * (height - len(lines) - 1)
    lines.append(Text(printable(snapshot.notice), style="yellow"))
    for line in lines:
        line.no_wrap = True
        line.truncate(width)
    return Group(*lines[:height])


def _status(snapshot: Snapshot) -> Text:
    lost = snapshot.lost
    return Text.assemble(
        (printable(snapshot.source), "bold"),
        f"  {snapshot.capture_rate} Hz  step {snapshot.step:.2f} s  latency "
        f"{snapshot.latency:.1f} s  ",
        (f"load {snapshot.load:.0%}", "red" if snapshot.load > 1 else ""),
        "  ",
        (f"lost {lost:.1f} s", "red" if lost else ""),
        f"  {_clock(snapshot.now)}",
    )


def _level(peak: float, width: int) -> Text:
    level = 20 * math.log10(max(peak, 1e-9))
    room = max(1, width - 24)
    filled = round(room * min(1.0, max(0.0, 1 + level / FLOOR)))
    shown = f" {level:6.1f} dB" if level > -99 else " silence"
    return Text.assemble(
        "level  ",
        ("━" * filled, "green"),
        ("─" * (room - filled), "dim"),
        shown,
        ("  CLIP" if peak >= 1 else "", "bold red"),
    )


def _lanes(snapshot: Snapshot, width: int) -> list[Text]:
    """Draw a lane per label: scores as shades, events as bars, the score now."""
    name_width = min(18, max(map(len, snapshot.labels)))
    n_cells = max(8, width - name_width - 7)
    scores = snapshot.scores
    if not len(scores):
        scores = np.zeros((1, len(snapshot.labels)), np.float32)
    edges = snapshot.now - SPAN + SPAN * np.arange(n_cells + 1) / n_cells
    frames = (edges - snapshot.scores_end) / snapshot.frame_duration
    frames = frames.astype(int) + len(scores)
    lines = []
    for label, column in zip(snapshot.labels, scores.T, strict=True):
        lane = Text(f"{label[:name_width]:{name_width}} ")
        bars = [each.event for each in snapshot.events if each.event.label == label]
        cells = []
        for cell in range(n_cells):
            first, last = frames[cell], max(frames[cell] + 1, frames[cell + 1])
            seen = column[max(0, first) : max(0, last)]
            shade = SHADES[round(float(seen.max()) * 4)] if len(seen) else " "
            on = _covered(bars, edges[cell], edges[cell + 1])
            cells.append(("█", "cyan") if on else (shade, "dim"))
        # Few long pieces are drawn much faster than many of one character.
        for style, alike in groupby(cells, key=lambda cell: cell[1]):
            lane.append("".join(shade for shade, _ in alike), style)
        lane.append(f" {column[-1]:5.2f}", "bold" if column[-1] >= 0.5 else "dim")
        lines.append(lane)
    return lines


def _latest(events: Sequence[EventUpdate], room: int) -> list[Text]:
    """List the newest events, the ongoing ones first."""
    newest = sorted(
        events, key=lambda each: (each.ongoing, each.event.onset), reverse=True
    )
    lines = []
    for update in newest[: max(0, room)]:
        event = update.event
        length = "ongoing" if update.ongoing else f"{event.duration:6.2f} s"
        style = "" if update.state == "closed" else "italic"
        lines.append(
            Text(
                f"  {_clock(event.onset)}  {length:>8}  {event.score:.2f}  "
                f"{event.label}",
                style,
            )
        )
    return lines


def _covered(events: list[Event], start: float, stop: float) -> bool:
    return any(event.onset < stop and start < event.offset for event in events)


def _clock(seconds: float) -> str:
    hours, rest = divmod(max(0.0, seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{int(hours)}:{int(minutes):02}:{rest:05.2f}"


def describe_failure(failure: Mapping[str, Any]) -> str:
    """Say what failed, how often, why, and from when to when.

    Examples
    --------
    >>> describe_failure({"failed": 3, "left_out": 0, "reason": "disk full", "until": ""})
    '3 failed (disk full)'
    """
    counts = ("failed", "left_out", "lost", "waiting")
    words = [f"{failure[n]} {n.replace('_', ' ')}" for n in counts if failure.get(n)]
    reason = f" ({printable(failure['reason'])})" if failure.get("reason") else ""
    span = [
        f"{word} {failure[word]}" for word in ("since", "until") if failure.get(word)
    ]
    return ", ".join(words) + reason + "".join(f", {each}" for each in span)


def summary_table(summary: Summary) -> RenderableType:
    """Show what a session of listening heard, lost and found."""
    told = summary.to_dict()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column("", style="dim")
    table.add_column("")
    table.add_row("heard", f"{summary.heard:.2f} s")
    table.add_row("lost", f"{summary.lost:.2f} s")
    for label, count in told["events"].items():
        table.add_row(Text(label), f"{count} events")
    table.add_row("real-time factor", f"{told['real_time_factor']:.3f}")
    table.add_row("skipped segments", str(summary.n_skipped))
    for percentile, delay in told["opened_after"].items():
        table.add_row(f"opened after ({percentile})", f"{delay:.2f} s")
    for name, failure in summary.failures.items():
        table.add_row(name, Text(describe_failure(failure)))
    return table
