"""`python -m train evaluate`: score a system on a list, or a model on long recordings."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streamsed.atomic_write import write
from streamsed.detection_settings import DetectionSettings
from streamsed.events import Event
from streamsed.recordings.job import FileJob
from streamsed.recordings.outputs import Outputs
from train.annotations.desed_version import name_list
from train.annotations.event_lists import digest, read_durations, read_strong
from train.annotations.score_files import find_scores, read_scores
from train.cli.continuous import Drawn, measure_model
from train.cli.options import (
    Device,
    LeaveOut,
    MeasuredSplit,
    check_output,
    measured_splits,
    read_left_out,
)
from train.metrics.psds import PsdRoc, psd_rocs
from train.metrics.psds_points import operating_point_rocs
from train.metrics.scorecard import Scorecard, score_lists

EventLists = Mapping[str, Sequence[Event]]

WIDTH = 100
"""Minimum width of the table."""


def evaluate(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="The same as --model MODEL."),
    ] = None,
    *,
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="R.tsv", help="Reference events: filename onset offset event_label."
        ),
    ] = None,
    estimated: Annotated[
        Path | None,
        typer.Option(
            metavar="E.tsv",
            help="Estimated events, as tsv or csv; with --model, output file.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Run this model file (or shipped model) on --audio, as `streamsed file` "
            "does, instead of reading --estimated.",
        ),
    ] = None,
    audio: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The clips of the reference, for --model."),
    ] = None,
    device: Device = "auto",
    durations: Annotated[
        Path | None,
        typer.Option(
            metavar="D.tsv",
            help="Lengths of the clips (filename duration), for PSDS; without it, the "
            "scores say.",
        ),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Score files of the clips (clip.scores.tsv or clip.tsv), for PSDS; with "
            "--model, where to write them.",
        ),
    ] = None,
    operating_points: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Lists of events (*.tsv), one per threshold: PSDS from these points "
            "instead of --scores.",
        ),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write all numbers."),
    ] = None,
    continuous: Annotated[
        bool,
        typer.Option(
            "--continuous",
            help="Run MODEL as a stream on long recordings mixed from --soundbank: events "
            "with other sounds between them, backgrounds alone, steady sounds.",
        ),
    ] = False,
    soundbank: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Bank of sounds for --continuous; repeatable.",
        ),
    ] = None,
    split: MeasuredSplit = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--everything",
            help="Measure on all splits: for a model that was trained on none of the banks.",
        ),
    ] = False,
    leave_out: LeaveOut = None,
    blueprint: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="LIST",
            help="Strong list from which --continuous takes labels and lengths of events; "
            "repeatable.",
        ),
    ] = None,
    even_labels: Annotated[
        bool, typer.Option("--even-labels", help="Use all labels equally often.")
    ] = False,
    recordings: Annotated[
        int,
        typer.Option(min=1, help="Number of recordings with events, for --continuous."),
    ] = 4,
    minutes: Annotated[
        float,
        typer.Option(min=0.5, max=60, help="Length of each recording, in minutes."),
    ] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the recordings.")] = 0,
) -> None:
    """Score events against a list: F1 by events, segments, intersections, and PSDS.

    With --continuous, evaluate a model as a stream instead: found and lost events, the
    delay of their announcement, and false announcements, at several latencies.

    Every score comes with its definition, and every F1 with its bootstrap interval. A
    label without output counts 0; labels that do not occur in the reference are listed and
    left out of the macro mean.
    """
    model = _one_model(name, model)
    check_output(json_file, option="--json")
    if continuous:
        if model is None or not soundbank:
            raise ValueError("--continuous needs MODEL and --soundbank DIR")
        banks, lists = tuple(soundbank), tuple(blueprint or ())
        splits = dict.fromkeys(banks) if everything else measured_splits(banks, split)
        left_out = read_left_out(leave_out, banks)
        drawn = Drawn(splits, lists, even_labels, recordings, minutes, seed, left_out)
        measure_model(model, device, drawn, json_file)
        return
    if reference is None:
        raise ValueError("give --reference R.tsv, or --continuous")
    if model is None and scores is not None and operating_points is not None:
        raise ValueError(
            "--scores and --operating-points cannot be combined; choose one"
        )
    truth: EventLists = read_strong(reference)
    if not truth:
        raise ValueError(f"{reference}: the list has no clips")
    notes = [f"{reference}: {name_list(truth) or f'unknown list {digest(truth)}'}"]
    with tempfile.TemporaryDirectory() as scratch:
        if model is not None:
            if audio is None:
                raise ValueError("--model needs --audio DIR, the folder of the clips")
            _refuse_subfolders(reference, truth)
            estimated = estimated or Path(scratch) / "estimated.tsv"
            scores = scores or Path(scratch)
            _run(model, device, audio, list(truth), Outputs("tsv", estimated, scores))
        elif estimated is None:
            raise ValueError("give --estimated E.tsv, or --model and --audio")
        found = read_strong(estimated)
        if model is not None:
            n_listed = len(truth)
            truth = {name: events for name, events in truth.items() if name in found}
            if len(truth) < n_listed:
                notes.append(
                    f"{n_listed - len(truth)} of {n_listed} clips are not in {audio} or "
                    "cannot be read, and were skipped"
                )
        card = score_lists(truth, found)
        if operating_points is not None:
            notes.append(f"PSDS is that of the operating points in {operating_points}")
        lengths = None if durations is None else read_durations(durations)
        rocs = _rocs(truth, lengths, scores, operating_points)
    card = replace(card, rocs=rocs, notes=notes + card.notes)
    _show(card)
    if json_file is not None:
        write(json_file, [json.dumps(card.to_dict(), indent=1) + "\n"])


def _one_model(name: str | None, model: str | None) -> str | None:
    """Return the model from the argument or the option."""
    if name is not None and model is not None:
        raise ValueError(
            f"--model {model}: the model is given twice, also as MODEL {name}"
        )
    return name if model is None else model


def _refuse_subfolders(reference: Path, truth: EventLists) -> None:
    """Raise a ValueError for a clip in a subfolder: results have names of files alone."""
    for name in truth:
        if Path(name).name != name:
            raise ValueError(
                f"{reference}: the clip {name} is in a subfolder; with --model, list clips "
                "that lie in --audio itself"
            )


def _run(
    model: str, device: str, audio: Path, names: Sequence[str], outputs: Outputs
) -> None:
    """Run the detector on the available clips and write its events."""
    paths = [audio / name for name in names if (audio / name).is_file()]
    if not paths:
        raise ValueError(f"--audio {audio}: no clips of the reference")
    if outputs.scores is not None:
        outputs.scores.mkdir(parents=True, exist_ok=True)
    job = FileJob(
        model=model,
        engine={"device": device},
        step=None,
        settle=None,
        latency=None,
        detection=DetectionSettings(),
        outputs=outputs,
        check_stream=False,
    )
    code = job.run(paths, recursive=False)
    if code == 130:
        raise KeyboardInterrupt
    if code == 2:
        raise ValueError(f"--audio {audio}: no readable clips, see above")


def _rocs(
    truth: EventLists,
    lengths: Mapping[str, float] | None,
    scores: Path | None,
    points: Path | None,
) -> tuple[PsdRoc, ...]:
    """Compute the curves for PSDS, if there is data for them."""
    reference = list(truth.values())
    labels = sorted({event.label for clip in reference for event in clip})
    if not labels or (scores is None and points is None):
        return ()
    if points is not None and lengths is not None:
        lists = [read_strong(path) for path in sorted(points.glob("*.tsv"))]
        if not lists:
            raise ValueError(f"--operating-points {points}: no *.tsv files")
        at_points = [[each.get(name, ()) for name in truth] for each in lists]
        known = _lengths(truth, lengths)
        return operating_point_rocs(reference, at_points, labels, durations=known)
    if scores is None:
        return ()
    tables = [read_scores(path, labels) for path in find_scores(scores, list(truth))]
    ends = [float(table.edges[-1]) for table in tables]
    known = ends if lengths is None else _lengths(truth, lengths)
    return psd_rocs(reference, tables, labels, durations=known)


def _lengths(truth: EventLists, lengths: Mapping[str, float]) -> list[float]:
    missing = [name for name in truth if name not in lengths]
    if missing:
        raise ValueError(
            f"--durations: the clip {missing[0]} of the reference is missing"
        )
    return [lengths[name] for name in truth]


def _show(card: Scorecard) -> None:
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(card.to_table())
