"""Finishing: from a run's weights to a network that can be shipped.

Scores are calibrated and thresholds tuned on soundscapes of recordings that were not
trained on; the result is measured on other soundscapes of the same recordings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from streamsed.config import PostConfig
from train.config.mixing import EVALUATION_MIXING
from train.datasets.evaluation_set import EvaluationSet, draw_evaluation_set
from train.evaluation.calibration import calibrate
from train.evaluation.draws import N_QUIET, N_RANGES, Seed
from train.evaluation.scoring import network_scores, score_events
from train.evaluation.tuning import tune_post
from train.export.engine_check import CheckSet
from train.fit.checkpoint import TrainedNetwork
from train.metrics.f1 import F1
from train.mixing.mixer import Layout, Mixer
from train.mixing.soundbank import Soundbank
from train.networks.resnet import Network


@dataclass(frozen=True, slots=True)
class Finished:
    """A network to ship.

    Parameters
    ----------
    post : PostConfig
        Its thresholds and durations.
    f1 : F1
        Event F1 on the soundscapes measured.
    check_set : CheckSet
        These, to check the exported file on.
    scores : dict
        What the file says of it.
    """

    post: PostConfig
    f1: F1
    check_set: CheckSet
    scores: dict[str, Any]


def finish(
    trained: TrainedNetwork,
    bank: Soundbank,
    *,
    layouts: Sequence[Layout] = (),
    n: int = 300,
    tune: bool = False,
    part: str | None = None,
) -> Finished:
    """Measure a network on soundscapes of a bank, if asked calibrate and tune it before.

    Parameters
    ----------
    trained : TrainedNetwork
        Its last layer changes when it is calibrated.
    bank : Soundbank
        Recordings that it was not trained on, of labels that it scores.
    layouts : sequence of Layout
        Clips of lists that the soundscapes are like, if there are any.
    n : int
        Soundscapes measured; twice as many are tuned on, and half as many with sounds
        that nothing surrounds.
    tune : bool
        Whether to calibrate scores and choose thresholds and durations per label.
    part : str, optional
        Which recordings of a bank these are, for the record.

    Raises
    ------
    ValueError
        The bank has a label that the network does not score.
    """
    frontend, post = trained.config.frontend, PostConfig()

    def draw(mixer: Mixer, n_soundscapes: int, seed: int) -> EvaluationSet:
        return draw_evaluation_set(
            mixer,
            frontend,
            n_soundscapes=n_soundscapes,
            seed=seed,
            scaling=trained.scaling,
            labels=trained.labels,
        )

    mixer = Mixer(bank, replace(EVALUATION_MIXING, layout=1.0), layouts)
    if tune:
        tuning = draw(mixer, 2 * n, Seed.TUNED)
        if isinstance(trained.network, Network):
            scores = list(network_scores(trained.network, tuning.segments))
            calibrate(trained.network, scores, tuning, frontend)
        scores = list(network_scores(trained.network, tuning.segments))
        quiet = draw(
            Mixer(bank, replace(EVALUATION_MIXING, empty=1.0)),
            N_QUIET,
            Seed.TUNED_QUIET,
        )
        silent = list(network_scores(trained.network, quiet.segments))
        post = tune_post(scores, tuning, frontend, quiet=silent)
    measured = draw(mixer, n, Seed.MEASURED)
    scores = list(network_scores(trained.network, measured.segments))
    f1 = score_events(scores, measured, post, frontend)
    record = f1.to_dict()
    of_part = "" if part is None else f" ({part})"
    tuned = "; thresholds tuned on others of the same recordings" if tune else ""
    record["data"] = (
        f"{n} soundscapes of seed {Seed.MEASURED} of a sound bank{of_part}{tuned}"
    )
    ranges = draw(mixer, min(n, N_RANGES), Seed.RANGES)
    check_set = CheckSet(measured.segments, ranges.segments, measured.reference)
    return Finished(post, f1, check_set, record)
