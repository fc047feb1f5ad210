"""The report of an experiment on disk: table1.md, table1.json and pictures."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from streamsed.atomic_write import write
from train.annotations.desed import Desed
from train.experiments.figures import draw_clips, draw_curves, draw_labels, draw_rocs
from train.experiments.table1 import SystemScore, Table1
from train.metrics.criteria import DEFINITIONS
from train.metrics.psds import DEFINITIONS as PSDS_DEFINITIONS

OWN, REPORTED = "here", "report"


def write_report(
    table: Table1, desed: Desed, folder: Path, *, about: Mapping[str, Any], note: str
) -> Path:
    """Write what an experiment gave, with everything needed to trust it.

    Parameters
    ----------
    table : Table1
        The rows and what pictures are made of.
    desed : Desed
        What it was trained and measured on.
    folder : Path
        Where the files go.
    about : mapping
        Command, commit, seed and the like.
    note : str
        A sentence on the data, at the head of the page.

    Returns
    -------
    Path
        The page.
    """
    facts = {
        **about,
        "machine": f"{platform.processor() or platform.machine()}, {_device()}",
        "torch": torch.__version__,
        "data": {
            name: {
                "listed": len(subset.truth),
                "present": len(subset.paths),
                "list": subset.version or "a list of its own",
                "fingerprint": subset.fingerprint,
            }
            for name, subset in desed.subsets.items()
        },
    }
    numbers = {
        "facts": facts,
        "definition": DEFINITIONS["event"],
        "rows": [
            {
                "name": row.name,
                "reported": row.reported,
                **row.f1.to_dict(),
                "macro_interval": list(row.intervals.macro),
                "micro_interval": list(row.intervals.micro),
            }
            for row in table.rows
        ],
        "psds": [roc.area for roc in table.rocs],
    }
    write(folder / "table1.json", [json.dumps(numbers, indent=1) + "\n"])
    draw_curves(folder / "curves.png", table.runs)
    draw_labels(folder / "labels.png", table.rows)
    if table.rocs:
        draw_rocs(folder / "psd-roc.png", table.rocs)
    draw_clips(folder / "clips.png", table)
    page = folder / "table1.md"
    write(page, [to_markdown(table, facts, note)])
    return page


def to_markdown(table: Table1, facts: Mapping[str, Any], note: str) -> str:
    """Lay the table and its facts out as Markdown."""
    lines = [
        "# Table 1",
        "",
        note,
        "",
        f"| event-based F1, macro (%) | {REPORTED} | {OWN} | 95 % of draws | micro |",
        "| --- | ---: | ---: | ---: | ---: |",
        *map(_line, table.rows),
        "",
        DEFINITIONS["event"],
        "Draws: 1000 times as many clips, with replacement.",
        "",
        f"Ensemble: {_areas(table)}",
        *PSDS_DEFINITIONS.values(),
        "",
        "![losses](curves.png) ![F1 of each label](labels.png)",
        "![PSD-ROC](psd-roc.png) " * bool(table.rocs) + "![clips](clips.png)",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {key} | {_cell(value)} |" for key, value in facts.items()),
    ]
    return "\n".join(lines) + "\n"


def _areas(table: Table1) -> str:
    if not table.rocs:
        return "PSDS was not computed, as sed_scores_eval is not installed."
    return (
        ", ".join(f"PSDS {n} {r.area:.3f}" for n, r in enumerate(table.rocs, 1)) + "."
    )


def _line(row: SystemScore) -> str:
    low, high = row.intervals.macro
    reported = "" if row.reported is None else f"{row.reported:.2f}"
    return (
        f"| {row.name} | {reported} | {100 * row.f1.macro:.2f} "
        f"| {100 * low:.1f} to {100 * high:.1f} | {100 * row.f1.micro:.2f} |"
    )


def _cell(value: object) -> str:
    """Show a fact on one line."""
    if not isinstance(value, dict):
        return str(value)
    parts = (
        f"{name}: {each['present']} of {each['listed']} clips ({each['list']}; "
        f"{each['fingerprint']})"
        for name, each in value.items()
    )
    return "; ".join(parts)


def _device() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{torch.get_num_threads()} threads, no GPU"
