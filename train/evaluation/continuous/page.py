"""The figures of continuous recordings as tables, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from train.metrics.event_errors import CAUSES, FATES
from train.mixing.soundbank import describe_split

NOTES = (
    (
        "F1: event-based, onset within 0.2 s, offset within 0.2 s or 20 % of the length. "
        "Announced: the delay from an event's onset until it is reported, without the time "
        "for computing: median and 90th percentile of the events that are announced at all; "
        "never, and within 1 s: of all events. False announcements overlap no event of "
        "their label."
    ),
    *(f"{name}: {text}" for name, text in FATES.items()),
    *(f"False, {name}: {text}" for name, text in CAUSES.items()),
)
"""What the words mean."""


class Section(NamedTuple):
    """Sentences, and a table where there is a header."""

    lines: tuple[str, ...]
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def to_page(measured: Mapping[str, Any]) -> RenderableType:
    """Lay out for a terminal what `measure_continuous` gave.

    Parameters
    ----------
    measured : mapping
        With `alone`, results of `recognise_alone` by the name of the bank, where there
        are any.
    """
    parts: list[RenderableType] = []
    for section in sections(measured):
        parts += [Text(line) for line in section.lines]
        if section.header:
            table = Table(box=None, pad_edge=False)
            table.add_column(section.header[0], no_wrap=True)
            for name in section.header[1:]:
                table.add_column(name, justify="right")
            for row in section.rows:
                table.add_row(*row)
            parts.append(table)
        parts.append(Text())
    return Group(*parts, *map(Text, NOTES))


def to_markdown(measured: Mapping[str, Any]) -> str:
    """Lay out the same as Markdown, with the command if it is known."""
    blocks = []
    if "command" in measured:
        blocks.append(f"Measured by `{measured['command']}` ({measured['place']}).")
    for section in sections(measured):
        blocks += section.lines
        if section.header:
            blocks.append(_table(section))
    return "\n\n".join([*blocks, *NOTES]) + "\n"


def latencies_to_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay out rows by latency as a table in Markdown."""
    return _table(_by_latency(rows))


def sensitivities_to_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay out rows by sensitivity as a table in Markdown."""
    return _table(_by_sensitivity(rows))


def _table(section: Section) -> str:
    lines = [section.header, ["---"] * len(section.header), *section.rows]
    return "\n".join("| " + " | ".join(each) + " |" for each in lines)


def sections(measured: Mapping[str, Any]) -> Iterator[Section]:
    """Give everything there is to show, in its order."""
    seconds = measured["seconds"]
    minutes = {part: f"{value / 60:.0f}" for part, value in seconds.items()}
    about = (
        f"{sum(measured['n_events'].values())} events in {minutes['events']} minutes; "
        f"{minutes['backgrounds']} minutes of backgrounds, {minutes['others']} of other "
        f"sounds, {minutes['steady']} of steady ones."
    )
    splits = measured.get("splits", {})  # files of older versions have none
    yield Section((about, *(describe_split(*each) for each in splits.items())))
    yield _by_latency(measured["by_latency"])
    for name in ("live", "settled"):
        stream = measured[name]
        title = f"{name.capitalize()}, at a latency of {stream['latency']:g} s (%):"
        yield _labels(title, stream, measured["n_events"])
        yield _other_parts(stream)
    if measured.get("alone"):
        yield _alone(measured["alone"])


def _by_latency(rows: Sequence[Mapping[str, Any]]) -> Section:
    header = (
        "latency (s)",
        "F1 macro (%)",
        "micro",
        "PSDS 1",
        "never announced (%)",
        "within 1 s (%)",
        "median (s)",
        "90 % (s)",
        "false announcements/h",
        "false events/h",
    )
    table = tuple(
        (
            f"{row['latency']:g}",
            _percent(row["event_f1_macro"]),
            _percent(row["event_f1_micro"]),
            "-" if row["psds1"] is None else f"{row['psds1']:.3f}",
            *_announced(row["announced"]),
            _seconds(row["announced"]["p90"]),
            f"{row['false_announcements_per_hour']:.0f}",
            f"{sum(row['false_per_hour'].values()):.0f}",
        )
        for row in rows
    )
    return Section((), header, table)


def _by_sensitivity(rows: Sequence[Mapping[str, Any]]) -> Section:
    header = (
        *("sensitivity", "latency (s)", "false announcements/h", "never announced (%)"),
        *("within 1 s (%)", "median (s)", "F1 macro (%)", "micro"),
        *("false events/h on backgrounds", "other sounds that trigger an event (%)"),
    )
    table = tuple(
        (
            row["sensitivity"],
            f"{row['latency']:g}",
            f"{row['false_announcements_per_hour']:.0f}",
            *_announced(row["announced"]),
            _percent(row["event_f1_macro"]),
            _percent(row["event_f1_micro"]),
            _rate(row["backgrounds_per_hour"]),
            _percent(row["others_triggering"]),
        )
        for row in rows
    )
    return Section((), header, table)


def _labels(
    title: str, stream: Mapping[str, Any], n_events: Mapping[str, int]
) -> Section:
    """Show F1, fates and announcements of each label, and of all."""
    header = (
        "",
        "n",
        "F1",
        *FATES,
        "never ann.",
        "in 1 s",
        "median (s)",
        "false ann./h",
    )
    rows = [
        (
            label,
            str(n),
            _percent(stream["event_f1_per_label"][label]),
            *_fates(stream["fates_per_label"][label], n),
            *_announced(stream["announced_per_label"][label]),
            f"{stream['false_announcements_per_hour_per_label'][label]:.0f}",
        )
        for label, n in n_events.items()
    ]
    n = sum(n_events.values())
    whole = (
        "all, F1 micro",
        str(n),
        _percent(stream["event_f1_micro"]),
        *_fates(stream["fates"], n),
        *_announced(stream["announced"]),
        f"{stream['false_announcements_per_hour']:.0f}",
    )
    macro = ("F1 macro", "", _percent(stream["event_f1_macro"]))
    blank = ("",) * (len(header) - len(macro))
    return Section((title,), header, (*rows, whole, (*macro, *blank)))


def _other_parts(stream: Mapping[str, Any]) -> Section:
    """Put the other parts into sentences, and steady sounds into a table."""
    lines = []
    if stream["psds1"] is not None:
        lines.append(f"PSDS 1 {stream['psds1']:.3f}, PSDS 2 {stream['psds2']:.3f}.")
    wrong = ", ".join(
        f"{n:.0f} {cause}" for cause, n in stream["false_per_hour"].items()
    )
    lines.append(f"False events an hour, among events: {wrong}.")
    quiet, others = stream["backgrounds"], stream["others"]
    if quiet["per_hour"] is not None:
        lines.append(
            f"Backgrounds alone: {quiet['per_hour']:.1f} events an hour"
            f"{_kinds(quiet['by_kind'])}."
        )
    if others["sounds"]:
        lines.append(
            f"Other sounds one after another: {others['triggering']} of "
            f"{others['sounds']} trigger an event, {others['events_per_hour']:.0f} an hour"
            f"{_kinds(others['by_kind'])}."
        )
    header = ("steady, 60 s", "sounds", "events each", "% covered", "others each")
    rows = tuple(
        (
            label,
            str(row["sounds"]),
            f"{row['events_per_sound']:.1f}",
            _percent(row["covered"]),
            f"{row['other_labels_per_sound']:.1f}",
        )
        for label, row in stream["steady"].items()
    )
    return Section(tuple(lines), header if rows else (), rows)


def _alone(banks: Mapping[str, Mapping[str, Any]]) -> Section:
    """Show the share of recordings that get their own label alone."""
    labels = sorted(
        {label for bank in banks.values() for label in bank["right_per_label"]}
    )
    rows = [
        (
            label,
            *(_percent(bank["right_per_label"].get(label)) for bank in banks.values()),
        )
        for label in labels
    ]
    macro = ("macro", *(_percent(bank["right_macro"]) for bank in banks.values()))
    return Section((), ("right label alone (%)", *banks), (*rows, macro))


def _fates(shares: Mapping[str, float], n: int) -> tuple[str, ...]:
    return tuple(_percent(shares[fate] if n else None) for fate in FATES)


def _announced(summary: Mapping[str, Any]) -> tuple[str, str, str]:
    return (
        _percent(summary["never"]),
        _percent(summary["within_1_s"]),
        _seconds(summary["median"]),
    )


def _kinds(by_kind: Mapping[str, Mapping[str, int]]) -> str:
    """Write which kind is taken for what."""
    found = [f"{kind} {'+'.join(labels)}" for kind, labels in by_kind.items() if labels]
    return f" ({', '.join(found)})" if found else ""


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _rate(per_hour: float | None) -> str:
    return "-" if per_hour is None else f"{per_hour:.0f}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
