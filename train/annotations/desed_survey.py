"""Which clips of a data set are available or missing: the tables of `data check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from streamsed.audio.decode import audio_info
from streamsed.events import Event
from train.annotations.desed import Subset

MAX_RATES = 3
"""Sampling frequencies of a subset that are shown one by one."""


@dataclass(slots=True)
class Survey:
    """The available clips of a subset.

    Parameters
    ----------
    subset : Subset
        Its list.
    lost : dict of str to str
        Missing or unreadable clips, with the reason.
    durations : list of float
        Seconds of each available clip.
    rates : Counter of int
        Their sampling frequencies, Hz.
    """

    subset: Subset
    lost: dict[str, str] = field(default_factory=dict)
    durations: list[float] = field(default_factory=list)
    rates: Counter[int] = field(default_factory=Counter)


def survey(subset: Subset) -> Survey:
    """Read the headers of a subset's clips."""
    found = Survey(subset)
    for name in subset.truth:
        if name not in subset.paths:
            found.lost[name] = "missing"
            continue
        try:
            info = audio_info(subset.paths[name])
        except (OSError, ValueError) as error:
            found.lost[name] = " ".join(str(error).split())
            continue
        found.durations.append(info.duration)
        found.rates[info.sample_rate] += 1
    return found


def clips_table(surveys: list[Survey]) -> RenderableType:
    """Return a table of the clips of each subset: listed, available, missing; hours and rates."""
    table = Table(box=None, pad_edge=False)
    table.add_column("subset", no_wrap=True)
    for column in ("listed", "available", "missing", "hours", "seconds per clip", "Hz"):
        table.add_column(column, justify="right", no_wrap=True)
    for each in surveys:
        durations = each.durations
        spread = (
            f"{min(durations):.1f}-{max(durations):.1f}, mostly {median(durations):.1f}"
            if durations
            else ""
        )
        table.add_row(
            each.subset.name,
            str(len(each.subset.truth)),
            str(len(durations)),
            str(len(each.lost)),
            f"{sum(durations) / 3600:.2f}",
            spread,
            _rates(each.rates),
        )
    versions = [
        Text(
            f"{each.subset.name} is "
            f"{each.subset.version or 'a list of its own, not that of DESED 2019'}"
        )
        for each in surveys
    ]
    return Group(table, *versions, Text())


def labels_table(surveys: list[Survey], labels: tuple[str, ...]) -> RenderableType:
    """Return a table of the events of each label: listed, lost with missing clips, length."""
    labelled = [each for each in surveys if each.subset.count_labels()]
    table = Table(box=None, pad_edge=False)
    table.add_column("events or weak labels", no_wrap=True)
    for each in labelled:
        table.add_column(each.subset.name, justify="right", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    counts = [
        (each.subset.count_labels(), each.subset.count_labels(list(each.lost)))
        for each in labelled
    ]
    lengths = _median_lengths([each.subset for each in labelled])
    for label in labels:
        cells = (_share(listed[label], lost[label]) for listed, lost in counts)
        seconds = f"{lengths[label]:.2f}" if label in lengths else ""
        table.add_row(Text(label), *cells, seconds)
    totals = (_share(listed.total(), lost.total()) for listed, lost in counts)
    table.add_row("all", *totals, "", style="bold")
    return table


def _rates(rates: Counter[int]) -> str:
    """Return the most common frequencies, and in how many clips there are others."""
    shown = rates.most_common(MAX_RATES)
    n_others = rates.total() - sum(n for _, n in shown)
    text = [f"{rate} ({n})" for rate, n in shown] + [f"others ({n_others})"] * bool(
        n_others
    )
    return ", ".join(text)


def _share(listed: int, lost: int) -> str:
    """Return the number of events and the share that is lost."""
    return f"{listed} ({100 * lost / listed:.0f} % lost)" if listed else "0"


def _median_lengths(subsets: list[Subset]) -> Mapping[str, float]:
    """Return the median length of each label's events in all strong subsets."""
    lengths: dict[str, list[float]] = {}
    for subset in subsets:
        for truth in subset.truth.values():
            for each in truth or ():
                if isinstance(each, Event):
                    lengths.setdefault(each.label, []).append(each.duration)
    return {label: median(values) for label, values in lengths.items()}
