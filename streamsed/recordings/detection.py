"""Detect in recordings: from paths on a command line to their events.

`find_recordings` says which files are meant and what each is called in the output;
`extract` and `detect` are the two halves of the work on one of them, so that decoding, front-end and
network of this and the next ones run beside each other; `differs_in_chunks` shows that a
stream gives the same events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamsed.audio.decode import audio_files, audio_info, file_chunks
from streamsed.detector import Detector
from streamsed.events import Event
from streamsed.inference.model import SegmentScores
from streamsed.pipeline.extractor import Extracted, Progress, SegmentFeatures
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.pipeline.trace import Trace

Chunks = Iterable[NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Recording:
    """A file to work on.

    Parameters
    ----------
    path : Path
        Where it is.
    name : str
        What it is called in the output: its file name, its path below the folder that was
        asked for, or its whole path where two would share a name.
    duration : float
        Seconds, as its header states; 0 where it does not.
    """

    path: Path
    name: str
    duration: float = 0.0


def find_recordings(
    paths: Sequence[Path], *, recursive: bool
) -> tuple[list[Recording], list[str]]:
    """Return the recordings that files and folders stand for, and what went wrong.

    Parameters
    ----------
    paths : sequence of Path
        Files are taken as they are; folders give their audio files.
    recursive : bool
        Whether to look in folders inside folders.

    Returns
    -------
    recordings : list of Recording
        Each file once, if its header can be read.
    errors : list of str
        A sentence for every path that gives nothing.
    """
    found: dict[Path, str] = {}
    durations: dict[Path, float] = {}
    errors = []
    for path in paths:
        try:
            if path.is_dir():
                for file in audio_files(path, recursive=recursive):
                    found.setdefault(file, str(file.relative_to(path)))
            else:
                found.setdefault(path, path.name)
        except (OSError, ValueError) as error:
            errors.append(str(error))
    for path in found:
        try:
            durations[path] = audio_info(path).duration
        except Exception as error:  # noqa: BLE001 - a bad file costs only itself
            errors.append(describe_error(error, path))
    count = Counter(found.values())
    recordings = [
        Recording(path, name if count[name] == 1 else str(path), durations[path])
        for path, name in found.items()
        if path in durations
    ]
    return recordings, errors


def describe_error(error: Exception, path: Path) -> str:
    """Return a sentence about what went wrong with a recording, which names it."""
    message = " ".join(str(error).split())
    if not isinstance(error, OSError | ValueError):
        message = f"{type(error).__name__} {message}".rstrip()
    return message if str(path) in message else f"{path}: {message}"


@dataclass(frozen=True, slots=True)
class Detection:
    """What was found in a recording.

    Parameters
    ----------
    recording : Recording
        Where.
    events : list of Event
        What, by onset.
    n_samples : int
        Length of the recording at the detector's sampling frequency.
    trace : Trace or None
        What passed between the stages, if it was asked for.
    """

    recording: Recording
    events: list[Event]
    n_samples: int
    trace: Trace | None = None


Scored = tuple[Extracted, "Future[SegmentScores] | None"]
"""Frames, segment or progress; a segment with the promise of its scores."""


def extract(
    detector: Detector,
    recording: Recording,
    scorers: ThreadPoolExecutor | None = None,
) -> Iterator[Scored]:
    """Decode a recording, cut its segments and have them scored, ahead of `detect`.

    Parameters
    ----------
    detector : Detector
        Whose settings are taken; it may be at work on another recording meanwhile.
    recording : Recording
        See `streamsed.audio.decode.file_chunks` for the errors that a bad file raises.
    scorers : ThreadPoolExecutor or None
        Who scores; None leaves that to `detect`.
    """
    chunks = file_chunks(recording.path, sample_rate=detector.sample_rate)
    for extracted in detector.new_extractor().run(chunks):
        if scorers is not None and isinstance(extracted, SegmentFeatures):
            yield extracted, scorers.submit(detector.model.score, extracted.features)
        else:
            yield extracted, None


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
        Is reset first.
    recording : Recording
        Which.
    extracted : iterable of Scored or None
        What `extract` gives of it, in its order; None does that here.
    trace : Trace or None
        Where to keep what passes between the stages.
    on_samples : callable
        Told now and then of the samples done.
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
    """Push the recording again in random chunks, as a microphone might give it.

    Parameters
    ----------
    detector : Detector
        Is reset first.
    detection : Detection
        What it gave the first time.
    seed : int
        Of the chunk sizes, which run from no sample to about 1.5 s.

    Returns
    -------
    n_chunks : int
        How many chunks were pushed.
    different : list of Event
        Events that only one of the two ways gave; empty if all is well.
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
    """Cut a recording anew: random chunk lengths from 0 to 65536, short ones as likely."""
    rest = np.empty(0, dtype=np.float32)
    length = 0
    for chunk in chunks:
        rest = np.concatenate([rest, chunk])
        while len(rest) >= length:
            yield rest[:length]
            rest = rest[length:]
            length = int(2 ** rng.uniform(0, 16)) - 1
    yield rest
