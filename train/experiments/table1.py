"""The report's table 1: five systems on one validation set, beside the report's numbers.

Three networks are trained: the challenge's baseline, and the report's network with either
weight of its region loss. The rows differ in what becomes of their scores: one checkpoint
or an ensemble of the four of lowest validation loss, with or without connect & cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from streamsed.config import PostConfig
from streamsed.events import Event
from train.datasets.evaluation_set import EvaluationSet
from train.evaluation.median_filter import median_events
from train.evaluation.scoring import Scores, network_scores, scores_to_events
from train.evaluation.tuning import tune_post
from train.experiments.experiment import BASELINE, STRONGER, WEAKER, Experiment
from train.fit.checkpoint import load_best, load_ensemble
from train.fit.distributed import Parallel
from train.metrics.criteria import event_counts
from train.metrics.f1 import F1, Intervals
from train.metrics.psds import NoPsdsError, PsdRoc, ScoreTable, psd_rocs

PLAIN_POST = PostConfig(min_gap=0.0, min_duration=0.0)
"""A threshold of 0.5 alone."""


@dataclass(frozen=True, slots=True)
class SystemScore:
    """One row of the table.

    Parameters
    ----------
    name : str
        What was scored.
    reported : float or None
        The report's event F1, %.
    events : list of list of Event
        What was found in each validation clip.
    f1, intervals : F1, Intervals
        What that scores.
    """

    name: str
    reported: float | None
    events: list[list[Event]]
    f1: F1
    intervals: Intervals


@dataclass(frozen=True, slots=True)
class Table1:
    """The table, and what pictures are made of.

    Parameters
    ----------
    rows : list of SystemScore
        The report's five, one with tuned thresholds, and chance.
    recordings : EvaluationSet
        The validation clips.
    scores : list of float32 (H, K)
        Of the ensemble.
    rocs : tuple of PsdRoc
        Of the ensemble's scores; empty where nothing is installed to compute them.
    runs : dict of str to Path
        The runs, by preset.
    """

    rows: list[SystemScore]
    recordings: EvaluationSet
    scores: list[Scores]
    rocs: tuple[PsdRoc, ...]
    runs: dict[str, Path]


def measure(experiment: Experiment) -> Table1:
    """Train the three networks of the table, and score its rows."""
    base_run, base_clips, base_config = experiment.fit(BASELINE)
    first_run, clips, config = experiment.fit(STRONGER)
    second_run, _, _ = experiment.fit(WEAKER)
    labels, frontend = clips.labels, config.frontend

    def row(
        name: str, reported: float | None, events: list[list[Event]]
    ) -> SystemScore:
        counts = event_counts(clips.validation.reference, events, labels)
        return SystemScore(name, reported, events, counts.f1(), counts.bootstrap())

    def events(scores: Sequence[Scores], post: PostConfig) -> list[list[Event]]:
        return [scores_to_events(each, labels, post, frontend) for each in scores]

    def scored(network: nn.Module, recordings: EvaluationSet) -> list[Scores]:
        device = Parallel(experiment.device).device
        return list(network_scores(network.to(device), recordings.segments))

    baseline = scored(load_best(base_run)[0].network, base_clips.validation)
    medians = [median_events(each, labels, base_config.frontend) for each in baseline]
    stronger = scored(load_best(first_run)[0].network, clips.validation)
    weaker = scored(load_best(second_run)[0].network, clips.validation)
    together = scored(load_ensemble(second_run).network, clips.validation)
    tuned = tune_post(together, clips.validation, frontend)
    last = events(together, PostConfig())
    system = "ResNet18 + self-mask (α = {})"
    rows = [
        row("DCASE baseline (CRNN, mean teacher)", 23.70, medians),
        row(system.format(0.1), 31.65, events(stronger, PLAIN_POST)),
        row(
            system.format(0.01) + " + connecting & cutting",
            32.87,
            events(weaker, PostConfig()),
        ),
        row(system.format(0.01) + " + ensemble", 34.51, events(together, PLAIN_POST)),
        row(system.format(0.01) + " + ensemble + connecting & cutting", 36.09, last),
        row(
            "the last, thresholds and durations tuned on these very clips",
            None,
            events(together, tuned),
        ),
        row("chance: row 5's events, dealt to other clips", None, _dealt(last)),
    ]
    n_samples = frontend.segment_frames * frontend.hop_length
    tables = [ScoreTable.on_grid(each, n_samples, frontend) for each in together]
    durations = [n_samples / frontend.sample_rate] * len(tables)
    rocs: tuple[PsdRoc, ...] = ()
    with suppress(NoPsdsError):
        rocs = psd_rocs(clips.validation.reference, tables, labels, durations=durations)
    runs = {BASELINE: base_run, STRONGER: first_run, WEAKER: second_run}
    return Table1(rows, clips.validation, together, rocs, runs)


def _dealt(events: list[list[Event]]) -> list[list[Event]]:
    """Give each clip the events found in the next one: right only by chance."""
    return events[1:] + events[:1]
