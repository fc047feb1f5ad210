"""`python -m train tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from streamsed.samples import Float32
from train.cli.options import LeaveOut, Split, read_left_out
from train.evaluation.continuous.page import latencies_to_markdown
from train.evaluation.continuous.recordings import (
    ScoredRecording,
    draw_continuous,
    load_scored,
    save_scored,
    score_continuous,
)
from train.evaluation.scoring import network_scores
from train.export.crosswise import measure_crosswise
from train.export.operating_points import (
    Halves,
    Tuned,
    choose_operating_points,
    measure_recall,
    write_operating_points,
)
from train.fit.checkpoint import TrainedNetwork, load_trained
from train.mixing.continuous import ContinuousMixer
from train.mixing.soundbank import Soundbank, load_banks


def tune(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    *,
    output: Annotated[Path, typer.Option(metavar="FILE.json", help="Output file.")],
    soundbank: Annotated[
        list[Path],
        typer.Option(metavar="DIR", help="Bank of recordings to tune on; repeatable."),
    ],
    split: Split = "validation",
    leave_out: LeaveOut = None,
    recordings: Annotated[
        int, typer.Option(min=1, help="Number of recordings with events in each half.")
    ] = 5,
    minutes: Annotated[
        float, typer.Option(min=0.5, help="Length of each recording, in minutes.")
    ] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the mixtures.")] = 20,
    scored: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for caching scores."),
    ] = None,
) -> None:
    """Choose thresholds for three sensitivities and several values of settle.

    The recordings must not be those that the run was trained on. They are split into two
    halves: thresholds chosen on one are evaluated on the other, at latencies of 0.25 to
    10 s.
    """
    trained = load_trained(run)
    bank = load_banks(soundbank, split=split, leave_out=read_left_out(leave_out))
    halves: list[list[ScoredRecording]] = []
    for index, half in enumerate(bank.halves()):
        folder = None if scored is None else scored / str(index)
        if folder is None or not (folder / "truth.json").is_file():
            made = _score(trained, half, recordings, minutes, seed + index)
            if folder is not None:
                save_scored(folder, made)
        else:
            made = load_scored(folder)
        halves.append(made)
    counted = Halves.count(halves)
    points, figures = choose_operating_points(counted), measure_crosswise(counted)
    recall = measure_recall(counted, points)
    write_operating_points(output, Tuned(points, recall, figures))
    print(latencies_to_markdown(figures["by_latency"]))
    for point in points:
        print(
            f"{point.sensitivity:<7} {point.settle:>4g} s: "
            f"{point.total_false_alarms:.1f} false alarms per hour on backgrounds and "
            "other sounds"
        )
    print(f"next: python -m train export RUN --operating-points {output} ...")


def _score(
    trained: TrainedNetwork, bank: Soundbank, n: int, minutes: float, seed: int
) -> list[ScoredRecording]:
    """Generate continuous recordings from a bank and score them with a network."""

    def score(segments: Float32) -> Float32:
        return np.stack(list(network_scores(trained.network, segments)))

    drawn = draw_continuous(
        ContinuousMixer(bank), n=n, duration=60.0 * minutes, seed=seed
    )
    config = trained.config.frontend
    return list(
        score_continuous(drawn, score, trained.labels, config, scaling=trained.scaling)
    )
