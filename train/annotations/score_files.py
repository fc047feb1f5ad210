"""Score files: the scores of one clip over time, as `streamsed file --scores` writes them.

Tab-separated, `onset offset` and a column per label, a row per frame, as in
`sed_scores_eval`. In a folder, the scores of `clip.wav` are in `clip.scores.tsv` or
`clip.tsv`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from streamsed.recordings.outputs import SCORES_SUFFIX
from train.annotations.tsv import read_rows
from train.metrics.psds import ScoreTable


def read_scores(path: Path, labels: Sequence[str]) -> ScoreTable:
    """Read the scores of one clip.

    Parameters
    ----------
    path : Path
        The file.
    labels : sequence of str
        Columns to take; one that the file does not have is 0 everywhere.

    Raises
    ------
    ValueError
        A row is invalid, or does not start where the previous one ends.
    OSError
        The file cannot be read.
    """
    rows = list(read_rows(path, ("onset", "offset")))
    if not rows:
        raise ValueError(f"{path}: contains no scores")
    edges = [rows[0].number("onset")]
    scores = np.zeros((len(rows), len(labels)), np.float32)
    for index, row in enumerate(rows):
        if row.number("onset") != edges[-1]:
            row.refuse("onset", f"be where the previous row ends ({edges[-1]:g})")
        edges.append(row.number("offset"))
        if not edges[-1] > edges[-2]:
            row.refuse("offset", f"be later than onset={edges[-2]:g}")
        for column, label in enumerate(labels):
            if label in row.values:
                scores[index, column] = row.number(label)
    return ScoreTable(scores, np.array(edges))


def find_scores(folder: Path, names: Sequence[str]) -> list[Path]:
    """Find the score files of clips in a folder.

    Raises
    ------
    FileNotFoundError
        A clip has none.
    """
    found = []
    for name in names:
        stem = folder / name
        candidates = [stem.with_suffix(end) for end in (SCORES_SUFFIX, ".tsv")]
        there = [path for path in candidates if path.is_file()]
        if not there:
            raise FileNotFoundError(
                f"--scores {folder}: no file {candidates[0].name} (or "
                f"{candidates[1].name}) for the clip {name}"
            )
        found.append(there[0])
    return found
