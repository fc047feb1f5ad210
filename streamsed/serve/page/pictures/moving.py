"""Live pictures of the sources that are being viewed: log-mel spectrogram and scores.

A few times a second the new data of each source is packed once for all viewers. The last
`KEPT` of these steps are kept; a slower browser is sent a complete picture, and so is a new
one. Columns and score frames are counted from the start of the stream, so duplicates are
harmless.

A step, for JSON::

    source, origin            which, and the clock time of the start of the stream
    column, first, bands, levels   seconds of a column; the first one's index; uint8, base64
    frame, first_score, scores     the same of score frames; score * 255, uint8, base64
    labels, thresholds        with the first step only
    now, load                 seconds of the stream, and share of the time to detect it
"""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsed.live.snapshot import Snapshot
from streamsed.serve.page.protocol import PageService

PERIOD = 0.4
"""Seconds between two steps."""
KEPT = 25
"""Number of steps that are kept: ten seconds."""
SPAN = 40.0
"""Seconds in the first picture of a new viewer."""
OVERLAP = 3.0
"""Seconds by which the first step overlaps the first picture of a new viewer."""
OTHER = 2.0
"""A larger change of the start, in seconds, is another stream; a smaller one is drift."""
MOVED = 6
"""Minimum change, of 255, for which a score is sent again."""


class SourcePictures:
    """Pack new data of one source, step by step.

    Parameters
    ----------
    name : str
        Of the source.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._next = 0  # column
        self._first = 0  # score frame of `_scores[0]`
        self._scores: NDArray[np.uint8] = np.zeros((0, 0), np.uint8)
        self._about: tuple[Any, ...] = ()

    def step(self, snapshot: Snapshot) -> str:
        """Return new data since the last step, as JSON; "" if there is none."""
        about = (round(snapshot.origin, 1), snapshot.labels, snapshot.thresholds)
        is_fresh = self._is_other(snapshot) or about[1:] != self._about[1:]
        if about == self._about and self._next == snapshot.picture_end:
            return ""
        if is_fresh:
            # New viewers have the data before this; another stream is shown completely.
            reach = SPAN if self._about else OVERLAP
            column, first = _newest(snapshot, reach)
        else:
            oldest = snapshot.picture_end - len(snapshot.picture)
            column, first = max(self._next, oldest), self._first_moved(snapshot)
        self._next, self._about = snapshot.picture_end, about
        self._first = _score_end(snapshot) - len(snapshot.scores)
        self._scores = _levels(snapshot)
        return pack(
            snapshot, self._name, column=column, first_score=first, whole=is_fresh
        )

    def _is_other(self, snapshot: Snapshot) -> bool:
        """Whether another stream started, whose columns are counted from 0."""
        moved = abs(snapshot.origin - self._about[0]) if self._about else 0.0
        return snapshot.picture_end < self._next or moved > OTHER

    def _first_moved(self, snapshot: Snapshot) -> int:
        """Return the first score frame to send (again)."""
        new, end = _levels(snapshot), _score_end(snapshot)
        start = end - len(new)
        low = max(start, self._first)
        high = min(end, self._first + len(self._scores))
        if high <= low:
            return start
        before = self._scores[low - self._first : high - self._first].astype(int)
        moved = np.abs(new[low - start : high - start] - before).max(axis=1) >= MOVED
        return low + int(np.argmax(moved)) if moved.any() else high


class Pictures:
    """Keep the newest steps of all sources that are viewed.

    Parameters
    ----------
    service : PageService
        Provides the sources.
    """

    def __init__(self, service: PageService) -> None:
        self._service = service
        self._sources: dict[str, SourcePictures] = {}
        self._steps: deque[dict[str, str]] = deque(maxlen=KEPT)
        self.n_steps = 0

    def step(self, names: Iterable[str]) -> None:
        """Pack new data of sources."""
        made: dict[str, str] = {}
        wanted = set(names)
        self._sources = {k: v for k, v in self._sources.items() if k in wanted}
        for name in wanted:
            snapshot = self._snapshot(name)
            if snapshot is not None:
                source = self._sources.setdefault(name, SourcePictures(name))
                if packed := source.step(snapshot):
                    made[name] = packed
        self._steps.append(made)
        self.n_steps += 1

    def since(self, step: int, names: Iterable[str]) -> list[str] | None:
        """Return the data of sources after a step; None if not all of it is kept."""
        missing = self.n_steps - step
        if missing > len(self._steps):
            return None
        newest = list(self._steps)[len(self._steps) - missing :]
        return [made[name] for made in newest for name in names if name in made]

    def whole(self, names: Iterable[str]) -> list[str]:
        """Return the last `SPAN` seconds of sources."""
        found = []
        for name in names:
            if (snapshot := self._snapshot(name)) is not None:
                found.append(pack_newest(snapshot, name, SPAN))
        return found

    def _snapshot(self, name: str) -> Snapshot | None:
        try:
            return self._service.snapshot(name)
        except KeyError:  # it is no longer in the settings
            return None


def pack_newest(snapshot: Snapshot, name: str, seconds: float) -> str:
    """Return the last seconds of a source as a complete step."""
    column, first = _newest(snapshot, seconds)
    return pack(snapshot, name, column=column, first_score=first, whole=True)


def pack(
    snapshot: Snapshot, name: str, *, column: int, first_score: int, whole: bool
) -> str:
    """Return columns and score frames from the given ones on, as JSON."""
    oldest = snapshot.picture_end - len(snapshot.picture)
    start = _score_end(snapshot) - len(snapshot.scores)
    columns = snapshot.picture[column - oldest :]
    about: dict[str, Any] = {}
    if whole:
        about = {"labels": snapshot.labels, "thresholds": snapshot.thresholds}
        about["reported"] = snapshot.reported
    return json.dumps(
        {
            "source": name,
            "origin": round(snapshot.origin, 3),
            "column": snapshot.column_duration,
            "first": column,
            "bands": snapshot.picture.shape[1],
            "levels": _text(columns),
            "frame": snapshot.frame_duration,
            "first_score": first_score,
            "scores": _text(_levels(snapshot)[first_score - start :]),
            "now": round(snapshot.now, 3),
            "load": round(snapshot.load, 4),
            **about,
        }
    )


def _newest(snapshot: Snapshot, seconds: float) -> tuple[int, int]:
    """Return the first column and score frame of the last seconds."""
    n_columns = min(len(snapshot.picture), round(seconds / snapshot.column_duration))
    n_scores = min(len(snapshot.scores), round(seconds / snapshot.frame_duration))
    return snapshot.picture_end - n_columns, _score_end(snapshot) - n_scores


def _levels(snapshot: Snapshot) -> NDArray[np.uint8]:
    levels: NDArray[np.uint8] = np.rint(snapshot.scores * 255).astype(np.uint8)
    return levels


def _score_end(snapshot: Snapshot) -> int:
    return round(snapshot.scores_end / snapshot.frame_duration)


def _text(values: NDArray[np.uint8]) -> str:
    return base64.b64encode(values.tobytes()).decode()
