"""The live terminal view: current scores, the last half minute, the latest events.

    microphone  44100 Hz  step 0.31 s  latency 1.0 s  load 12 %  lost 0.0 s  07:31:42
    level   ──────────────────────────────                         -18.0 dB
    Dog              ░░▒▓████░░                          ░▓██████                   0.93
    Speech                        ▒▓▓▓██████████▓▓░                                 0.02
            ╵07:31:20             ╵07:31:30               ╵07:31:40
      07:31:40.25   ongoing  0.91  Dog
      07:31:31.10    1.86 s  0.88  Speech

Times are clock times. There is a lane for each selected label, or for the most important
ones if the terminal is too small. The last failures of the log, clips and commands are
shown at the bottom. The view uses the terminal's alternate screen, is redrawn a few times
a second by the listening loop, adapts to the size of the terminal, and leaves no trace.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from streamsed.events import Event
from streamsed.live.snapshot import Snapshot
from streamsed.live.summary import describe_failure
from streamsed.samples import Float32
from streamsed.terminal import percent, printable

SPAN = 30.0
"""Seconds shown in the lanes."""
FLOOR = 60.0
"""dB below full scale at which the level meter is empty."""
SHADES = " ░▒▓█"
MIN_CELLS = 8
"""Minimum number of columns of a lane."""
TICKS = (5, 10, 15, 30)
"""Seconds between the times on the axis."""
N_FAILURES = 3
"""Maximum number of lines for failures."""


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
    head = [_status(snapshot, width), _level(snapshot.peak, width)]
    foot = [
        Text(f"{name}: {describe_failure(failure)}", style="red")
        for name, failure in list(snapshot.failures.items())[-N_FAILURES:]
    ]
    foot.append(Text(printable(snapshot.notice), style="yellow"))
    room = height - len(head) - len(foot)
    lanes = _lanes(snapshot, width, room)
    events = _latest(snapshot, room - len(lanes))
    blank = [Text()] * (room - len(lanes) - len(events))
    lines = [*head, *lanes, *events, *blank, *foot]
    for line in lines:
        line.no_wrap = True
        line.truncate(width)
    return Group(*lines[:height])


def _status(snapshot: Snapshot, width: int) -> Text:
    """Return the status line; the least important fields are dropped if it is too long."""
    lost, load, source = snapshot.lost, snapshot.load, printable(snapshot.source)
    fields = [  # in this order, with their ranks
        (2, source, "bold"),
        (7, f"{snapshot.capture_rate} Hz", ""),
        (5, f"step {snapshot.step:.2f} s", ""),
        (6, f"latency {snapshot.latency:.1f} s", ""),
        (3, f"load {percent(load, 0)}", "red" if load > 1 else ""),
        (1, f"lost {lost:.1f} s", "bold red" if lost else ""),
        (4, _clock(snapshot.origin + snapshot.now, "%H:%M:%S"), ""),
    ]
    name_room = max(MIN_CELLS, width - 2 - len(fields[5][1]))
    fields[0] = (2, source[:name_room], "bold")
    while len(fields) > 1 and sum(len(text) + 2 for _, text, _ in fields) - 2 > width:
        fields.remove(max(fields))
    return Text("  ").join(Text(text, style) for _, text, style in fields)


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


def _lanes(snapshot: Snapshot, width: int, room: int) -> list[Text]:
    """Draw as many lanes as there is room for, and the time axis below them."""
    labels = [n for n in snapshot.labels if n in (snapshot.reported or snapshot.labels)]
    scores = snapshot.scores
    if not len(scores):
        scores = np.zeros((1, len(snapshot.labels)), np.float32)
    columns = {name: scores[:, snapshot.labels.index(name)] for name in labels}
    name_width = min(max(map(len, labels)), max(MIN_CELLS, width // 3))
    n_cells = max(MIN_CELLS, width - name_width - 7)
    edges = snapshot.now - SPAN + SPAN * np.arange(n_cells + 1) / n_cells
    lanes = []
    for name in _important(snapshot, columns, room - 1):
        lane = Text(f"{name[:name_width]:{name_width}} ")
        cells = _cells(snapshot, name, columns[name], edges)
        # A few long pieces are drawn much faster than many of one character.
        for style, alike in groupby(cells, key=lambda cell: cell[1]):
            lane.append("".join(shade for shade, _ in alike), style)
        now = columns[name][-1]
        lane.append(f" {now:5.2f}", "bold" if now >= 0.5 else "dim")
        lanes.append(lane)
    if lanes:
        axis = _axis(snapshot.origin + snapshot.now, n_cells)
        lanes.append(Text(" " * (name_width + 1) + axis, "dim"))
    return lanes


def _important(snapshot: Snapshot, columns: dict[str, Float32], room: int) -> list[str]:
    """Return as many labels as there is room for: ongoing events first, then by score."""
    ongoing = {each.event.label for each in snapshot.events if each.ongoing}
    ranked = sorted(
        columns, key=lambda name: (name not in ongoing, -float(columns[name].max()))
    )
    kept = set(ranked[: max(0, room)])
    return [name for name in columns if name in kept]


def _cells(
    snapshot: Snapshot, label: str, column: Float32, edges: NDArray[np.float64]
) -> list[tuple[str, str]]:
    """Return the characters of a lane with their styles: scores as shades, events as bars."""
    frames = (edges - snapshot.scores_end) / snapshot.frame_duration
    frames = frames.astype(int) + len(column)
    bars = [each.event for each in snapshot.events if each.event.label == label]
    cells = []
    for cell in range(len(edges) - 1):
        first, last = frames[cell], max(frames[cell] + 1, frames[cell + 1])
        seen = column[max(0, first) : max(0, last)]
        shade = SHADES[round(float(seen.max()) * 4)] if len(seen) else " "
        on = _covered(bars, edges[cell], edges[cell + 1])
        cells.append(("█", "cyan") if on else (shade, "dim"))
    return cells


def _axis(now: float, n_cells: int) -> str:
    """Return an axis of round clock times for lanes that end at `now`."""
    form = "╵%H:%M:%S"
    length = len(_clock(now, form)) + 1
    every = next((s for s in TICKS if s / SPAN * n_cells >= length), TICKS[-1])
    axis = [" "] * n_cells
    tick = math.ceil((now - SPAN) / every) * every
    while tick < now:
        cell = int((tick - now + SPAN) / SPAN * n_cells)
        text = _clock(tick, form)
        if cell + len(text) <= n_cells:
            axis[cell : cell + len(text)] = text
        tick += every
    return "".join(axis)


def _latest(snapshot: Snapshot, room: int) -> list[Text]:
    """List the latest events, the ongoing ones first."""
    newest = sorted(
        snapshot.events,
        key=lambda each: (each.ongoing, each.event.onset),
        reverse=True,
    )
    lines = []
    for update in newest[: max(0, room)]:
        event = update.event
        began = snapshot.origin + event.onset
        length = "ongoing" if update.ongoing else f"{event.duration:.2f} s"
        style = "" if update.state == "closed" else "italic"
        onset = f"{_clock(began, '%H:%M:%S')}.{int(began % 1 * 100):02}"
        row = f"  {onset}  {length:>8}  {event.score:.2f}  {event.label}"
        lines.append(Text(row, style))
    return lines


def _covered(events: Sequence[Event], start: float, stop: float) -> bool:
    return any(event.onset < stop and start < event.offset for event in events)


def _clock(seconds: float, form: str) -> str:
    """Format a clock time in the local time zone."""
    return datetime.fromtimestamp(seconds).astimezone().strftime(form)
