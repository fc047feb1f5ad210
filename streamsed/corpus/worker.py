"""Process one file, or one piece of a long one; used by every engine.

A worker has two halves. `begin` runs in a thread: it fetches, decodes and cuts segments, a
few in advance. `finish` scores them and creates rows. So the next file is read while the
network runs for this one. Errors in a file become part of its outcome, not exceptions.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from streamsed.audio.decode import AudioInfo, audio_info
from streamsed.config import FrontendConfig, PostConfig, StreamConfig
from streamsed.corpus.files.listing import Listed
from streamsed.corpus.files.storage import DELAYS, Staging, UnreachableError
from streamsed.corpus.pieces import WHOLE, PieceScorer, RecordingPiece, cut
from streamsed.events import Event
from streamsed.inference.model import Model
from streamsed.pipeline.extractor import Progress, SegmentFeatures
from streamsed.pipeline.tracker import EventTracker
from streamsed.recordings.prefetch import Prefetch
from streamsed.samples import Float32

AHEAD = 32
"""Maximum number of waiting segments per file; a segment is half a megabyte."""


@dataclass(frozen=True, slots=True)
class WorkSettings:
    """Settings of a worker.

    Parameters
    ----------
    model : str
        Name or path.
    engine : mapping
        Settings of `Model.load`.
    stream, post : StreamConfig, PostConfig
        How to score, and how scores become events.
    labels : tuple of str
        Labels to report.
    keep_scores : bool
        Whether to keep frame scores.
    piece : float
        Seconds; recordings of at least twice this length are split into such pieces.
    staging : Path
        Folder for copies of remote files.
    delays : tuple of float
        See `streamsed.corpus.files.storage.DELAYS`.
    """

    model: str
    engine: dict[str, Any]
    stream: StreamConfig
    post: PostConfig
    labels: tuple[str, ...]
    keep_scores: bool
    piece: float
    staging: Path
    delays: tuple[float, ...] = DELAYS


@dataclass(frozen=True, slots=True)
class FileTask:
    """A file, or a piece of one, to be processed.

    Parameters
    ----------
    listed : Listed
        The file.
    piece : RecordingPiece or None
        None is the whole file, or a plan of pieces if it is long.
    number : int
        Number of the piece.
    alone : bool
        Whether a worker died with it before: it is then its worker's only task.
    """

    listed: Listed
    piece: RecordingPiece | None = None
    number: int = 0
    alone: bool = False


@dataclass(slots=True)
class Outcome:
    """The result of a task.

    Parameters
    ----------
    task : FileTask
        The task.
    info : AudioInfo or None
        From the file's header; None if it could not be read.
    events : list of Event
        Events of a whole file, by onset.
    scores : float32 (n_score_frames, n_labels) or None
        Scores of a piece, or of a whole file if scores are kept.
    n_samples : int
        Length of the recording, known at its end.
    pieces : list of RecordingPiece
        If not empty, the pieces in which to process this file; there is no other result.
    error : str
        Error message, or "".
    unreachable : bool
        Whether the error may be due to the network.
    wall_time : float
        Seconds spent by the worker.
    """

    task: FileTask
    info: AudioInfo | None = None
    events: list[Event] = field(default_factory=list)
    scores: Float32 | None = None
    n_samples: int = 0
    pieces: list[RecordingPiece] = field(default_factory=list)
    error: str = ""
    unreachable: bool = False
    wall_time: float = 0.0


class Assembly:
    """Combine the scores of a recording, in order, into its events.

    Parameters
    ----------
    labels : sequence of str
        Columns of the scores.
    settings : WorkSettings
        Post-processing settings and labels to report.
    frontend : FrontendConfig
        Defines the grid of score frames.
    """

    def __init__(
        self,
        labels: tuple[str, ...],
        settings: WorkSettings,
        frontend: FrontendConfig,
    ) -> None:
        self._tracker = EventTracker(labels, settings.post, frontend)
        self._reported = settings.labels
        self._events: list[Event] = []

    def push(self, scores: Float32) -> None:
        """Add the scores of the next frames, float32 (n_frames, n_labels)."""
        if len(scores):
            self._events += self._tracker.push(np.ascontiguousarray(scores))

    def finish(self, n_samples: int) -> list[Event]:
        """End the recording of `n_samples` samples and return its events, by onset."""
        events = sorted(self._events + self._tracker.flush(n_samples))
        return [event for event in events if event.label in self._reported]


class CorpusWorker:
    """Process files, one after another.

    Parameters
    ----------
    settings : WorkSettings
        Settings.

    Raises
    ------
    FileNotFoundError, ValueError
        See `Model.load`.
    """

    def __init__(self, settings: WorkSettings) -> None:
        model = Model.load(settings.model, **settings.engine, n_parallel=1)
        self._settings = settings
        self._info = model.info
        self._scorer = PieceScorer(model, settings.stream)
        self._staging = Staging(settings.staging, settings.delays)

    def begin(self, task: FileTask) -> Prefetch[AudioInfo | SegmentFeatures | Progress]:
        """Start to fetch and decode a file in a thread; pass the result to `finish`."""
        return Prefetch(self._extract(task), length=AHEAD)

    def finish(
        self, task: FileTask, begun: Prefetch[AudioInfo | SegmentFeatures | Progress]
    ) -> Outcome:
        """Complete a task started by `begin`."""
        started = time.perf_counter()
        outcome = Outcome(task)
        try:
            with begun:
                self._score(outcome, begun)
        except UnreachableError as error:
            outcome = Outcome(task, error=str(error), unreachable=True)
        except MemoryError:
            outcome.error = f"{task.listed.uri}: not enough memory"
        except (OSError, ValueError) as error:
            outcome.error = self._plain(error, task.listed)
        except Exception as error:  # noqa: BLE001 - a bad file becomes one row
            outcome.error = f"{type(error).__name__}: {self._plain(error, task.listed)}"
        outcome.wall_time = time.perf_counter() - started
        return outcome

    def _extract(
        self, task: FileTask
    ) -> Iterator[AudioInfo | SegmentFeatures | Progress]:
        """Yield the header of a file, then its segments; runs in a thread."""
        listed = task.listed
        path = self._staging.fetch(listed.uri, listed.size, listed.etag)
        info = audio_info(path)
        yield info
        if task.piece is not None or not self._is_long(info):
            yield from self._scorer.extract(path, task.piece or WHOLE)

    def _score(
        self, outcome: Outcome, begun: Prefetch[AudioInfo | SegmentFeatures | Progress]
    ) -> None:
        """Complete the outcome from the items of the thread."""
        items = iter(begun)
        info = next(items)
        assert isinstance(info, AudioInfo)
        outcome.info = info
        piece, frontend = outcome.task.piece, self._info.frontend
        if piece is None and self._is_long(info):
            outcome.pieces = cut(info.n_frames, self._settings.piece, frontend)
            return
        assembly = Assembly(self._info.labels, self._settings, frontend)
        kept = []
        scored = self._scorer.score(items, piece or WHOLE)  # type: ignore[arg-type]
        for scores, n_samples in scored:
            outcome.n_samples = n_samples
            if piece is None:
                assembly.push(scores)
            if piece is not None or self._settings.keep_scores:
                kept.append(scores)
        if kept:
            outcome.scores = np.concatenate(kept)
        if piece is None:
            outcome.events = assembly.finish(outcome.n_samples)

    def _is_long(self, info: AudioInfo) -> bool:
        exact = info.starts_anywhere(self._info.frontend.sample_rate)
        return exact and info.duration >= 2 * self._settings.piece

    def _plain(self, error: Exception, listed: Listed) -> str:
        """Return an error message in one line, with the URI instead of the local copy."""
        path = self._staging.path(listed.uri, listed.size, listed.etag)
        text = str(error) or type(error).__name__
        return " ".join(text.replace(str(path), listed.uri).split())
