"""Fitting: what a run is trained and validated on, put together from its settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from streamsed.progress import track
from train.config.mixing import EVALUATION_MIXING
from train.config.train import TrainConfig
from train.datasets.clip_features import log_mel
from train.datasets.data_module import ClipSet
from train.datasets.evaluation_set import draw_evaluation_set
from train.datasets.scaling import Relative, Scaling, fit_scaling
from train.datasets.scene_batches import SceneDataset, scene_frames
from train.datasets.soundscapes import SoundscapeDataset
from train.evaluation.draws import Seed
from train.fit.checkpoint import LAST
from train.fit.losses import Criterion, SceneCriterion
from train.fit.machine.distributed import check_device, count_processes
from train.fit.machine.memory import keep_freed_memory
from train.fit.mean_teacher import MeanTeacher
from train.fit.train_step import Objective
from train.fit.trainer import Trainer
from train.mixing.mixer import Layout, Mixer
from train.mixing.scenes import SceneMixer
from train.mixing.soundbank import hold_to_bank, known_splits, load_banks

N_COUNTED = 200
"""Soundscapes drawn to count events by label (`n_k` of eq. 3)."""
N_FITTED = 100
"""Clips whose decibels a scaling is fitted to."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of a run that do not affect the result.

    Parameters
    ----------
    folder : Path
        Folder of the run.
    resume : bool
        Continue an existing run.
    device : str
        "auto", "cpu" or "cuda".
    n_workers : int
        Processes that make examples.
    tensorboard : bool
        See `train.fit.run_log.RunLog`.
    save_every : float
        Seconds between two checkpoints.
    compiled : bool
        See `train.fit.train_step.Learner`.
    init : Path, optional
        Another run with the same network, whose averaged weights are the first ones.
    """

    folder: Path
    resume: bool = False
    device: str = "auto"
    n_workers: int = 1
    tensorboard: bool = False
    save_every: float = 120.0
    compiled: bool = False
    init: Path | None = None

    def __post_init__(self) -> None:
        """Check the folder and the device, before hours of work."""
        if self.resume and self.init is not None:
            raise ValueError("--init and --resume cannot be combined; choose one")
        if self.init is not None and not (self.init / LAST).is_file():
            raise ValueError(f"--init {self.init}: no trained run ({LAST} is missing)")
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"--run {self.folder}: not a folder; name another")
        is_begun = (self.folder / LAST).exists()
        if is_begun and not self.resume:
            raise ValueError(
                f"--run {self.folder}: the folder exists; use --resume to continue the run"
            )
        if self.resume and not is_begun:
            raise ValueError(
                f"--run {self.folder}: no run to continue; leave out --resume to begin one"
            )
        check_device(self.device)


def fit_on_soundbank(
    config: TrainConfig,
    soundbank: Path,
    options: RunOptions,
    *,
    layouts: Sequence[Layout] = (),
    n_validation: int = 200,
) -> None:
    """Train on soundscapes of a bank, mixed as they are needed.

    With a manifest, split `train` is mixed and split `validation` measured now and then;
    without one, every file is mixed and nothing is measured.

    Parameters
    ----------
    config : TrainConfig
        Settings, of system "resnet".
    soundbank : Path
        See `train.mixing.soundbank`.
    options : RunOptions
        How the run goes.
    layouts : sequence of Layout
        Clips of lists; see `train.mixing.mixer.Mixer`.
    n_validation : int
        Validation soundscapes; 0 validates nothing.
    """
    _refuse_baseline(config)
    _prepare()
    rate, splits = config.frontend.sample_rate, known_splits([soundbank], "train")
    bank = load_banks(splits, sample_rate=rate)
    hold_to_bank(options.folder, bank, layouts, begun=options.resume)
    mixer = Mixer(bank, config.mixing, layouts)
    drawn = (
        mixer.mix(np.random.default_rng([config.seed, i])) for i in range(N_FITTED)
    )
    clips = track(drawn, "fitting the scaling", total=N_FITTED, unit="soundscapes")
    scaling = fit_scaling(
        config.scaling,
        (log_mel(each.samples, config.frontend) for each in clips),
        top_db=config.frontend.top_db,
    )
    dataset = SoundscapeDataset(
        mixer, config.frontend, scaling, seed=config.seed, augment=config.augment
    )
    no_weak_clips = [0] * len(bank.labels)
    objective = make_objective(config, dataset.count_events(N_COUNTED), no_weak_clips)
    validation = None
    if splits[soundbank] is not None and n_validation:
        unheard = load_banks({soundbank: "validation"}, sample_rate=rate)
        validation = draw_evaluation_set(
            Mixer(unheard, replace(EVALUATION_MIXING, layout=1.0), layouts),
            config.frontend,
            n_soundscapes=n_validation,
            seed=Seed.VALIDATION,
            scaling=scaling,
            labels=bank.labels,
        )
    trainer = _begin(config, bank.labels, objective, options, scaling=scaling)
    trainer.fit(
        dataset, validation, save_every=options.save_every, n_workers=options.n_workers
    )


def fit_on_scenes(
    config: TrainConfig,
    soundbanks: Sequence[Path],
    options: RunOptions,
    *,
    layouts: Sequence[Layout] = (),
    everything: bool = False,
    leave_out: Mapping[Path, Collection[str]] | None = None,
) -> None:
    """Train on segments of scenes; nothing is measured on the way.

    Parameters
    ----------
    config : TrainConfig
        Settings, with `scenes.duration` above 0.
    soundbanks : sequence of Path
        See `train.mixing.soundbank`; of those with a manifest, split `train` is mixed.
    options : RunOptions
        How the run goes.
    layouts : sequence of Layout
        Clips of lists; see `train.mixing.scenes.SceneMixer`.
    everything : bool
        Mix the other splits too: for what ships, once its settings are known.
    leave_out : mapping of Path to collection of str, optional
        By bank, the recordings that are not used; see
        `train.mixing.soundbank.read_leave_out`.

    Raises
    ------
    ValueError
        A scene is shorter than a segment, the scaling is not the one that the device
        computes, or several processes train: they would all learn from the same scenes.
    """
    if (n_processes := count_processes()) > 1:
        raise ValueError(
            f"scenes.duration={config.scenes.duration} must be 0 in a run of {n_processes} "
            "processes, which cannot share scenes; start it without torchrun"
        )
    _refuse_baseline(config)
    _prepare()
    if config.scaling != "relative":
        raise ValueError(f"scaling={config.scaling} must be relative for scenes")
    if scene_frames(config) < config.frontend.segment_frames:
        raise ValueError(
            f"scenes.duration={config.scenes.duration} must be that of a segment at least"
        )
    bank = load_banks(
        dict.fromkeys(soundbanks) if everything else known_splits(soundbanks, "train"),
        sample_rate=config.frontend.sample_rate,
        leave_out=leave_out,
    )
    hold_to_bank(options.folder, bank, layouts, begun=options.resume)
    mixer = SceneMixer(bank, config.scenes, layouts)
    dataset = SceneDataset(mixer, config)
    criterion = SceneCriterion(
        [len(bank.foreground[label]) for label in bank.labels],
        alpha=config.alpha,
        auxiliary=config.auxiliary,
        edge=config.edge,
        n_edge=round(1.0 / config.frontend.score_frame_duration),
    )
    trainer = _begin(
        config,
        bank.labels,
        criterion,
        options,
        scaling=Relative(top_db=config.frontend.top_db),
        n_auxiliary=len(mixer.kinds) if config.auxiliary else 0,
    )
    trainer.fit(dataset, save_every=options.save_every, n_workers=options.n_workers)


def fit_on_clips(config: TrainConfig, clips: ClipSet, options: RunOptions) -> None:
    """Train on recorded clips, or on others laid out like them.

    Parameters
    ----------
    config : TrainConfig
        Settings; those that `clips` was loaded with.
    clips : ClipSet
        What is trained and measured on.
    options : RunOptions
        How the run goes.
    """
    _prepare()
    objective = make_objective(config, clips.strong_counts, clips.weak_counts)
    trainer = _begin(config, clips.labels, objective, options, scaling=clips.scaling)
    trainer.fit(
        clips.training,
        clips.validation,
        held_out=clips.held_out,
        save_every=options.save_every,
        n_workers=options.n_workers,
    )


def make_objective(
    config: TrainConfig, strong_counts: Sequence[int], weak_counts: Sequence[int]
) -> Objective:
    """Make the loss of a system: the report's, or the baseline's."""
    if config.system == "crnn":
        return MeanTeacher(ramp=config.ramp)
    return Criterion(strong_counts, weak_counts, alpha=config.alpha)


def _refuse_baseline(config: TrainConfig) -> None:
    """Raise a ValueError for a system that learns from what no soundbank has."""
    if config.system != "resnet":
        raise ValueError(
            f"system={config.system} must be resnet to train on a soundbank, which has no "
            "weak, unlabelled or held-out clips; use --data, or another --preset"
        )


def _begin(
    config: TrainConfig,
    labels: tuple[str, ...],
    objective: Objective,
    options: RunOptions,
    *,
    scaling: Scaling,
    n_auxiliary: int = 0,
) -> Trainer:
    """Go on where the run was, or begin where another one ended, if so asked."""
    trainer = Trainer(
        config,
        labels,
        objective,
        options.folder,
        scaling=scaling,
        device=options.device,
        tensorboard=options.tensorboard,
        n_auxiliary=n_auxiliary,
        compiled=options.compiled,
    )
    if options.resume:
        trainer.resume()
    elif options.init is not None:
        trainer.begin_with(options.init)
    return trainer


def _prepare() -> None:
    """Set what makes training faster in this process."""
    keep_freed_memory()
    torch.set_flush_denormal(True)
