"""The command line of training: options to settings, settings to work."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import torch
import typer

from streamsed.artefact import find_model
from streamsed.config import FrontendConfig, PostConfig
from train.agreement import Trial
from train.checkpoint import BEST, LAST, TrainedNetwork, load_trained
from train.config import load_preset, preset_names
from train.dataset import SoundscapeDataset
from train.evaluate import (
    Recordings,
    draw_recordings,
    isolated_recordings,
    network_scores,
    recognition_rates,
    score_events,
    score_psds,
    score_with,
)
from train.export import TORCHSCRIPT, export_model
from train.forms import FORMS
from train.loop import Trainer
from train.losses import Criterion
from train.memory import keep_freed_memory
from train.metrics import EventF1
from train.rules import PLAIN
from train.soundbank import Soundbank
from train.soundscapes import Mixer, write_soundscapes
from train.tuning import tune_post

UsageError: Any = typer.BadParameter.__mro__[1]  # typer brings its own or click's

app = typer.Typer(
    name="python -m train",
    help="Train a sound event detector, measure it and export it to a model file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

BankOption = Annotated[
    Path,
    typer.Option(
        "--soundbank",
        metavar="DIR",
        help="Isolated sounds: DIR/foreground/<Label>/*, DIR/background/**, and "
        "DIR/manifest.csv (path, split) where splits are wanted.",
    ),
]
SplitOption = Annotated[
    str | None, typer.Option(help="Split of the manifest; without it, every file.")
]


def main() -> NoReturn:
    """Run the command line; what a user did wrong becomes one line and exit code 2."""
    try:
        code = app(standalone_mode=False) or 0
    except UsageError as error:
        code = _fail(error.format_message())
    except KeyboardInterrupt:
        code = 130
        print("train: interrupted; `fit --resume` goes on", file=sys.stderr)
    except (OSError, ValueError, FloatingPointError) as error:
        code = _fail(str(error))
    sys.exit(code)


def _fail(message: str) -> int:
    print(f"train: error: {' '.join(message.split())}", file=sys.stderr)
    return 2


@app.command()
def fit(
    *,
    soundbank: BankOption,
    run: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Where the run lives: logs, checkpoints."),
    ],
    preset: Annotated[
        str, typer.Option(help=f"Settings to start from: {', '.join(preset_names())}.")
    ] = "small",
    width: Annotated[int | None, typer.Option(help="Channels of the stem.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length of the run.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Length of the run, instead of --steps.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights and mixtures.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with --run.")] = False,
    n_validation: Annotated[
        int, typer.Option(help="Validation soundscapes; 0 validates nothing.")
    ] = 200,
) -> None:
    """Train on soundscapes that are mixed as they are needed.

    With a manifest, split `train` is mixed and split `validation` measured now and then;
    without one, every file is mixed and nothing is measured.
    """
    config = load_preset(
        preset, width=width, steps=steps, minutes=minutes, seed=seed, threads=threads
    )
    if not resume and (run / LAST).exists():
        raise ValueError(f"run={run} must be new, or go on with --resume")
    keep_freed_memory()
    torch.set_flush_denormal(True)
    has_splits = (soundbank / "manifest.csv").is_file()
    bank = Soundbank.load(soundbank, split="train" if has_splits else None)
    dataset = SoundscapeDataset(
        Mixer(bank), FrontendConfig(), seed=config.seed, augment=True
    )
    no_weak_clips = [0] * len(bank.labels)
    criterion = Criterion(dataset.count_events(200), no_weak_clips, alpha=config.alpha)
    trainer = Trainer(config, bank.labels, criterion, run)
    if resume:
        trainer.resume()
    validation = None
    if has_splits and n_validation:
        validation = _recordings(soundbank, "validation", n_validation, seed=1)
    trainer.fit(dataset, validation)


@app.command()
def soundscapes(
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")],
    *,
    soundbank: BankOption,
    split: SplitOption = None,
    n: Annotated[int, typer.Option("--n", min=1, help="How many.")] = 300,
    seed: Annotated[int, typer.Option(help="Which.")] = 1,
) -> None:
    """Write soundscapes: OUT/audio/*.flac, and OUT/strong.tsv with their events."""
    mixer = Mixer(Soundbank.load(soundbank, split=split), PLAIN)
    print(write_soundscapes(output, mixer, n_soundscapes=n, seed=seed))


@app.command()
def evaluate(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|MODEL", help="A run's folder, a model file or a shipped name."
        ),
    ],
    *,
    soundbank: BankOption,
    split: SplitOption = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Soundscapes.")] = 300,
    seed: Annotated[int, typer.Option(help="Which soundscapes.")] = 2,
) -> None:
    """Measure event F1 and PSDS on soundscapes, and count isolated clips recognised."""
    if not model.is_dir():
        find_model(model)
    bank = Soundbank.load(soundbank, split=split)
    frontend = FrontendConfig()
    mixtures = draw_recordings(Mixer(bank, PLAIN), frontend, n_soundscapes=n, seed=seed)
    scored = score_with(model, mixtures.segments)
    if scored.labels != bank.labels:
        raise ValueError(f"labels={bank.labels} of the bank must be the model's")
    result = score_events(scored.scores, mixtures, scored.post, frontend)
    areas = score_psds(scored.scores, mixtures, frontend)
    alone = isolated_recordings(bank, frontend)
    rates = recognition_rates(score_with(model, alone.segments).scores, alone)
    _print_table(result, rates)
    print(f"PSDS 1 {areas[0]:.3f}, PSDS 2 {areas[1]:.3f}")


@app.command()
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
    *,
    output: Annotated[Path, typer.Option(metavar="FILE", help="The model file.")],
    soundbank: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Measure on soundscapes of this bank."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split of the bank; without it, every file.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="What the model is called. [default: FILE's stem]"),
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Soundscapes measured.")] = 300,
    tune: Annotated[
        bool, typer.Option("--tune", help="Choose thresholds for each label.")
    ] = False,
    last: Annotated[
        bool, typer.Option("--last", help=f"Take {LAST} rather than {BEST}.")
    ] = False,
    data: Annotated[
        str, typer.Option(help="What the model was trained on, in words.")
    ] = "soundscapes mixed from a bank of isolated sounds",
    to: Annotated[
        str,
        typer.Option(
            metavar="FORM",
            help=f"{TORCHSCRIPT} (the runtime's form, with graphs for other engines), "
            f"{', '.join(FORMS)}.",
        ),
    ] = TORCHSCRIPT,
) -> None:
    """Write a run's best network to a model file that describes itself, and check it.

    Every engine is compared with the network, on the example scene or on the bank. With --soundbank, its event F1 on soundscapes of seed 2 is written into it; with
    --tune as well, thresholds and shortest durations are chosen on those of seed 3.
    """
    if to not in (TORCHSCRIPT, *FORMS):
        raise ValueError(f"--to={to} must be {TORCHSCRIPT}, {', '.join(FORMS)}")
    trained = load_trained(run, best=not last)
    post, scores = PostConfig(), {}
    trial = None
    if soundbank is not None:
        if tune:
            tuning = _recordings(soundbank, split, n, seed=3)
            heard = list(network_scores(trained.network, tuning.segments))
            post = tune_post(heard, tuning, FrontendConfig())
        measured = _recordings(soundbank, split, n, seed=2)
        heard = list(network_scores(trained.network, measured.segments))
        result = score_events(heard, measured, post, FrontendConfig())
        scores = result.to_dict()
        scores["data"] = (
            f"{n} soundscapes of seed 2, split {split}, of a sound bank"
            + ("; thresholds tuned on others of the same recordings" if tune else "")
        )
        others = _recordings(soundbank, split, min(n, 64), seed=4)
        trial = Trial(measured.segments, others.segments, measured.reference)
        _print_table(result, {})
    elif tune:
        raise ValueError("tune=True must come with --soundbank")
    info = export_model(
        trained,
        output,
        name=name or output.stem,
        trial=trial or Trial.of_the_scene(FrontendConfig()),
        to=to,
        post=post,
        scores=scores,
        provenance={"data": data, "command": shlex.join(_fit_command(run, trained))},
    )
    print(f"{output}: {info.parameters} parameters, {info.gmac} GMAC a segment")
    for engine, record in info.engines.items():
        accepted = "accepted" if record["accepted"] else "not accepted"
        print(
            f"{engine:<18} {accepted}: scores within {record['max_difference']:.2g}, "
            f"{record['events_changed']:.1%} of the events changed"
        )


def _fit_command(run: Path, trained: TrainedNetwork) -> list[str]:
    """Say which command trained a run."""
    config = trained.config
    length = (
        ["--steps", str(config.steps)]
        if config.minutes is None
        else ["--minutes", f"{config.minutes:g}"]
    )
    command = ["python", "-m", "train", "fit", "--soundbank", "DIR", "--run", run.name]
    command += ["--width", str(config.width), "--seed", str(config.seed)]
    return command + length


def _recordings(
    soundbank: Path, split: str | None, n_soundscapes: int, *, seed: int
) -> Recordings:
    """Draw plain soundscapes of a split."""
    mixer = Mixer(Soundbank.load(soundbank, split=split), PLAIN)
    return draw_recordings(
        mixer, FrontendConfig(), n_soundscapes=n_soundscapes, seed=seed
    )


def _print_table(result: EventF1, rates: dict[str, tuple[int, int]]) -> None:
    """Print event F1 per label and how many isolated clips were recognised."""
    print(f"{'event F1 (%)':<30}{'mixtures':>9}{'isolated clips named':>24}")
    for label, f1 in result.per_label.items():
        right, n_all = rates.get(label, (0, 0))
        named = f"{right} of {n_all}" if n_all else ""
        print(f"{label:<30}{100 * f1:>9.1f}{named:>24}")
    print(f"{'macro':<30}{100 * result.macro:>9.1f}")
    print(f"{'micro':<30}{100 * result.micro:>9.1f}")
