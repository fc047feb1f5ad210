"""`python -m train adapt`: train a model file further on own recordings."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from streamsed.audio.decode import file_chunks
from streamsed.inference.model_file import ModelFile, ModelInfo, find_model
from streamsed.inference.thresholds.operating_points import (
    OperatingPoint,
    choose_point,
)
from train.adaptation.comparison import N_SOUNDSCAPES, Candidate, Comparison, compare
from train.adaptation.fit import AdaptOptions, adapt
from train.adaptation.own_sounds import OwnSounds
from train.adaptation.restore import restore
from train.adaptation.settings import adapted_curves, adapted_points
from train.cli.options import (
    ExampleWorkers,
    LeaveOut,
    Resume,
    SoundscapeCount,
    check_output,
    read_left_out,
)
from train.config.mixing import EVALUATION_MIXING
from train.datasets.evaluation_set import draw_evaluation_set
from train.evaluation.draws import Seed
from train.export.engine_check import SCENE, CheckSet
from train.export.exporter import export_model
from train.fit.checkpoint import TrainedNetwork
from train.mixing.mixer import Mixer
from train.mixing.soundbank import (
    Clip,
    Soundbank,
    active_regions,
    known_split,
    known_splits,
    load_banks,
)
from train.provenance import current_command

N_CHECKED = 16
"""Soundscapes of own recordings on which engines are compared, besides the scene."""


def adapt_command(
    model: Annotated[
        str, typer.Argument(metavar="NAME|PATH", help="A shipped model or a file.")
    ],
    *,
    soundbank: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Your recordings: DIR/foreground/<Label>/*, DIR/background/**, and "
            "optionally DIR/manifest.csv (path, split).",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The model file.")
    ] = Path("my.pt"),
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the run. [default: runs/NAME, with the name of --output]",
        ),
    ] = None,
    rehearse: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Bank of shipped labels to train on too (split train of its manifest, if it "
            "has one); repeatable.",
        ),
    ] = None,
    measure: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Bank of shipped labels to measure on (split validation of its manifest, if "
            "it has one); repeatable. [default: --rehearse]",
        ),
    ] = None,
    leave_out: LeaveOut = None,
    minutes: Annotated[float, typer.Option(help="Training time in minutes.")] = 6.0,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps, instead of --minutes.")
    ] = None,
    learning_rate: Annotated[float, typer.Option(help="Maximum learning rate.")] = 1e-2,
    everything: Annotated[
        bool,
        typer.Option(
            "--everything",
            help="Train on all your recordings, without a held-out part.",
        ),
    ] = False,
    n: SoundscapeCount = N_SOUNDSCAPES,
    batch_size: Annotated[int, typer.Option(min=2, help="Segments per step.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the mixtures.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 2,
    workers: ExampleWorkers = 1,
    resume: Resume = False,
) -> None:
    """Train a model further on your own recordings, for new labels or for its own.

    The scores of the other labels do not change. In a folder without a manifest, every
    fourth recording of a label is held out; the table shows event F1 before and after, on
    the held-out recordings and on --measure.
    """
    if not 0 < minutes < 1e5:
        raise ValueError(f"--minutes must be positive, not {minutes}")
    check_output(output, option="--output")
    options = AdaptOptions(
        run or Path("runs") / output.stem,
        steps=steps,
        minutes=minutes,
        learning_rate=learning_rate,
        batch_size=batch_size,
        seed=seed,
        threads=threads,
        n_workers=workers,
        resume=resume,
    )
    file = ModelFile.open(find_model(model))
    base = restore(file)
    rate = base.config.frontend.sample_rate
    own = OwnSounds.load(
        soundbank, base.labels, everything=everything, sample_rate=rate
    )
    left_out = read_left_out(leave_out, [*(rehearse or ()), *(measure or ())])
    rehearsed = _banks(rehearse, "train", left_out, base)
    measured = _banks(measure or rehearse, "validation", left_out, base)
    trained = adapt(base, own, options, others=_examples(own), rehearsed=rehearsed)
    points = adapted_points(
        file.info, own.new, own.taught, rehearsed=rehearsed is not None
    )
    comparison = _compare(file.info, base, trained, own, measured, n, points)
    for line in comparison.lines():
        print(line)
    for bank in measured_on_what_was_rehearsed(rehearse or [], measure):
        print(
            f"note: {bank} has no manifest.csv, so that the recordings rehearsed are those "
            "measured on, and the figures of its labels are too good"
        )
    _export(file, trained, own, output, comparison, soundbank, points)
    print(f"next: {shlex.join(['streamsed', 'listen', '--model', str(output)])}")


def measured_on_what_was_rehearsed(
    rehearse: Sequence[Path], measure: Sequence[Path] | None
) -> list[Path]:
    """List banks without splits that are both rehearsed and measured on, as all are by default."""
    shared = [each for each in rehearse if not measure or each in measure]
    return [each for each in shared if known_split(each, "validation") is None]


def _banks(
    folders: list[Path] | None,
    split: str,
    left_out: Mapping[Path, Collection[str]],
    base: TrainedNetwork,
) -> Soundbank | None:
    """Read banks of the model's labels; all files of those without a manifest."""
    if not folders:
        return None
    bank = load_banks(
        known_splits(folders, split),
        sample_rate=base.config.frontend.sample_rate,
        leave_out=left_out,
    )
    if set(bank.labels).isdisjoint(base.labels):
        raise ValueError(
            f"{folders[0]}: none of its labels ({', '.join(bank.labels)}) is one of the "
            f"model ({', '.join(base.labels)})"
        )
    return bank


def _examples(own: OwnSounds) -> list[Clip]:
    """Return the sounds of the example scene, none of which has a new label."""
    rate = own.taught.sample_rate
    samples = np.concatenate(list(file_chunks(SCENE, sample_rate=rate)))
    regions = active_regions(samples, rate)
    return [Clip(samples[a:b], ((0, b - a),)) for a, b in regions]


def _compare(
    info: ModelInfo,
    base: TrainedNetwork,
    trained: TrainedNetwork,
    own: OwnSounds,
    measured: Soundbank | None,
    n: int,
    points: Sequence[OperatingPoint],
) -> Comparison:
    settle = info.stream.settled
    before = info.operating_point(settle=settle).post
    after = choose_point(points, own.labels, sensitivity="normal", settle=settle).post
    return compare(
        Candidate(base, before),
        Candidate(trained, after),
        held_out=own.held_out,
        taught=own.taught,
        measured=measured,
        n=n,
    )


def _export(
    file: ModelFile,
    trained: TrainedNetwork,
    own: OwnSounds,
    output: Path,
    comparison: Comparison,
    soundbank: Path,
    points: Sequence[OperatingPoint],
) -> None:
    """Write the model file; compare all engines on the scene and own recordings."""
    info = file.info
    post = choose_point(
        points, own.labels, sensitivity="normal", settle=info.stream.settled
    ).post
    config = trained.config.frontend
    mixed = draw_evaluation_set(
        Mixer(own.taught, EVALUATION_MIXING),
        config,
        n_soundscapes=N_CHECKED,
        seed=Seed.RANGES,
        scaling=trained.scaling,
    )
    segments = np.concatenate([CheckSet.of_the_scene(config).segments, mixed.segments])
    written = export_model(
        trained,
        output,
        name=output.stem,
        check_set=CheckSet(segments, segments),
        post=post,
        operating_points=points if info.operating_points else (),
        recall_curves=adapted_curves(info, own.taught.foreground),
        scores={"adaptation": comparison.to_dict()},
        provenance={
            "data": f"{info.name} (SHA-256 {file.sha256}), adapted to "
            f"{own.taught.n_clips} recordings of {', '.join(own.taught.labels)} in "
            f"{soundbank.name}",
            "command": current_command(),
        },
    )
    accepted = [name for name, record in written.engines.items() if record["accepted"]]
    print(f"{output}: {len(written.labels)} labels; accepted: {', '.join(accepted)}")
