"""What each part of the report's system brings, measured one by one.

Every variation is trained on the same clips with as many of them, and validated on the
same; seeds change the weights and the order of the clips.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import mean, stdev

from torch import nn

from streamsed.config import PostConfig
from streamsed.progress import task
from train.annotations.desed import Desed
from train.annotations.desed_version import describe_data, enumerated, lack_note
from train.config.preset import load_preset
from train.config.train import TrainConfig
from train.datasets.evaluation_set import EvaluationSet
from train.evaluation.median_filter import median_filter
from train.evaluation.scoring import Scores, network_scores, score_events
from train.experiments.experiment import BASELINE, WEAKER, Experiment
from train.experiments.outcomes import OUTCOME, Outcome, outcomes_in, refuse_other_run
from train.experiments.run_data import refuse_other_data
from train.experiments.systems import lacking_in
from train.experiments.table1 import PLAIN_POST
from train.experiments.training_facts import describe_run
from train.fit.checkpoint import load_best, load_ensemble, load_trained
from train.fit.machine.distributed import Parallel
from train.provenance import current_commit


@dataclass(frozen=True, slots=True)
class Variation:
    """A preset with some settings changed.

    Parameters
    ----------
    name : str
        What the table calls it.
    preset : str
        Which.
    settings : tuple of str
        Lines of TOML that go over it and over what all variations share.
    width : float
        Its width as a part of the others', so that it costs as much.
    """

    name: str
    preset: str = WEAKER
    settings: tuple[str, ...] = ()
    width: float = 1.0

    def over(self, common: Sequence[str]) -> tuple[str, ...]:
        """Apply the settings of a variation to the common ones."""
        width = load_preset(self.preset, common).network.width
        scaled = f"network.width={round(self.width * width)}"
        return (*common, *self.settings, *[scaled] * (self.width != 1.0))


VARIATIONS = {
    "report": Variation("the report's system (α = 0.01)"),
    "alpha_0.1": Variation("α = 0.1", settings=("alpha=0.1",)),
    "alpha_0": Variation("α = 0: no region loss", settings=("alpha=0.0",)),
    "no_mask": Variation("no self-mask", settings=("network.self_mask=false",)),
    "no_excitation": Variation(
        "no squeeze-and-excitation", settings=("network.squeeze_excite=false",)
    ),
    "single_scaling": Variation(
        "one min-max scaling instead of three", settings=('scaling="single"',)
    ),
    "no_average": Variation(
        "the last weights, not their average", settings=("evaluate_average=false",)
    ),
    "doubling": Variation(
        "base blocks double from the first on, at equal cost",
        settings=("network.multiples=[2, 4, 8, 16]",),
        width=33 / 64,
    ),
    "baseline": Variation("the challenge's baseline (CRNN)", BASELINE),
}
"""By the names of their runs."""


def measure(
    desed: Desed,
    folder: Path,
    *,
    names: Sequence[str],
    seeds: Sequence[int],
    settings: Sequence[str],
    baseline_settings: Sequence[str] = (),
    device: str = "auto",
    n_workers: int = 1,
    without: Sequence[str] = (),
) -> Iterator[tuple[str, int, Outcome]]:
    """Train and score variations, seed by seed; finished ones are skipped.

    Parameters
    ----------
    desed : Desed
        The data, or a set laid out like it.
    folder : Path
        Where runs and features go.
    names : sequence of str
        Of `VARIATIONS`.
    seeds : sequence of int
        Each variation is trained with all of them.
    settings : sequence of str
        Lines of TOML that go over every residual network.
    baseline_settings : sequence of str
        Lines of TOML that go over the baseline.
    device, n_workers, without
        See `Experiment`.

    Yields
    ------
    str, int, Outcome
        Name and seed with what came out.
    """
    for name in names:
        if name not in VARIATIONS:
            raise ValueError(
                f"--only must be one of {', '.join(VARIATIONS)}, not {name}"
            )
    given = {BASELINE: baseline_settings, WEAKER: settings}

    def lines(name: str, seed: int) -> tuple[str, ...]:
        variation = VARIATIONS[name]
        return (*variation.over(given[variation.preset]), f"seed={seed}")

    trained = {VARIATIONS[name].preset for name in names}  # whose settings are given
    for name, found in outcomes_in(folder, VARIATIONS).items():
        for seed in found:
            run, preset = folder / f"{name}-{seed}", VARIATIONS[name].preset
            if preset in trained:
                refuse_other_run(run, load_preset(preset, lines(name, seed)))
            refuse_other_data(run, desed)
    experiments = {
        (seed, name): Experiment(
            desed,
            folder,
            settings=lines(name, seed),
            device=device,
            n_workers=n_workers,
            without=without,
        )
        for seed, name in product(seeds, names)
    }
    for (seed, name), experiment in experiments.items():  # before hours of work
        experiment.configure(VARIATIONS[name].preset, name=f"{name}-{seed}")
    with task("ablations", len(experiments), "runs") as runs:
        for (seed, name), experiment in experiments.items():
            yield name, seed, _outcome(experiment, name, f"{name}-{seed}")
            runs.advance(1, f"{name}, seed {seed}")


def _outcome(experiment: Experiment, name: str, run_name: str) -> Outcome:
    """Train and score a run, or read what came of it."""
    preset = VARIATIONS[name].preset
    known = Outcome.load(experiment.folder / run_name)
    if known is None:  # one of checkpoints that are gone is not that of the next ones
        (experiment.folder / run_name / OUTCOME).unlink(missing_ok=True)
    run, clips, config = experiment.fit(preset, name=run_name)
    if known is not None:
        return known
    lacking = lacking_in(preset, config, experiment.without)
    outcome = replace(
        _score(run, clips.validation, config, experiment.device),
        data=describe_data(clips.used, lacking=lacking),
        training=describe_run(run, config, {each.name for each in clips.used}),
        lacking=lacking,
        commit=current_commit(),
    )
    outcome.save(run)
    return outcome


def _score(
    run: Path,
    recordings: EvaluationSet,
    config: TrainConfig,
    device: str,
) -> Outcome:
    """Score a run in its five ways."""
    target = Parallel(device).device

    def scored(network: nn.Module) -> list[Scores]:
        return list(network_scores(network.to(target), recordings.segments))

    def f1(scores: Sequence[Scores], post: PostConfig) -> float:
        return score_events(scores, recordings, post, config.frontend).macro

    one = scored(load_best(run)[0].network)
    last = scored(load_trained(run, best=False).network)
    if config.system == "crnn":
        chosen, final = (
            f1([median_filter(each) for each in scores], PLAIN_POST)
            for scores in (one, last)
        )
        return Outcome(chosen, chosen, chosen, chosen, final)
    four = scored(load_ensemble(run).network)
    return Outcome(
        f1(one, PLAIN_POST),
        f1(one, PostConfig()),
        f1(four, PLAIN_POST),
        f1(four, PostConfig()),
        f1(last, PostConfig()),
    )


def to_markdown(outcomes: Mapping[str, Mapping[int, Outcome]]) -> str:
    """Format means over seeds, with standard deviations if there are several.

    Under the table stands how each variation was trained, with which seeds and on what,
    and by which code it was scored.
    """
    cut = "+ connect & cut"
    header = ("event F1, macro (%)", "one checkpoint", cut, "ensemble", cut)
    lines = [
        "| " + " | ".join((*header, f"last {cut}")) + " |",
        "| --- |" + " ---: |" * 5,
    ]
    for name, by_seed in outcomes.items():
        found = list(by_seed.values())
        columns = zip(
            *((o.plain, o.connected, o.ensemble, o.both, o.last) for o in found),
            strict=True,
        )
        cells = [_cell(values) for values in columns]
        if VARIATIONS[name].preset == BASELINE:
            cells[1:4] = ["", "", ""]
        lacking = list(dict.fromkeys(each for o in found for each in o.lacking))
        title = f"{VARIATIONS[name].name}{lack_note(lacking)}"
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    trained = [
        line for name, found in outcomes.items() for line in _trained(name, found)
    ]
    return "\n".join([*lines, "", *trained]) + "\n"


def _trained(name: str, found: Mapping[int, Outcome]) -> Iterator[str]:
    """Say how the runs of a variation came about, those that did so alike in one line."""
    seeds: dict[str, list[str]] = {}
    for seed, o in found.items():
        how = f"{o.training}. {o.data} Scored at {o.commit}."
        seeds.setdefault(how, []).append(str(seed))
    for how, alike in seeds.items():
        numbers = f"seed{'s' * (len(alike) > 1)} {enumerated(alike)}"
        yield f"- {VARIATIONS[name].name}, {numbers}: {how}"


def _cell(values: Sequence[float]) -> str:
    shares = [100 * value for value in values]
    spread = f" ± {stdev(shares):.1f}" if len(shares) > 1 else ""
    return f"{mean(shares):.1f}{spread}"
