"""The report's table 1: five systems on one validation set, beside the report's numbers.

Three networks are trained: the challenge's baseline, and the report's network with either
weight of its region loss. The rows differ in what becomes of their scores: one checkpoint
or an ensemble of the four of lowest validation loss, with or without connect & cut.

Where the public evaluation list is there too, every row is scored on it as well; nothing
was chosen by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from streamsed.config import FrontendConfig, PostConfig
from streamsed.events import Event
from train.annotations.desed_version import UsedSubset
from train.annotations.event_lists import in_milliseconds
from train.config.train import TrainConfig
from train.datasets.evaluation_set import EvaluationSet
from train.evaluation.median_filter import median_events
from train.evaluation.scoring import Scores, network_scores, scores_to_events
from train.evaluation.tuning import tune_post
from train.experiments.experiment import BASELINE, STRONGER, WEAKER, Experiment
from train.experiments.systems import SYSTEMS, System, lacking_in, marked
from train.fit.checkpoint import load_best, load_ensemble
from train.fit.machine.distributed import Parallel
from train.metrics.criteria import event_counts
from train.metrics.f1 import F1, Intervals
from train.metrics.psds import NoPsdsError, PsdRoc, ScoreTable, psd_rocs

PLAIN_POST = PostConfig(min_gap=0.0, min_duration=0.0)
"""A threshold of 0.5 alone."""

VALIDATION, PUBLIC = "validation", "public"
"""Lists that are scored."""

EventsByClip = list[list[Event]]


@dataclass(frozen=True, slots=True)
class Scored:
    """What was found in each clip of a list, and what that scores."""

    events: EventsByClip
    f1: F1
    intervals: Intervals


@dataclass(frozen=True, slots=True)
class SystemScore:
    """One row of the table: a system, and what it scores by list."""

    system: System
    lists: dict[str, Scored]

    @property
    def name(self) -> str:
        """What the table calls it."""
        return self.system.name

    @property
    def validation(self) -> Scored:
        """What it scores on the validation list."""
        return self.lists[VALIDATION]


@dataclass(frozen=True, slots=True)
class Table1:
    """The table, and what pictures are made of.

    Parameters
    ----------
    rows : list of SystemScore
        By `SYSTEMS`.
    recordings : dict of str to EvaluationSet
        The clips of each list.
    rocs : tuple of PsdRoc
        Of the ensemble's scores on the validation list; empty where nothing is installed
        to compute them.
    runs : dict of str to Path
        The runs, by preset.
    configs : dict of str to TrainConfig
        Their settings.
    used : tuple of UsedSubset
        What was trained and measured on.
    lacking : tuple of str
        Sets that a network should have been trained on and was not.
    device : str
        Where the networks were scored, as torch calls it.
    """

    rows: list[SystemScore]
    recordings: dict[str, EvaluationSet]
    rocs: tuple[PsdRoc, ...]
    runs: dict[str, Path]
    configs: dict[str, TrainConfig]
    used: tuple[UsedSubset, ...]
    lacking: tuple[str, ...] = ()
    device: str = "cpu"


def measure(experiment: Experiment) -> Table1:
    """Train the three networks of the table, and score its rows."""
    presets = BASELINE, STRONGER, WEAKER
    for preset in presets:  # what one of them refuses, before hours of work for another
        experiment.configure(preset)
    fitted = {preset: experiment.fit(preset, public=True) for preset in presets}
    runs = {preset: run for preset, (run, _, _) in fitted.items()}
    configs = {preset: config for preset, (_, _, config) in fitted.items()}
    base_clips, clips = fitted[BASELINE][1], fitted[WEAKER][1]
    grids = configs[BASELINE].frontend, configs[WEAKER].frontend
    lists = {VALIDATION: (base_clips.validation, clips.validation)}
    if base_clips.public is not None and clips.public is not None:
        lists[PUBLIC] = base_clips.public, clips.public
    scores = {
        name: _score(runs, *sets, device=experiment.device)
        for name, sets in lists.items()
    }
    together = scores[VALIDATION].together
    tuned = tune_post(together, clips.validation, grids[1])
    recordings = {name: sets[1] for name, sets in lists.items()}
    found = {
        name: _find(each, recordings[name], grids, tuned)
        for name, each in scores.items()
    }
    rows = [
        SystemScore(
            marked(system, configs[system.run], experiment.without),
            {
                name: _scored(events[system.key], recordings[name])
                for name, events in found.items()
            },
        )
        for system in SYSTEMS
    ]
    rocs = _rocs(together, clips.validation, grids[1])
    lacking = lacking_in(BASELINE, configs[BASELINE], experiment.without)
    return Table1(
        rows,
        recordings,
        rocs,
        runs,
        configs,
        base_clips.used,
        tuple(lacking),
        str(Parallel(experiment.device).device),
    )


@dataclass(frozen=True, slots=True)
class _ListScores:
    """The scores of one list by the four networks that the rows are made of."""

    baseline: list[Scores]
    stronger: list[Scores]
    weaker: list[Scores]
    together: list[Scores]


def _score(
    runs: Mapping[str, Path],
    baseline_set: EvaluationSet,
    recordings: EvaluationSet,
    *,
    device: str,
) -> _ListScores:
    """Score a list, whose clips the baseline sees by features of its own."""

    def scored(network: nn.Module, clips: EvaluationSet) -> list[Scores]:
        target = Parallel(device).device
        return list(network_scores(network.to(target), clips.segments))

    return _ListScores(
        scored(load_best(runs[BASELINE])[0].network, baseline_set),
        scored(load_best(runs[STRONGER])[0].network, recordings),
        scored(load_best(runs[WEAKER])[0].network, recordings),
        scored(load_ensemble(runs[WEAKER]).network, recordings),
    )


def _find(
    scores: _ListScores,
    recordings: EvaluationSet,
    grids: tuple[FrontendConfig, FrontendConfig],
    tuned: PostConfig,
) -> dict[str, EventsByClip]:
    """Turn the scores of a list into the events of every system, by its key.

    Their times are those that are written, so that the table's figures are the files'.
    """
    labels = recordings.labels
    base_grid, grid = grids
    lengths = recordings.lengths(grid)

    def events(each: Sequence[Scores], post: PostConfig) -> EventsByClip:
        return [
            scores_to_events(table, labels, post, grid, n_samples=n)
            for table, n in zip(each, lengths, strict=True)
        ]

    medians = [
        median_events(table, labels, base_grid, n_samples=n)
        for table, n in zip(scores.baseline, lengths, strict=True)
    ]
    last = events(scores.together, PostConfig())
    found = (
        medians,
        events(scores.stronger, PLAIN_POST),
        events(scores.weaker, PostConfig()),
        events(scores.together, PLAIN_POST),
        last,
        events(scores.together, tuned),
        _dealt(last, lengths, grid.sample_rate),
    )
    ends = [n / grid.sample_rate for n in lengths]
    return {
        system.key: [
            [in_milliseconds(event, end) for event in events]
            for events, end in zip(each, ends, strict=True)
        ]
        for system, each in zip(SYSTEMS, found, strict=True)
    }


def _scored(events: EventsByClip, recordings: EvaluationSet) -> Scored:
    counts = event_counts(recordings.reference, events, recordings.labels)
    return Scored(events, counts.f1(), counts.bootstrap())


def _rocs(
    scores: Sequence[Scores], recordings: EvaluationSet, grid: FrontendConfig
) -> tuple[PsdRoc, ...]:
    """Compute PSD-ROCs, if what computes them is installed."""
    lengths = recordings.lengths(grid)
    tables = [
        ScoreTable.on_grid(each, n, grid)
        for each, n in zip(scores, lengths, strict=True)
    ]
    durations = [n / grid.sample_rate for n in lengths]
    with suppress(NoPsdsError):
        return psd_rocs(
            recordings.reference, tables, recordings.labels, durations=durations
        )
    return ()


def _dealt(
    events: EventsByClip, lengths: Sequence[int], sample_rate: int
) -> EventsByClip:
    """Give each clip the events found in the next one: right only by chance.

    What would reach past the end of a clip is cut off there.
    """
    dealt = []
    for found, n_samples in zip(events[1:] + events[:1], lengths, strict=True):
        end = n_samples / sample_rate
        dealt.append(
            [
                replace(event, offset=min(event.offset, end))
                for event in found
                if event.onset < end
            ]
        )
    return dealt
