"""Runs of an experiment: trained, gone on with, or taken as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from train.annotations.desed import Desed
from train.config.preset import load_preset
from train.config.train import TrainConfig
from train.datasets.data_module import ClipSet, needed_sets, refuse_missing
from train.experiments.run_data import hold_to_data, note_commit
from train.fit.checkpoint import LAST, read_checkpoint, refuse_other_settings
from train.fit.clock import progress_of
from train.fit.run import RunOptions, fit_on_clips

BASELINE, STRONGER, WEAKER = "baseline_crnn", "nec_alpha_0.1", "nec_alpha_0.01"
"""Presets."""
UNUSED = "has no effect on recorded clips; it is for `python -m train fit --soundbank`"
FIXED = {
    **{
        name: f"the rows are named by their {name}; use `python -m train fit` for another"
        for name in ("alpha", "system")
    },
    **dict.fromkeys(("augment", "auxiliary", "edge", "mixing", "scenes"), UNUSED),
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

    def configure(self, preset: str, *, name: str | None = None) -> TrainConfig:
        """Return the settings of a run, if the preset, the data and what is there allow them.

        Parameters
        ----------
        preset, name
            See `fit`.

        Raises
        ------
        ValueError
            The preset does not take the settings, clips that it needs are missing, or
            there is such a run already, of other settings.
        """
        settings = self.settings
        if preset == BASELINE and self.baseline_settings is not None:
            settings = self.baseline_settings
        config = load_preset(preset, settings, overlay=self.overlay)
        refuse_missing(self.desed, needed_sets(config, self.without))
        path = self.folder / (name or preset) / LAST
        if path.is_file():
            before = read_checkpoint(path)["config"]
            # A run of another length would stand under these settings too.
            refuse_other_settings(before, config, path, may_change=("threads",))
        return config

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
        config = self.configure(preset, name=name)
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
        step, progress = 0, 0.0
        if begun:
            state = read_checkpoint(run / LAST)
            step = state["step"]
            progress = progress_of(config, step, state.get("elapsed", 0.0))
        if progress < 1.0:
            note_commit(run, step)
            options = RunOptions(
                run,
                resume=begun,
                device=self.device,
                n_workers=self.n_workers,
                save_every=self.save_every,
            )
            fit_on_clips(config, clips, options)
        return run, clips, config
