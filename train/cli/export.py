"""`python -m train export`."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from streamsed.config import PostConfig
from streamsed.inference.model_file import ModelFile, ModelInfo
from streamsed.inference.selection import engine_order
from streamsed.inference.thresholds.operating_points import (
    OperatingPoint,
    choose_point,
)
from streamsed.terminal import percent
from train.cli.options import (
    Blueprints,
    LeaveOut,
    MeasuredSplit,
    SoundscapeCount,
    check_output,
    measured_splits,
    read_layouts,
    read_left_out,
)
from train.export.engine_check import CheckSet
from train.export.exporter import TORCHSCRIPT, export_model, refuse_unexportable
from train.export.formats import EXPORT_FORMATS
from train.export.model_file import with_operating_points
from train.export.operating_points import Tuned, points_for, read_operating_points
from train.export.release import Finished, finish
from train.fit.checkpoint import (
    BEST,
    LAST,
    TrainedNetwork,
    load_ensemble,
    load_trained,
)
from train.metrics.f1 import F1
from train.mixing.mixer import Layout
from train.mixing.soundbank import (
    describe_split,
    load_banks,
    name_part,
)
from train.provenance import current_command

DATA = "soundscapes mixed from a bank of isolated sounds"
"""Default description of the training data."""


def export(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="Folder of a run; or a model file, to replace its operating points by "
            "--operating-points.",
        ),
    ],
    *,
    output: Annotated[Path, typer.Option(metavar="FILE", help="The model file.")],
    soundbank: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Bank of sounds to measure on; repeatable."),
    ] = None,
    split: MeasuredSplit = None,
    leave_out: LeaveOut = None,
    blueprint: Blueprints = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the model. [default: FILE's stem]"),
    ] = None,
    n: SoundscapeCount = 300,
    tune: Annotated[
        bool,
        typer.Option(
            "--tune", help="Calibrate scores and choose thresholds per label."
        ),
    ] = False,
    last: Annotated[
        bool, typer.Option("--last", help=f"Export {LAST} instead of the best {BEST}.")
    ] = False,
    ensemble: Annotated[
        bool,
        typer.Option(
            "--ensemble",
            help=f"Export the ensemble of all {BEST}, as in the report's best systems.",
        ),
    ] = False,
    operating_points: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="Thresholds from `train tune` of a run trained the same way on fewer recordings.",
        ),
    ] = None,
    data: Annotated[str, typer.Option(help="Description of the training data.")] = DATA,
    to: Annotated[
        str,
        typer.Option(
            metavar="FORMAT",
            help=f"{TORCHSCRIPT} (the runtime's, with graphs for every engine), "
            f"{', '.join(EXPORT_FORMATS)}.",
        ),
    ] = TORCHSCRIPT,
) -> None:
    """Export a run's best network to a model file, and check it.

    Every engine is compared with the network, on the bank or on the example scene.

    With --soundbank, its event F1 on soundscapes of seed 2 is stored in the file; with
    --tune as well, scores are calibrated and thresholds and minimum durations chosen on
    those of seed 3, with at most 6 false alarms in an hour without events (seed 4).
    """
    if run.is_file():
        own = {"soundbank": soundbank, "name": name, "last": last, "ensemble": ensemble}
        _refuse_unused(run, {**own, "data": data, "to": to})
        _replace_points(run, output, operating_points)
        return
    if name is not None and not name.strip():
        raise ValueError("--name must not be empty")
    if to not in (TORCHSCRIPT, *EXPORT_FORMATS):
        raise ValueError(
            f"--to must be {TORCHSCRIPT}, {', '.join(EXPORT_FORMATS)}, not {to!r}"
        )
    trained = _load(run, ensemble=ensemble, last=last)
    refuse_unexportable(trained, output, to)
    check_output(output, option="--output")
    check_set, post = None, PostConfig()
    scores: dict[str, Any] = {}
    tuned = Tuned([], [], {})
    if operating_points is not None:
        tuned = points_for(operating_points, trained.labels)
    if soundbank:
        splits = measured_splits(soundbank, split)
        layouts = read_layouts(blueprint)
        left_out = read_left_out(leave_out, soundbank)
        finished = _finish(trained, splits, layouts, left_out, n=n, tune=tune)
        check_set, post, scores = finished.check_set, finished.post, finished.scores
        _print_f1(finished.f1)
        for folder, each in splits.items():
            print(describe_split(folder, each))
    if operating_points is not None:
        post = choose_point(
            tuned.points, trained.labels, sensitivity="normal", settle=10.0
        ).post
        scores = {"continuous": tuned.figures}  # of recordings not trained on
    info = export_model(
        trained,
        output,
        name=name or output.stem,
        check_set=check_set or CheckSet.of_the_scene(trained.config.frontend),
        to=to,
        post=post,
        operating_points=tuned.points,
        recall_curves=tuned.recall,
        scores=scores,
        provenance={"data": data, "command": current_command()},
    )
    print(f"{output}: {info.parameters} parameters, {info.gmac} GMAC per segment")
    _print_engines(info)
    if to == TORCHSCRIPT:
        print(f"next: {shlex.join(['streamsed', 'listen', '--model', str(output)])}")


def _refuse_unused(model: Path, options: Mapping[str, object]) -> None:
    """Raise a ValueError for options that have no effect on a model file."""
    for name, value in options.items():
        if value not in (None, False, [], DATA, TORCHSCRIPT):
            raise ValueError(f"--{name} needs the folder of a run, not {model}")


def _finish(
    trained: TrainedNetwork,
    splits: Mapping[Path, str | None],
    layouts: Sequence[Layout],
    left_out: Mapping[Path, Collection[str]],
    *,
    n: int,
    tune: bool,
) -> Finished:
    """Measure and perhaps tune a network on splits of banks."""
    rate = trained.config.frontend.sample_rate
    bank = load_banks(splits, sample_rate=rate, leave_out=left_out)
    part = ", ".join(sorted({name_part(each) for each in splits.values()}))
    return finish(trained, bank, layouts=layouts, n=n, tune=tune, part=part)


def _print_f1(f1: F1) -> None:
    """Print event F1, by label but for those without an event."""
    for label, value in f1.per_label.items():
        shown = "-" if label in f1.absent else f"{100 * value:.1f}"
        print(f"{label:<30}{shown:>6}")
    print(f"{'macro':<30}{100 * f1.macro:>6.1f}")
    print(f"{'micro':<30}{100 * f1.micro:>6.1f}")


def _load(run: Path, *, ensemble: bool, last: bool) -> TrainedNetwork:
    """Read the requested network from a run's folder."""
    return load_ensemble(run) if ensemble else load_trained(run, best=not last)


def _replace_points(model: Path, output: Path, operating_points: Path | None) -> None:
    """Write a model file with other operating points, if its own settings are among them."""
    if operating_points is None:
        raise ValueError(
            f"{model}: a model file; give the folder of a run, or --operating-points"
        )
    tuned = read_operating_points(operating_points)
    if not tuned.recall:
        raise ValueError(
            f"{operating_points}: has no recall curves; run `python -m train tune` again"
        )
    if not _holds_settings(tuned.points, ModelFile.open(model).info):
        raise ValueError(
            f"{operating_points}: has other thresholds of normal sensitivity than {model}, "
            "whose engines were checked with its own; export the run again"
        )
    info = with_operating_points(model, output, tuned)
    print(
        f"{output}: {info.name} with {len(info.operating_points)} operating points and the "
        f"recall of {len(info.labels)} labels"
    )


def _holds_settings(points: Sequence[OperatingPoint], info: ModelInfo) -> bool:
    """Return whether the points hold the settings that a model uses by itself."""
    if not points:
        return not info.operating_points
    settle = info.stream.settled
    normal = choose_point(points, info.labels, sensitivity="normal", settle=settle)
    return normal.post == info.post


def _print_engines(info: ModelInfo) -> None:
    """Print whether each engine gives the same events as the network."""
    for engine, record in info.engines.items():
        if "failed" in record:
            print(f"{engine:<18} failed: {record['failed']}")
            continue
        accepted = "accepted" if record["accepted"] else "not accepted"
        print(
            f"{engine:<18} {accepted}: scores within {record['max_difference']:.2g}, "
            f"{percent(record['events_changed'])} of events differed"
        )
    names = [" ".join(each) for each in engine_order()]
    untried = [each for each in names if info.engines and each not in info.engines]
    if untried:
        print(f"not tried, as this machine does not have them: {', '.join(untried)}")
