"""The report of an experiment on disk: table1.md, table1.json, events and pictures.

Every row's events are written as the challenge takes a submission, one file for each list:
`events/validation/1_baseline.tsv`, `events/public/1_baseline.tsv` and so on.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from streamsed.atomic_write import write
from streamsed.terminal import counted
from train.annotations.desed import Desed
from train.annotations.desed_version import enumerated
from train.annotations.event_lists import write_strong
from train.experiments.experiment import WEAKER
from train.experiments.figures import draw_clips, draw_curves, draw_labels, draw_rocs
from train.experiments.table1 import PUBLIC, VALIDATION, Scored, SystemScore, Table1
from train.experiments.training_facts import describe_run
from train.fit.checkpoint import BEST
from train.metrics.criteria import DEFINITIONS
from train.metrics.psds import DEFINITIONS as PSDS_DEFINITIONS

EVENTS = "events"
"""Folder of the rows' events."""


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
        "machine": f"{platform.processor() or platform.machine()}, "
        f"{_device(table.device)}",
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
        **{
            f"training of {preset}": describe_run(
                table.runs[preset], config, {each.name for each in table.used}
            )
            for preset, config in table.configs.items()
        },
        "ensemble": _describe_ensemble(table.runs[WEAKER]),
        "threshold": "0.5 in all rows but the tuned one",
    }
    numbers = {
        "note": note,
        "facts": facts,
        "definition": DEFINITIONS["event"],
        "rows": list(map(_numbers, table.rows)),
        "psds": [roc.area for roc in table.rocs],
    }
    write(folder / "table1.json", [json.dumps(numbers, indent=1) + "\n"])
    write_events(table, folder / EVENTS)
    draw_curves(folder / "curves.png", table.runs)
    draw_labels(folder / "labels.png", table.rows)
    if table.rocs:
        draw_rocs(folder / "psd-roc.png", table.rocs)
    draw_clips(folder / "clips.png", table)
    page = folder / "table1.md"
    write(page, [to_markdown(table, facts, note)])
    return page


def write_events(table: Table1, folder: Path) -> None:
    """Write the events of every row and list, a clip without events by its name alone."""
    for row in table.rows:
        for name, scored in row.lists.items():
            path = folder / name / f"{row.system.key}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            names = table.recordings[name].names
            write_strong(path, dict(zip(names, scored.events, strict=True)))


def to_markdown(table: Table1, facts: Mapping[str, Any], note: str) -> str:
    """Lay the table and its facts out as Markdown."""
    header = ["validation: report", "here", "95 % of draws", "micro"]
    header += ["public: here", "95 % of draws", "micro"]
    lines = [
        "# Table 1",
        "",
        note,
        "",
        "| event-based F1, macro (%) | " + " | ".join(header) + " |",
        "| --- |" + " ---: |" * len(header),
        *map(_line, table.rows),
        "",
        DEFINITIONS["event"],
        *_absent_notes(table.rows[0]),
        "Draws: 1000 times as many clips, with replacement.",
        _events_note(table),
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


def _numbers(row: SystemScore) -> dict[str, Any]:
    """Say what a row scored, on the validation list and where it is there on the public."""
    numbers = {
        "name": row.name,
        "key": row.system.key,
        "run": row.system.run,
        "reported": row.system.reported,
        **_scores(row.lists[VALIDATION]),
    }
    if PUBLIC in row.lists:
        numbers[PUBLIC] = _scores(row.lists[PUBLIC])
    return numbers


def _scores(scored: Scored) -> dict[str, Any]:
    return {
        **scored.f1.to_dict(),
        "macro_interval": list(scored.intervals.macro),
        "micro_interval": list(scored.intervals.micro),
    }


def _absent_notes(row: SystemScore) -> list[str]:
    """Say which labels no list could score, the same in every row."""
    return [
        f"The macro mean on the {name} list leaves out {enumerated(scored.f1.absent)}, of "
        "which no clip there has an event."
        for name, scored in row.lists.items()
        if scored.f1.absent
    ]


def _events_note(table: Table1) -> str:
    where = (
        f"The events of every row are in `{EVENTS}/`, as the challenge takes them and as they "
        "were scored, in milliseconds; none reaches past the end of its clip."
    )
    if PUBLIC in table.recordings:
        return where
    return (
        f"{where} The public evaluation list was not scored: its list or its clips are "
        "not there."
    )


def _areas(table: Table1) -> str:
    if not table.rocs:
        return "PSDS was not computed, as sed_scores_eval is not installed."
    return (
        ", ".join(f"PSDS {n} {r.area:.3f}" for n, r in enumerate(table.rocs, 1)) + "."
    )


def _line(row: SystemScore) -> str:
    reported = row.system.reported
    cells = [row.name, "" if reported is None else f"{reported:.2f}"]
    cells += _cells(row.lists[VALIDATION])
    cells += _cells(row.lists[PUBLIC]) if PUBLIC in row.lists else ["", "", ""]
    return "| " + " | ".join(cells) + " |"


def _cells(scored: Scored) -> list[str]:
    low, high = scored.intervals.macro
    return [
        f"{100 * scored.f1.macro:.2f}",
        f"{100 * low:.1f} to {100 * high:.1f}",
        f"{100 * scored.f1.micro:.2f}",
    ]


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


def _describe_ensemble(run: Path) -> str:
    n = len(list(run.glob(BEST)))
    return (
        f"the mean of the scores of {counted(n, 'checkpoint')} of {run.name} of lowest "
        "validation loss, weighted label by label by event F1 on the validation list after "
        "connect & cut"
    )


def _device(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{counted(torch.get_num_threads(), 'thread')}, no GPU"
