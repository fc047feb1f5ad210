"""Detect events in recordings: from paths on a command line to events.

`find_recordings` finds the files and their names in the output. `extract` and `detect` are
the two halves of the work on one recording, so that decoding, front-end and network of
several recordings run in parallel. `differs_in_chunks` checks that a stream gives the same
events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamsed.audio.decode import (
    audio_files,
    audio_info,
    describe_other_formats,
    file_chunks,
    other_formats,
)
from streamsed.detector import Detector
from streamsed.events import Event
from streamsed.inference.model import SegmentScores
from streamsed.pipeline.extractor import Extracted, Progress, SegmentFeatures
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.pipeline.trace import Trace
from streamsed.recordings.prefetch import Prefetch, prefetch_each
from streamsed.terminal import print_message, reason_of

AHEAD = 32
"""Maximum number of waiting items per recording; a segment is half a megabyte."""

Chunks = Iterable[NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording.

    Parameters
    ----------
    path : Path
        Path of the file.
    name : str
        Name in the output: its file name, its path relative to the given folder, or its
        full path if names would not be unique.
    duration : float
        Seconds, from its header; 0 if unknown.
    """

    path: Path
    name: str
    duration: float = 0.0


def find_recordings(
    paths: Sequence[Path], *, recursive: bool
) -> tuple[list[Recording], list[str]]:
    """Return the recordings in files and folders, and error messages.

    Recordings of a folder in formats that cannot be read are passed over with a message.

    Parameters
    ----------
    paths : sequence of Path
        Files, and folders of audio files.
    recursive : bool
        Whether to include subfolders.

    Returns
    -------
    recordings : list of Recording
        Without duplicates; only files with a readable header.
    errors : list of str
        A message for each path without a readable recording.
    """
    found: dict[Path, str] = {}
    durations: dict[Path, float] = {}
    errors = []
    for path in paths:
        try:
            if path.is_dir():
                _note_other_formats(path, recursive=recursive)
                for file in audio_files(path, recursive=recursive):
                    found.setdefault(file, str(file.relative_to(path)))
            else:
                found.setdefault(path, path.name)
        except (OSError, ValueError) as error:
            errors.append(describe_error(error, path))
    for path in found:
        try:
            durations[path] = audio_info(path).duration
        except Exception as error:  # noqa: BLE001 - a bad file must not stop the others
            errors.append(describe_error(error, path))
    count = Counter(found.values())
    recordings = [
        Recording(path, name if count[name] == 1 else str(path), durations[path])
        for path, name in found.items()
        if path in durations
    ]
    return recordings, errors


def _note_other_formats(folder: Path, *, recursive: bool) -> None:
    if counts := other_formats(folder, recursive=recursive):
        print_message(f"{folder}: {describe_other_formats(counts)}")


def describe_error(error: Exception, path: Path) -> str:
    """Return an error message that names the recording."""
    message = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror and error.filename:
        message = f"{error.filename}: {reason_of(error)}"
    if not isinstance(error, OSError | ValueError):
        message = f"{type(error).__name__} {message}".rstrip()
    return message if str(path) in message else f"{path}: {message}"


@dataclass(frozen=True, slots=True)
class Detection:
    """The result of detection in a recording.

    Parameters
    ----------
    recording : Recording
        The recording.
    events : list of Event
        Its events, by onset.
    n_samples : int
        Length of the recording at the detector's sampling rate.
    trace : Trace or None
        The data between the stages, if requested.
    """

    recording: Recording
    events: list[Event]
    n_samples: int
    trace: Trace | None = None


Scored = tuple[Extracted, "Future[SegmentScores] | None"]
"""Frames, segment or progress; a segment comes with the future of its scores."""


def extract(
    detector: Detector,
    recording: Recording,
    scorers: ThreadPoolExecutor | None = None,
) -> Iterator[Scored]:
    """Decode a recording, cut segments and start scoring them, ahead of `detect`.

    Parameters
    ----------
    detector : Detector
        Provides the settings; it may work on another recording at the same time.
    recording : Recording
        See `streamsed.audio.decode.file_chunks` for the errors of bad files.
    scorers : ThreadPoolExecutor or None
        Threads for scoring; None leaves scoring to `detect`.
    """
    chunks = file_chunks(recording.path, sample_rate=detector.sample_rate)
    for extracted in detector.new_extractor().run(chunks):
        if scorers is not None and isinstance(extracted, SegmentFeatures):
            yield extracted, scorers.submit(detector.model.score, extracted.features)
        else:
            yield extracted, None


@contextmanager
def extract_ahead(
    detector: Detector, recordings: Sequence[Recording], *, n_parallel: int
) -> Iterator[Iterator[tuple[Recording, Prefetch[Scored]]]]:
    """Run `extract` on recordings ahead of who takes them, in threads that end here.

    Parameters
    ----------
    detector : Detector
        See `extract`.
    recordings : sequence of Recording
        In the order in which they are wanted.
    n_parallel : int
        Number of segments that are scored at once.

    Yields
    ------
    iterator of (Recording, Prefetch)
        Each recording with its items; an error of a recording is raised by its items.
    """
    scorers = ThreadPoolExecutor(n_parallel)
    turns = prefetch_each(
        recordings,
        lambda recording: extract(detector, recording, scorers),
        n_begun=n_parallel + 1,
        length=AHEAD,
    )
    with closing(turns):
        try:
            yield turns
        finally:
            scorers.shutdown(cancel_futures=True)


def detect(
    detector: Detector,
    recording: Recording,
    extracted: Iterable[Scored] | None = None,
    *,
    trace: Trace | None = None,
    on_samples: Callable[[int], None] = lambda _: None,
) -> Detection:
    """Detect the events of one recording.

    Parameters
    ----------
    detector : Detector
        It is reset first.
    recording : Recording
        Which.
    extracted : iterable of Scored or None
        Items of `extract`, in order; None calls it here.
    trace : Trace or None
        Stores the data between the stages.
    on_samples : callable
        Called with the number of samples processed.
    """
    detector.reset()
    detector.observer = trace
    n_samples = 0
    updates: list[EventUpdate] = []
    for each, scored in extracted or extract(detector, recording):
        scores = scored.result() if scored else None
        updates += detector.consume(each, scores, closed_only=True)
        if isinstance(each, Progress):
            on_samples(each.n_samples - n_samples)
            n_samples = each.n_samples
    events = sorted(update.event for update in updates if update.state == "closed")
    return Detection(recording, events, n_samples, trace)


def differs_in_chunks(
    detector: Detector, detection: Detection, *, seed: int
) -> tuple[int, list[Event]]:
    """Push the recording again in random chunks, as from a microphone, and compare.

    Parameters
    ----------
    detector : Detector
        It is reset first.
    detection : Detection
        The first result.
    seed : int
        Seed of the chunk sizes, which range from 0 to about 1.5 s.

    Returns
    -------
    n_chunks : int
        Number of chunks.
    different : list of Event
        Events that occur in only one of the two results; empty if they agree.
    """
    n_chunks = 0

    def counted() -> Iterator[NDArray[np.float32]]:
        nonlocal n_chunks
        path = detection.recording.path
        chunks = file_chunks(path, sample_rate=detector.sample_rate)
        for chunk in recut(chunks, np.random.default_rng(seed)):
            n_chunks += 1
            yield chunk

    again = set(detector.events(counted()))
    return n_chunks, sorted(again.symmetric_difference(detection.events))


def recut(chunks: Chunks, rng: np.random.Generator) -> Iterator[NDArray[np.float32]]:
    """Cut a recording into random chunks of 0 to 65536 samples, log-uniformly."""
    rest = np.empty(0, dtype=np.float32)
    length = 0
    for chunk in chunks:
        rest = np.concatenate([rest, chunk])
        while len(rest) >= length:
            yield rest[:length]
            rest = rest[length:]
            length = int(2 ** rng.uniform(0, 16)) - 1
    yield rest
