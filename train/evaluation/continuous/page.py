"""The figures of continuous recordings as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from train.metrics.event_errors import CAUSES, FATES

NOTES = (
    (
        "F1: event-based, onset within 0.2 s, offset within 0.2 s or 20 % of the length. "
        "Announced: the delay from an event's onset until it is reported, without "
        "the time for computing: median and 90th percentile of the events that are announced "
        "at all; never and within 1 s: of all events. False announcements overlap no event of "
        "their label."
    ),
    *(f"{name}: {text}" for name, text in FATES.items()),
    *(f"False, {name}: {text}" for name, text in CAUSES.items()),
)
"""What the words mean."""


def to_page(measured: Mapping[str, Any]) -> RenderableType:
    """Lay out what `measure_continuous` gave.

    Parameters
    ----------
    measured : mapping
        With `alone`, results of `recognise_alone` by the name of the bank, where there
        are any.
    """
    seconds = measured["seconds"]
    about = (
        f"{sum(measured['n_events'].values())} events in {seconds['events'] / 60:.0f} "
        f"minutes; {seconds['backgrounds'] / 60:.0f} minutes of backgrounds, "
        f"{seconds['others'] / 60:.0f} of other sounds, {seconds['steady'] / 60:.0f} of "
        "steady ones"
    )
    parts: list[RenderableType] = [Text(about), Text()]
    parts += [_by_latency(measured["by_latency"]), Text()]
    for name in ("live", "settled"):
        stream = measured[name]
        parts += [
            Text(f"{name}: latency {stream['latency']:g} s", style="bold"),
            _labels(stream, measured["n_events"]),
            Text(),
            *_other_parts(stream),
            Text(),
        ]
    parts += [_alone(measured["alone"]), Text()] if measured.get("alone") else []
    return Group(*parts, *map(Text, NOTES))


def _by_latency(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = _table(
        "latency (s)",
        "F1 macro",
        "micro",
        "never announced",
        "within 1 s",
        "median (s)",
        "90 % (s)",
        "false announcements/h",
        "false events/h",
    )
    for row in rows:
        announced = row["announced"]
        table.add_row(
            f"{row['latency']:g}",
            _percent(row["event_f1_macro"]),
            _percent(row["event_f1_micro"]),
            _percent(announced["never"]),
            _percent(announced["within_1_s"]),
            _seconds(announced["median"]),
            _seconds(announced["p90"]),
            f"{row['false_announcements_per_hour']:.0f}",
            f"{sum(row['false_per_hour'].values()):.0f}",
        )
    return table


def _labels(stream: Mapping[str, Any], n_events: Mapping[str, int]) -> Table:
    """Show F1, fates and announcements of each label (%), and of all."""
    table = _table(
        "%", "n", "F1", *FATES, "never ann.", "in 1 s", "median (s)", "false ann./h"
    )
    for label, n in n_events.items():
        announced = stream["announced_per_label"][label]
        table.add_row(
            label,
            str(n),
            _percent(stream["event_f1_per_label"][label]),
            *(_percent(stream["fates_per_label"][label][fate]) for fate in FATES),
            _percent(announced["never"]),
            _percent(announced["within_1_s"]),
            _seconds(announced["median"]),
            f"{stream['false_announcements_per_hour_per_label'][label]:.0f}",
        )
    announced = stream["announced"]
    table.add_section()
    table.add_row(
        "all, F1 micro",
        str(sum(n_events.values())),
        _percent(stream["event_f1_micro"]),
        *(_percent(stream["fates"][fate]) for fate in FATES),
        _percent(announced["never"]),
        _percent(announced["within_1_s"]),
        _seconds(announced["median"]),
        f"{stream['false_announcements_per_hour']:.0f}",
        style="bold",
    )
    macro = _percent(stream["event_f1_macro"])
    table.add_row("F1 macro", "", macro, style="bold")
    return table


def _other_parts(stream: Mapping[str, Any]) -> list[RenderableType]:
    """Put the other parts into lines, and steady sounds into a table."""
    lines = []
    if stream["psds1"] is not None:
        lines.append(f"PSDS 1 {stream['psds1']:.3f}  PSDS 2 {stream['psds2']:.3f}")
    wrong = ", ".join(
        f"{n:.0f} {cause}" for cause, n in stream["false_per_hour"].items()
    )
    lines.append(f"False events an hour, among events: {wrong}")
    quiet, others = stream["backgrounds"], stream["others"]
    if quiet["per_hour"] is not None:
        lines.append(
            f"Backgrounds alone: {quiet['per_hour']:.1f} events an hour"
            f"{_kinds(quiet['by_kind'])}"
        )
    if others["sounds"]:
        lines.append(
            f"Other sounds one after another: {others['triggering']} of "
            f"{others['sounds']} trigger an event, {others['events_per_hour']:.0f} an hour"
            f"{_kinds(others['by_kind'])}"
        )
    table = _table("steady, 60 s", "sounds", "events each", "% covered", "others each")
    for label, row in stream["steady"].items():
        table.add_row(
            label,
            str(row["sounds"]),
            f"{row['events_per_sound']:.1f}",
            _percent(row["covered"]),
            f"{row['other_labels_per_sound']:.1f}",
        )
    shown: list[RenderableType] = [Text(line) for line in lines]
    return [*shown, Text(), table] if stream["steady"] else shown


def _alone(banks: Mapping[str, Mapping[str, Any]]) -> Table:
    """Show the share of recordings that get their own label alone."""
    table = _table("right label alone, %", *banks)
    for label in sorted(
        {k for bank in banks.values() for k in bank["right_per_label"]}
    ):
        rates = [bank["right_per_label"].get(label) for bank in banks.values()]
        table.add_row(label, *map(_percent, rates))
    table.add_section()
    macro = [_percent(bank["right_macro"]) for bank in banks.values()]
    table.add_row("macro", *macro, style="bold")
    return table


def _table(first: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right")
    return table


def _kinds(by_kind: Mapping[str, Mapping[str, int]]) -> str:
    """Write which kind is taken for what."""
    found = [f"{kind} {'+'.join(labels)}" for kind, labels in by_kind.items() if labels]
    return f" ({', '.join(found)})" if found else ""


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
