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
import time
from collections import deque
from collections.abc import Mapping
from itertools import groupby
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from streamsed.events import Event
from streamsed.live.listener import Listener
from streamsed.live.summary import Summary
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.pipeline.stitcher import ScoreFrames

REFRESH = 0.25
"""Seconds between two pictures."""
SPAN = 30.0
"""Seconds that the lanes show."""
FLOOR = 60.0
"""dB below full scale at which the level meter is empty."""
SHADES = " ░▒▓█"


class LiveView:
    """Draw a listener's state; a sink for its records and an observer of its scores.

    Parameters
    ----------
    console : Console
        A terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, screen=True, auto_refresh=False)
        self._drawn = 0.0
        self._final: deque[NDArray[np.float32]] = deque(maxlen=1024)  # of single frames
        self._events: dict[int, EventUpdate] = {}  # newest last
        self._notice = ""

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Take no notice: the listener knows the level."""

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Remember the newest word on each event, and the last notice."""
        if update is not None:
            self._events.pop(update.id, None)
            if update.state != "withdrawn":
                self._events[update.id] = update
            while len(self._events) > 256:
                del self._events[next(iter(self._events))]
        elif record["state"] == "notice":
            self._notice = str(record["text"])
        elif record["state"] == "gap":
            missing = record["offset"] - record["onset"]
            self._notice = f"{missing:.2f} s are missing: {record['reason']}"

    def notices(self) -> list[str]:
        """Return nothing: a terminal does not complain."""
        return []

    def close(self) -> None:
        """Wait for nothing."""

    def add_frames(self, frames: NDArray[np.float32]) -> None:
        """Take no notice: the lanes show scores."""

    def add_scores(self, final: ScoreFrames) -> None:
        """Remember final scores."""
        self._final.extend(final.scores)

    def tick(self, listener: Listener) -> None:
        """Draw, if the last picture is old enough."""
        now = time.monotonic()
        if now - self._drawn >= REFRESH:
            self._drawn = now
            self._live.update(self.picture(listener), refresh=True)

    def picture(self, listener: Listener) -> RenderableType:
        """Return the whole view at the console's present size."""
        width, height = self._console.size
        labels = listener.detector.model.info.labels
        now = listener.n_samples / listener.detector.sample_rate
        lines = [self._status(listener, now), self._level(listener, width)]
        lines += self._lanes(listener, labels, now, width)
        room = height - len(lines) - 1
        lines += self._latest(room)
        lines += [Text()] * (height - len(lines) - 1)
        lines.append(Text(self._notice, style="yellow"))
        for line in lines:
            line.no_wrap = True
            line.truncate(width)
        return Group(*lines[:height])

    def _status(self, listener: Listener, now: float) -> Text:
        stream = listener.detector.stream
        lost = listener.summary.lost
        return Text.assemble(
            (listener.source.name, "bold"),
            f"  {listener.source.capture_rate} Hz  step {stream.step:.2f} s  latency "
            f"{stream.latency:.1f} s  ",
            (f"load {listener.load:.0%}", "red" if listener.load > 1 else ""),
            "  ",
            (f"lost {lost:.1f} s", "red" if lost else ""),
            f"  {_clock(now)}",
        )

    def _level(self, listener: Listener, width: int) -> Text:
        peak = listener.peak
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

    def _lanes(
        self, listener: Listener, labels: tuple[str, ...], now: float, width: int
    ) -> list[Text]:
        """Draw a lane per label: scores as shades, events as bars, the score now."""
        name_width = min(18, max(map(len, labels)))
        n_cells = max(8, width - name_width - 7)
        duration = listener.detector.model.info.frontend.score_frame_duration
        pending = listener.detector.pending().scores
        known = [*self._final, *pending]
        scores = np.array(known or np.zeros((1, len(labels))))
        end = (listener.detector.n_final + len(pending)) * duration
        edges = now - SPAN + SPAN * np.arange(n_cells + 1) / n_cells
        frames = ((edges - end) / duration).astype(int) + len(scores)
        lines = []
        for label, column in zip(labels, scores.T, strict=True):
            lane = Text(f"{label[:name_width]:{name_width}} ")
            bars = [c.event for c in self._events.values() if c.event.label == label]
            cells = []
            for cell in range(n_cells):
                first, last = frames[cell], max(frames[cell] + 1, frames[cell + 1])
                heard = column[max(0, first) : max(0, last)]
                shade = SHADES[round(float(heard.max()) * 4)] if len(heard) else " "
                on = _covered(bars, edges[cell], edges[cell + 1])
                cells.append(("█", "cyan") if on else (shade, "dim"))
            # Few long pieces are drawn much faster than many of one character.
            for style, alike in groupby(cells, key=lambda cell: cell[1]):
                lane.append("".join(shade for shade, _ in alike), style)
            lane.append(f" {column[-1]:5.2f}", "bold" if column[-1] >= 0.5 else "dim")
            lines.append(lane)
        return lines

    def _latest(self, room: int) -> list[Text]:
        """List the newest events, those that sound first."""
        newest = sorted(
            self._events.values(),
            key=lambda c: (c.ongoing, c.event.onset),
            reverse=True,
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
    return table
