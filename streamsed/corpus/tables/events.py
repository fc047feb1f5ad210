"""Read the events of a corpus part by part; all events of a file are in one part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from streamsed.corpus.identity import read_identity
from streamsed.corpus.tables.parts import parts
from streamsed.label_names import match_label


def check_choice(
    folder: Path, labels: Sequence[str], min_score: float
) -> tuple[str, ...]:
    """Check a selection of events; return its labels as the corpus spells them.

    Raises
    ------
    ValueError
        A label does not occur in the corpus, the score is out of range, or `folder` is no
        corpus.
    """
    known = read_identity(folder)["labels"]
    chosen = tuple(match_label(each, known, option="--label") for each in labels)
    if not 0 <= min_score <= 1:
        raise ValueError(f"--min-score must be from 0 to 1, not {min_score}")
    return chosen


def read_parts(
    folder: Path, labels: Sequence[str], min_score: float
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Yield files and events, part by part.

    Parameters
    ----------
    folder : Path
        The corpus.
    labels : sequence of str
        Labels to select; empty selects all.
    min_score : float
        Minimum score.

    Yields
    ------
    files, events : Table
        Files by URI; events by URI, then onset.
    """
    for path in parts(folder, "files"):
        files = pq.read_table(path, partitioning=None)
        events = pq.read_table(folder / "events" / path.name, partitioning=None)
        chosen = pc.greater_equal(events["score"], min_score)
        if labels:
            names = pc.cast(events["label"], pa.string())
            chosen = pc.and_(chosen, pc.is_in(names, value_set=pa.array(labels)))
        order = [(name, "ascending") for name in ("uri", "onset", "offset")]
        yield files.sort_by("uri"), events.filter(chosen).sort_by(order)
