"""`python -m train fit`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from train.annotations.desed import Desed
from train.annotations.desed_version import describe_data
from train.cli.options import (
    Blueprints,
    Device,
    ExampleWorkers,
    LeaveOut,
    Resume,
    SaveEvery,
    Without,
    is_first_process,
    read_layouts,
    read_left_out,
)
from train.config.preset import load_preset, preset_names
from train.config.train import TrainConfig
from train.datasets.data_module import ClipSet, lacking_sets
from train.experiments.run_data import hold_to_data
from train.export.exporter import why_unexportable
from train.fit.outcome import RunOutcome
from train.fit.run import (
    RunOptions,
    fit_on_clips,
    fit_on_scenes,
    fit_on_soundbank,
)
from train.mixing.soundbank import known_split

USAGE = (
    "give --soundbank DIR (optionally with --blueprint) or --data DIR; several banks and "
    "--everything need a preset that mixes scenes, such as --preset default"
)

NEEDS = {
    "clips": "--data",
    "scenes": "--soundbank and a preset that mixes scenes, such as --preset default",
    "soundscapes": "--soundbank and a preset without scenes, such as --preset small",
}
"""Options that choose what a run is trained on."""
N_VALIDATION = 200
"""Default number of validation soundscapes."""


def fit(
    *,
    run: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Folder of the run: logs and checkpoints."),
    ],
    soundbank: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Train on mixtures of isolated sounds: DIR/foreground/<Label>/*, "
            "DIR/background/**, and optionally DIR/manifest.csv (path, split). "
            "Repeatable with a preset that mixes scenes.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Train on recorded clips instead: DESED 2019, or a data set with its layout.",
        ),
    ] = None,
    blueprint: Blueprints = None,
    preset: Annotated[
        str, typer.Option(help=f"Preset of settings: {', '.join(preset_names())}.")
    ] = "small",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting, in TOML: alpha=0.1, network.self_mask=false; "
            "repeated.",
        ),
    ] = None,
    width: Annotated[int | None, typer.Option(help="Channels of the stem.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Training time in minutes, instead of --steps.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of weights and mixtures.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
    workers: ExampleWorkers = 1,
    device: Device = "auto",
    resume: Resume = False,
    init: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Begin with the weights of another run of the same network; with scenes "
            "its other kinds of sounds may differ.",
        ),
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write TensorBoard files.")
    ] = False,
    n_validation: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Number of validation soundscapes; 0 for no validation. "
            f"[default: {N_VALIDATION}]",
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--everything",
            help="Train on all splits of the bank, without validation.",
        ),
    ] = False,
    leave_out: LeaveOut = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the network.")
    ] = False,
    save_every: SaveEvery = 120.0,
    without: Without = None,
) -> None:
    """Train a network; an interrupted run can be resumed.

    With a manifest, split `train` of the bank is used for training and split `validation`
    for validation; without one, all files are used for training. For several GPUs, run
    `torchrun --nproc-per-node N -m -- train fit ...`, with a preset without scenes.
    """
    config = load_preset(
        preset,
        settings or (),
        width=width,
        steps=steps,
        minutes=minutes,
        seed=seed,
        threads=threads,
    )
    of_scenes = {"leave-out": leave_out, "everything": everything, "compile": compiled}
    _refuse_unused(config, data, of_scenes, n_validation, without)
    options = RunOptions(
        *(run, resume, device, workers, tensorboard, save_every, compiled),
        init=init,
    )
    banks = soundbank or []
    if banks and data is None and config.scenes.duration:
        fit_on_scenes(
            config,
            banks,
            options,
            layouts=read_layouts(blueprint),
            everything=everything,
            leave_out=read_left_out(leave_out, banks),
        )
    elif data is not None and not banks and not blueprint:
        _fit_on_data(config, data, options, without or ())
    elif len(banks) == 1 and data is None and not everything:
        fit_on_soundbank(
            config,
            banks[0],
            options,
            layouts=read_layouts(blueprint),
            n_validation=N_VALIDATION if n_validation is None else n_validation,
        )
    else:
        raise ValueError(USAGE)
    if is_first_process():
        for line in RunOutcome.read(run).lines():
            print(line)
        print(_next_step(config, run, banks, everything=everything))


def _fit_on_data(
    config: TrainConfig, data: Path, options: RunOptions, without: Sequence[str]
) -> None:
    """Train on recorded clips, those that the run was begun with."""
    desed, run = Desed.load(data), options.folder
    clips = ClipSet.load(
        desed,
        config,
        cache=run / "features",
        n_processes=max(options.n_workers, 1),
        without=without,
    )
    print(describe_data(clips.used, lacking=lacking_sets(config, without)))
    hold_to_data(run, desed, clips, begun=options.resume)
    fit_on_clips(config, clips, options)


def _refuse_unused(
    config: TrainConfig,
    data: Path | None,
    of_scenes: Mapping[str, object],
    n_validation: int | None,
    without: Sequence[str] | None,
) -> None:
    """Raise a ValueError for options that would have no effect."""
    on = "clips" if data else "scenes" if config.scenes.duration else "soundscapes"
    options = {
        "clips": {"without": without},
        "scenes": of_scenes,
        "soundscapes": {"n-validation": n_validation},
    }
    for kind, values in options.items():
        for name, value in values.items():
            given = value is not None and value is not False  # 0 is a number of its own
            if given and kind != on:
                raise ValueError(f"--{name} needs {NEEDS[kind]}")


def _next_step(
    config: TrainConfig, run: Path, banks: Sequence[Path], *, everything: bool
) -> str:
    """Return the command that exports the run, or why none does.

    It measures and tunes on the banks if they have recordings that were not trained on.
    """
    reason = why_unexportable(config, config.scaling)
    if reason is not None:
        return f"not for export: {reason}"
    words = ["python", "-m", "train", "export", str(run), "--output", f"{run.name}.pt"]
    if banks and not everything and all(known_split(b, "validation") for b in banks):
        for bank in banks:
            words += ["--soundbank", str(bank)]
        words += ["--split", "validation", "--tune"]
    return f"next: {shlex.join(words)}"
