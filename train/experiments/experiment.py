"""Runs of an experiment: trained, gone on with, or taken as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from train.annotations.desed import Desed
from train.config.preset import load_preset
from train.config.train import TrainConfig
from train.datasets.data_module import ClipSet
from train.experiments.run_data import hold_to_data
from train.fit.checkpoint import LAST, read_checkpoint, refuse_other_settings
from train.fit.run import RunOptions, fit_on_clips

BASELINE, STRONGER, WEAKER = "baseline_crnn", "nec_alpha_0.1", "nec_alpha_0.01"
"""Presets."""
FIXED = {
    name: f"the rows are named by their {name}; use `python -m train fit` for another"
    for name in ("alpha", "system")
}
"""Settings that an experiment is not to be given, and why."""


@dataclass(slots=True)
class Experiment:
    """Train missing runs in a folder.

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
    without : sequence of str
        Sets that are not trained on; see `ClipSet.load`.
    """

    desed: Desed
    folder: Path
    settings: Sequence[str] = ()
    overlay: str | None = None
    device: str = "auto"
    n_workers: int = 1
    baseline_settings: Sequence[str] | None = None
    save_every: float = 120.0
    without: Sequence[str] = ()

    def fit(
        self, preset: str, *, name: str | None = None, public: bool = False
    ) -> tuple[Path, ClipSet, TrainConfig]:
        """Train a preset, continue its run, or load it if it is finished.

        Parameters
        ----------
        preset : str
            Which.
        name : str, optional
            What its run is called; as the preset if left out.
        public : bool
            Load the public evaluation clips too; see `ClipSet.load`.

        Raises
        ------
        ValueError
            There is such a run already, of other settings or other data.
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
            without=self.without,
            public=public,
        )
        run = self.folder / (name or preset)
        begun = (run / LAST).is_file()
        hold_to_data(run, self.desed, clips, begun=begun)
        done = 0
        if begun:
            state = read_checkpoint(run / LAST)
            # A run of another length would stand under these settings too.
            refuse_other_settings(
                state["config"], config, run / LAST, may_change=("threads",)
            )
            done = state["step"]
        if done < config.steps:
            options = RunOptions(
                run,
                resume=begun,
                device=self.device,
                n_workers=self.n_workers,
                save_every=self.save_every,
            )
            fit_on_clips(config, clips, options)
        return run, clips, config
