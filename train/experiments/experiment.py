"""Runs of an experiment: trained, gone on with, or taken as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from train.annotations.desed import Desed
from train.config.preset import load_preset
from train.config.train import TrainConfig
from train.datasets.data_module import ClipSet
from train.fit.checkpoint import LAST, read_checkpoint
from train.fit.run import RunOptions, fit_on_clips

BASELINE, STRONGER, WEAKER = "baseline_crnn", "nec_alpha_0.1", "nec_alpha_0.01"
"""Presets."""


@dataclass(slots=True)
class Experiment:
    """Train what is missing, in a folder of runs.

    Parameters
    ----------
    desed : Desed
        The data, or a set laid out like it.
    folder : Path
        Where runs and features go.
    settings : sequence of str
        Lines of TOML that go over every preset.
    baseline_settings : sequence of str or None
        Those that go over the baseline's instead; None takes the same.
    overlay : str or None
        A preset whose settings go over every preset.
    device : str
        "auto", "cpu" or "cuda".
    n_workers : int
        Processes that make examples, and features.
    save_every : float
        Seconds between two checkpoints.
    """

    desed: Desed
    folder: Path
    settings: Sequence[str] = ()
    overlay: str | None = None
    device: str = "auto"
    n_workers: int = 1
    baseline_settings: Sequence[str] | None = None
    save_every: float = 120.0

    def fit(
        self, preset: str, *, name: str | None = None
    ) -> tuple[Path, ClipSet, TrainConfig]:
        """Train a preset, or go on with it, or take it as it is if it is done.

        Its run is called `name`, or else as the preset is.
        """
        settings = self.settings
        if preset == BASELINE and self.baseline_settings is not None:
            settings = self.baseline_settings
        config = load_preset(preset, settings, overlay=self.overlay)
        clips = ClipSet.load(
            self.desed,
            config,
            cache=self.folder / "features",
            n_processes=self.n_workers,
        )
        run = self.folder / (name or preset)
        begun = (run / LAST).is_file()
        if not begun or read_checkpoint(run / LAST)["step"] < config.steps:
            options = RunOptions(
                run,
                resume=begun,
                device=self.device,
                n_workers=self.n_workers,
                save_every=self.save_every,
            )
            fit_on_clips(config, clips, options)
        return run, clips, config
