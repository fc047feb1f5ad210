"""Convert outcomes to rows of the tables."""

from __future__ import annotations

import numpy as np

from streamsed.corpus.tables.parts import Row
from streamsed.corpus.worker import Outcome
from streamsed.inference.model_file import ModelInfo


def event_rows(outcome: Outcome) -> list[Row]:
    """Return the rows of a file's events."""
    uri = outcome.task.listed.uri
    return [{"uri": uri, **event.to_dict()} for event in outcome.events]


def file_row(outcome: Outcome, model: ModelInfo) -> Row:
    """Return the row of a file; its status is "empty" if it has no events."""
    listed, info = outcome.task.listed, outcome.info
    seconds = None if info is None else info.duration
    if outcome.error:
        status = "skipped" if outcome.unreachable else "failed"
    else:
        status = "ok" if outcome.events else "empty"
        seconds = outcome.n_samples / model.frontend.sample_rate
    return {
        "uri": listed.uri,
        "size": listed.size,
        "etag": listed.etag,
        "seconds": seconds,
        "sample_rate": None if info is None else info.sample_rate,
        "channels": None if info is None else info.n_channels,
        "status": status,
        "error": outcome.error or None,
        "n_events": len(outcome.events),
        "wall_time": outcome.wall_time,
    }


def score_rows(outcome: Outcome, model: ModelInfo) -> list[Row]:
    """Return a row per label with the scores of a file or piece, in 16 bits."""
    assert outcome.scores is not None
    step = model.frontend.score_frame_duration
    first = 0 if outcome.task.piece is None else outcome.task.piece.first
    halves = outcome.scores.astype(np.float16)
    return [
        {
            "uri": outcome.task.listed.uri,
            "label": label,
            "onset": first * step,
            "step": step,
            "scores": halves[:, column],
        }
        for column, label in enumerate(model.labels)
    ]
