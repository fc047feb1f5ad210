"""Compare ways to stitch overlapping segments: `python -m scripts.stitching SCORED`.

`SCORED` is a folder of `python -m train tune --scored`: the scores of every segment of
recordings in two halves, none of which the network was trained on. Each way of weighting is
applied to the same scores; thresholds are chosen on one half, as `tune` chooses them, and
evaluated on the other. Weights are by the distance of a frame to the edges of its segment, `left` and
`right`, in score frames of 78 ms; at a latency of 1 s only views whose right edge lies
within a second exist, and the left edge is far away. The result is a table in Markdown,
with the figures of both halves in each cell.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from streamsed.pipeline import post_processor
from streamsed.pipeline.stitcher import ScoreFrames, Stitcher
from train.evaluation.continuous import replay
from train.evaluation.continuous.kept_scores import load_scored
from train.evaluation.continuous.recordings import ScoredRecording
from train.export.crosswise import measure_crosswise
from train.export.operating_points import SETTLING, Halves

Weights = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[Any]]

HEADER = (
    *("latency (s)", "F1 macro (%)", "micro", "PSDS 1", "never announced (%)"),
    *("within 1 s (%)", "median (s)", "false announcements/h"),
)

FAR = 1_000_000
"""Weight beside which those of frames near an edge, 64 at most, vanish."""


def away_from(n_frames: int) -> Weights:
    """Count views only where they are that far from the right edge, if there is one."""
    return lambda left, right: np.where(right > n_frames, FAR, np.minimum(left, right))


def slopes(n_frames: int, *, power: int = 1) -> Weights:
    """Let weights rise from both edges over so many frames, and be equal between."""
    return lambda left, right: np.minimum(np.minimum(left, right), n_frames) ** power


WEIGHTS: dict[str, Weights] = {
    "triangle (as shipped)": np.minimum,
    "newest view": lambda _, right: 100.0**right,
    "uniform": lambda left, _: np.ones_like(left),
    "0.5 s from the right edge": away_from(6),
    "1 s from the right edge": away_from(13),
    "2 s from the right edge": away_from(26),
    "slopes of 1 s, flat between": slopes(13),
    "slopes of 2 s, flat between": slopes(26),
    "triangle, squared": lambda left, right: np.minimum(left, right) ** 2,
    "triangle, cubed": lambda left, right: np.minimum(left, right) ** 3,
    "cubed slopes of 1 s, flat between": slopes(13, power=3),
    "cubed slopes of 2 s, flat between": slopes(26, power=3),
}
"""From the distances to both edges, at least 1, to weights of at least 1."""


def weighted(weights: Weights) -> type[Stitcher]:
    """Make a stitcher of other weights."""

    class Weighted(Stitcher):
        @staticmethod
        def weigh(position: NDArray[np.int64], length: int) -> NDArray[Any]:
            return weights(position + 1, length - position)

    return Weighted


class LogitStitcher(Stitcher):
    """Average logits in place of scores, weighted as shipped."""

    def push(self, view: ScoreFrames, start: int, end: int) -> ScoreFrames:
        """Take the logits of a view; see `Stitcher.push`."""
        scores = np.clip(view.scores, 1e-7, 1 - 1e-7)
        logits = np.log(scores / (1 - scores))
        return super().push(ScoreFrames(logits, view.region), start, end)

    def _mean(self, n_frames: int) -> ScoreFrames:
        mean = super()._mean(n_frames)
        scores = 1 / (1 + np.exp(-mean.scores))
        scores[self._weights[:n_frames] == 0] = 0  # frames without a view
        return ScoreFrames(scores.astype(np.float32), mean.region)


WAYS = {name: weighted(each) for name, each in WEIGHTS.items()}
WAYS["mean of logits"] = LogitStitcher


@contextmanager
def stitched_by(way: type[Stitcher]) -> Iterator[None]:
    """Let kept scores be stitched in this way."""
    with (
        mock.patch.object(replay, "Stitcher", way),
        mock.patch.object(post_processor, "Stitcher", way),
    ):
        yield


def compare(halves: Sequence[Sequence[ScoredRecording]]) -> Iterator[str]:
    """Measure each way crosswise; yield the lines of the table."""
    yield "| | " + " | ".join(HEADER) + " |"
    yield "| --- |" + " ---: |" * len(HEADER)
    for name, way in WAYS.items():
        with stitched_by(way):
            figures = measure_crosswise(Halves.count(halves))
        for settle in SETTLING:
            rows = figures[f"{settle:g}"]["halves"]
            cells = [" / ".join(each) for each in zip(*map(_cells, rows), strict=True)]
            yield f"| {name} | {settle:g} | " + " | ".join(cells) + " |"


def _cells(row: dict[str, Any]) -> list[str]:
    told = row["announced"]
    median = "-" if told["median"] is None else f"{told['median']:.2f}"
    return [
        f"{100 * row['event_f1_macro']:.1f}",
        f"{100 * row['event_f1_micro']:.1f}",
        f"{row['psds1']:.3f}",
        f"{100 * told['never']:.0f}",
        f"{100 * told['within_1_s']:.0f}",
        median,
        f"{row['false_announcements_per_hour']:.0f}",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser("python -m scripts.stitching")
    parser.add_argument("scored", type=Path, metavar="SCORED")
    options = parser.parse_args(arguments)
    try:
        halves = [load_scored(options.scored / str(index)) for index in (0, 1)]
    except (OSError, ValueError) as error:
        print(f"stitching: error: {error}", file=sys.stderr)
        sys.exit(2)
    for line in compare(halves):
        print(line, flush=True)


if __name__ == "__main__":
    main()
