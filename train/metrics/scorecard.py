"""The scorecard of a system on a list: every metric, with what it means.

Counts come from the events, PSDS from scores or operating points where there are any. The
intervals say where the F1 lies in 95 % of 1000 draws of as many clips with replacement:
how much of a difference may be due to these clips alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from streamsed.events import Event
from train.metrics import psds
from train.metrics.criteria import (
    DEFINITIONS,
    event_counts,
    intersection_counts,
    segment_counts,
)
from train.metrics.f1 import F1, Counts, Intervals, Span
from train.metrics.psds import PsdRoc

COUNTERS = {
    "event": event_counts,
    "segment": segment_counts,
    "intersection": intersection_counts,
}
"""The F1 there are."""


@dataclass(frozen=True, slots=True)
class Scorecard:
    """What a system scores.

    Parameters
    ----------
    counts : dict of str to Counts
        By the names in `train.metrics.criteria.DEFINITIONS`, all of the same labels.
    rocs : tuple of PsdRoc
        Of PSDS 1 and 2, or empty.
    notes : list of str
        Notes, such as the name of the list and what was left out.
    """

    counts: Mapping[str, Counts]
    rocs: tuple[PsdRoc, ...] = ()
    notes: list[str] = field(default_factory=list)

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label that the reference or the system names."""
        return self.counts["event"].labels

    @property
    def absent(self) -> tuple[str, ...]:
        """Labels that the reference never names."""
        return self.counts["event"].absent

    @property
    def areas(self) -> dict[str, float]:
        """PSDS by the names in `train.metrics.psds.DEFINITIONS`, where they are known."""
        names = psds.DEFINITIONS
        return {name: roc.area for name, roc in zip(names, self.rocs, strict=False)}

    def definitions(self) -> dict[str, str]:
        """Say what each score here means."""
        known = {name: psds.DEFINITIONS[name] for name in self.areas}
        return {**{name: DEFINITIONS[name] for name in self.counts}, **known}

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dict that JSON can hold; scores from 0 to 1."""
        result: dict[str, Any] = {
            "n_clips": len(self.counts["event"].hits),
            "labels": list(self.labels),
            "absent": list(self.absent),
            "notes": self.notes,
            "definitions": self.definitions(),
            **self.areas,
        }
        for name, counts in self.counts.items():
            spans = counts.bootstrap()
            result |= counts.f1().to_dict(f"{name}_f1")
            result[f"{name}_f1_macro_interval"] = list(spans.macro)
            result[f"{name}_f1_micro_interval"] = list(spans.micro)
            result[f"{name}_f1_per_label_interval"] = {
                label: list(span) for label, span in spans.per_label.items()
            }
        return result

    def to_table(self) -> RenderableType:
        """Show it to a person."""
        table = Table(box=None, pad_edge=False)
        table.add_column("F1 (%), in 95 % of draws", no_wrap=True)
        table.add_column("events", justify="right", no_wrap=True)
        for name in self.counts:
            table.add_column(name, justify="right", no_wrap=True)
        scored = [(each.f1(), each.bootstrap()) for each in self.counts.values()]
        n_events = self.counts["event"].n_reference.sum(axis=0)
        for label, n in zip(self.labels, n_events.tolist(), strict=True):
            if label not in self.absent:
                cells = (_cell(*_of_label(label, *each)) for each in scored)
                table.add_row(Text(label), str(n), *cells)
        macro = (_cell(f1.macro, spans.macro) for f1, spans in scored)
        micro = (_cell(f1.micro, spans.micro) for f1, spans in scored)
        table.add_section()
        table.add_row("macro", "", *macro, style="bold")
        table.add_row("micro", str(n_events.sum()), *micro, style="bold")
        areas = "  ".join(
            f"PSDS {number} {area:.3f}"
            for number, area in enumerate(self.areas.values(), start=1)
        )
        notes = list(self.notes)
        if self.absent:
            notes.append(
                f"not in the reference, so not in the macro mean: {', '.join(self.absent)}"
            )
        lines = [areas] * bool(areas) + ["", *notes, "", *self.definitions().values()]
        return Group(table, *map(Text, lines))


def score_lists(
    reference: Mapping[str, Sequence[Event]],
    estimated: Mapping[str, Sequence[Event]],
) -> Scorecard:
    """Compare two lists.

    Parameters
    ----------
    reference : mapping of str to sequence of Event
        The clips that count, with their events.
    estimated : mapping of str to sequence of Event
        What a system found; a clip that is not here has no events, a clip that the
        reference does not list is left out, each with a note.
    """
    truth = list(reference.values())
    guess = [estimated.get(name, ()) for name in reference]
    labels = sorted({event.label for clip in (*truth, *guess) for event in clip})
    card = Scorecard(
        {name: count(truth, guess, labels) for name, count in COUNTERS.items()}
    )
    beyond = estimated.keys() - reference.keys()
    if beyond:
        card.notes.append(
            f"{len(beyond)} clips of the estimated list are not in the reference and "
            f"were left out, {min(beyond)} among them"
        )
    silent = reference.keys() - estimated.keys()
    if silent:
        card.notes.append(
            f"{len(silent)} of {len(reference)} clips of the reference have no row in the "
            f"estimated list, {min(silent)} among them, and were scored as clips without "
            "events; if they were not processed, list only the others in the reference"
        )
    return card


def _of_label(label: str, f1: F1, spans: Intervals) -> tuple[float, Span]:
    return f1.per_label[label], spans.per_label[label]


def _cell(value: float, span: Span) -> str:
    low, high = span
    return f"{100 * value:.2f} ({100 * low:.1f}-{100 * high:.1f})"
