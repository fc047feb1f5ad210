"""Summary of a run: duration of recorded and lost sound, events and delays."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from streamsed.terminal import counted, printable

DELAYS = {"p50": "median", "p90": "90th percentile of", "p99": "99th percentile of"}
"""Names of the percentiles of the delay from an onset to its report."""


@dataclass
class Summary:
    """Counts of a run of `listen`.

    Parameters
    ----------
    sample_rate : int
        Hz.
    n_listened, n_lost : int
        Recorded and lost samples of the time line.
    events : Counter
        Closed events by label.
    busy : float
        Seconds of computing.
    latencies : deque of float
        Seconds from the onset of an event until it was reported, of the latest events.
    n_skipped : int
        Segments that were skipped to keep up.
    failures : dict
        Failures of the log, clips, commands and output, by name.
    """

    sample_rate: int
    n_listened: int = 0
    n_lost: int = 0
    events: Counter[str] = field(default_factory=Counter)
    busy: float = 0.0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))
    n_skipped: int = 0
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def listened(self) -> float:
        """Seconds of recorded sound."""
        return self.n_listened / self.sample_rate

    @property
    def complete(self) -> bool:
        """Whether every record and every clip was written."""
        counts = {"clips": ("failed", "left_out"), "exec": ("unclosed",)}
        return not any(
            failure.get(count)
            for name, failure in self.failures.items()
            for count in counts.get(name, ("lost", "waiting", "left_out", "unclosed"))
        )

    @property
    def lost(self) -> float:
        """Seconds of lost sound."""
        return self.n_lost / self.sample_rate

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as a dict for JSON."""
        total = self.listened + self.lost
        delays = sorted(self.latencies)
        percentiles = (
            {f"p{p}": delays[len(delays) * p // 100] for p in (50, 90, 99)}
            if delays
            else {}
        )
        return {
            "heard": round(self.listened, 6),
            "lost": round(self.lost, 6),
            "events": dict(sorted(self.events.items())),
            "real_time_factor": round(self.busy / total, 4) if total else 0.0,
            "skipped_segments": self.n_skipped,
            "opened_after": {p: round(delay, 3) for p, delay in percentiles.items()},
            **({"failures": dict(self.failures)} if self.failures else {}),
        }


def describe_failure(failure: Mapping[str, Any]) -> str:
    """Describe failures: how many, why, and from when to when.

    Examples
    --------
    >>> describe_failure({"failed": 3, "left_out": 0, "reason": "disk full", "until": ""})
    '3 failed (disk full)'
    """
    counts = {
        "failed": "failed",
        "left_out": "skipped",
        "lost": "lost",
        "waiting": "waiting",
    }
    words = [f"{failure[n]} {word}" for n, word in counts.items() if failure.get(n)]
    reason = f" ({printable(failure['reason'])})" if failure.get("reason") else ""
    span = [
        f"{word} {failure[word]}" for word in ("since", "until") if failure.get(word)
    ]
    return ", ".join(words) + reason + "".join(f", {each}" for each in span)


def summary_table(summary: Summary) -> RenderableType:
    """Return a table of a summary."""
    values = summary.to_dict()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column("", style="dim")
    table.add_column("")
    table.add_row("listened", f"{summary.listened:.2f} s")
    table.add_row("lost", f"{summary.lost:.2f} s")
    for label, count in values["events"].items():
        table.add_row(Text(label), counted(count, "event"))
    table.add_row("real-time factor", f"{values['real_time_factor']:.3f}")
    table.add_row("skipped segments", str(summary.n_skipped))
    for percentile, delay in values["opened_after"].items():
        table.add_row(f"{DELAYS[percentile]} delay", f"{delay:.2f} s")
    for name, failure in summary.failures.items():
        table.add_row(name, Text(describe_failure(failure)))
    return table
