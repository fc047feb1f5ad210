"""Pictures of an experiment: losses, labels, PSD-ROC, and clips with their events."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from streamsed.plots.picture_file import new_figure, save_figure
from train.experiments.table1 import VALIDATION, SystemScore, Table1
from train.metrics.psds import PsdRoc

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_CLIPS = 4
"""Clips shown."""


def draw_curves(path: Path, runs: Mapping[str, Path]) -> None:
    """Draw training and validation loss of runs over their steps."""
    figure = new_figure(5.0 * len(runs), 3.5)
    for axes, (name, run) in zip(_row(figure, len(runs)), runs.items(), strict=True):
        for file, column, label in (
            ("log", "total", "training"),
            ("validation", "loss", "validation"),
        ):
            steps, losses = _columns(run / f"{file}.csv", "step", column)
            axes.plot(steps, losses, label=label)
        axes.set(title=name, xlabel="step", ylabel="loss")
        axes.legend()
    save_figure(figure, path)


def draw_labels(path: Path, rows: Sequence[SystemScore]) -> None:
    """Draw event F1 of each label for every row as bars."""
    labels = list(rows[0].validation.f1.per_label)
    figure = new_figure(1.2 * len(labels) + 2.0, 4.5)
    axes = figure.subplots()
    width = 0.8 / len(rows)
    for index, row in enumerate(rows):
        heights = [100 * row.validation.f1.per_label[label] for label in labels]
        axes.bar(np.arange(len(labels)) + index * width, heights, width, label=row.name)
    axes.set_xticks(np.arange(len(labels)) + 0.4, labels, rotation=30, ha="right")
    axes.set_ylabel("event F1 (%)")
    axes.legend(fontsize="x-small")
    save_figure(figure, path)


def draw_rocs(path: Path, rocs: Sequence[PsdRoc]) -> None:
    """Draw the curves behind PSDS."""
    figure = new_figure(5.0, 4.0)
    axes = figure.subplots()
    for number, roc in enumerate(rocs, start=1):
        axes.step(
            roc.false_alarms,
            roc.hits,
            where="post",
            label=f"scenario {number}: {roc.area:.3f}",
        )
    axes.set(xlabel="effective false alarms per hour", ylabel="effective hits")
    axes.set(xlim=(0, 100), ylim=(0, 1))
    axes.legend()
    save_figure(figure, path)


def draw_clips(path: Path, table: Table1) -> None:
    """Draw some validation clips with the true events above and those found below."""
    recordings, found = table.recordings[VALIDATION], table.rows[4].validation.events
    chosen = sorted(range(len(found)), key=lambda i: -len(recordings.reference[i]))[
        :: max(len(found) // N_CLIPS, 1)
    ][:N_CLIPS]
    figure = new_figure(14.0, 2.6 * len(chosen))
    grid = figure.subplots(len(chosen), 2, squeeze=False)
    labels = recordings.labels
    for (left, right), index in zip(grid, chosen, strict=True):
        left.imshow(
            recordings.segments[index].T, origin="lower", aspect="auto", cmap="magma"
        )
        left.set(xticks=[], ylabel="mel band")
        for events, height, name in (
            (recordings.reference[index], 0.15, "reference"),
            (found[index], -0.25, "estimated"),
        ):
            for number, event in enumerate(events):
                right.broken_barh(
                    [(event.onset, event.duration)],
                    (labels.index(event.label) + height, 0.3),
                    color="black" if name == "reference" else "tab:orange",
                    label=name if number == 0 else None,
                )
        right.set_yticks(range(len(labels)), labels, fontsize="xx-small")
        right.set(xlim=(0, 10), xlabel="s")
        if right.get_legend_handles_labels()[0]:  # a clip may have no events
            right.legend(fontsize="x-small", loc="upper right")
    save_figure(figure, path)


def _row(figure: Figure, n: int) -> Any:
    return figure.subplots(1, n, squeeze=False)[0]


def _columns(path: Path, *names: str) -> list[list[float]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [[float(row[name]) for row in rows] for name in names]
