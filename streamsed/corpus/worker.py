"""What is done to one file, or to one piece of a long one; the same under every engine.

A worker is in two halves. `begin` runs in a thread: it fetches, decodes and cuts segments,
a few ahead. `finish` scores them and makes rows. So the next file is read while the network
runs for this one. Whatever is wrong with a file becomes an outcome, never an exception.
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
"""Segments of each file that may wait; a segment is half a megabyte."""


@dataclass(frozen=True, slots=True)
class WorkSettings:
    """What a worker needs to know.

    Parameters
    ----------
    model : str
        Name or path.
    engine : mapping
        Settings of `Model.load`.
    stream, post : StreamConfig, PostConfig
        How to score, and how scores become events.
    labels : tuple of str
        Of which labels events are reported.
    keep_scores : bool
        Whether frame scores are wanted too.
    piece : float
        Seconds; recordings of at least twice this are cut into pieces of it.
    staging : Path
        Where copies of remote files are kept meanwhile.
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
    """A file, or a piece of one, to be done.

    Parameters
    ----------
    listed : Listed
        The file.
    piece : RecordingPiece or None
        None is the whole, or a plan of pieces if it turns out to be long.
    number : int
        Which of the pieces this is.
    alone : bool
        Whether a worker died on it before: it is then the only one in its worker's hands.
    """

    listed: Listed
    piece: RecordingPiece | None = None
    number: int = 0
    alone: bool = False


@dataclass(slots=True)
class Outcome:
    """What became of a task.

    Parameters
    ----------
    task : FileTask
        Which.
    info : AudioInfo or None
        What the file's header says; None where it could not be read.
    events : list of Event
        Of a whole file, by onset.
    scores : float32 (n_score_frames, n_labels) or None
        Of a piece, or of a whole file where scores are kept.
    n_samples : int
        Length of the recording, known at its end.
    pieces : list of RecordingPiece
        In which this file is to be done, instead of everything else.
    error : str
        What was wrong, "" if nothing.
    unreachable : bool
        Whether it may be the network that was wrong.
    wall_time : float
        Seconds that a worker spent on it.
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
    """Join the scores of a recording, in their order, to its events.

    Parameters
    ----------
    labels : sequence of str
        The columns.
    settings : WorkSettings
        How scores become events, and of which labels.
    frontend : FrontendConfig
        The grid.
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
        """Take the scores of the next frames, float32 (n_frames, n_labels)."""
        if len(scores):
            self._events += self._tracker.push(np.ascontiguousarray(scores))

    def finish(self, n_samples: int) -> list[Event]:
        """End the recording of `n_samples` samples and return its events, by onset."""
        events = sorted(self._events + self._tracker.flush(n_samples))
        return [event for event in events if event.label in self._reported]


class CorpusWorker:
    """Do files, one after another.

    Parameters
    ----------
    settings : WorkSettings
        How.

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
        """Begin to fetch and decode a file in a thread; give it to `finish`."""
        return Prefetch(self._extract(task), length=AHEAD)

    def finish(
        self, task: FileTask, begun: Prefetch[AudioInfo | SegmentFeatures | Progress]
    ) -> Outcome:
        """Do what `begin` has begun."""
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
        except Exception as error:  # noqa: BLE001 - a bad file costs one row
            outcome.error = f"{type(error).__name__}: {self._plain(error, task.listed)}"
        outcome.wall_time = time.perf_counter() - started
        return outcome

    def _extract(
        self, task: FileTask
    ) -> Iterator[AudioInfo | SegmentFeatures | Progress]:
        """Give the header of a file, then what is to be scored; runs in a thread."""
        listed = task.listed
        path = self._staging.fetch(listed.uri, listed.size, listed.etag)
        info = audio_info(path)
        yield info
        if task.piece is not None or not self._is_long(info):
            yield from self._scorer.extract(path, task.piece or WHOLE)

    def _score(
        self, outcome: Outcome, begun: Prefetch[AudioInfo | SegmentFeatures | Progress]
    ) -> None:
        """Fill in the outcome from the items of the thread."""
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
        """Say what is wrong on one line, with the file's URI for that of its copy."""
        path = self._staging.path(listed.uri, listed.size, listed.etag)
        text = str(error) or type(error).__name__
        return " ".join(text.replace(str(path), listed.uri).split())
