"""What reads bytes of strangers, each as a function of one file: the fuzzer's targets.

A target may end in a `ValueError` or `OSError` of one printable line of bounded length,
as a user is to see it. Any other exception is a defect, and so is what the target itself
asserts. To add one, write a function of a path, mark it with the suffix that the file
must have, and put a few small files, good and bad, into `corpus/NAME/`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamsed.audio.decode import audio_info, file_chunks
from streamsed.audio.pcm import PCM_FORMATS, PcmSource
from train.annotations import event_lists
from train.metrics.intervals import merge_overlaps

CORPUS = Path(__file__).parent / "corpus"
LONGEST_MESSAGE = 1000


@dataclass(frozen=True)
class Target:
    """A reader and the suffix of its files."""

    read: Callable[[Path], object]
    suffix: str

    def check(self, path: Path) -> bool:
        """Read a file; return whether it was accepted. What is no refusal is raised."""
        try:
            self.read(path)
        except (ValueError, OSError) as error:
            message = str(error)
            assert message.isprintable(), f"not printable: {message!r}"
            assert 0 < len(message) <= LONGEST_MESSAGE, f"{len(message)} characters"
            return False
        return True


TARGETS: dict[str, Target] = {}


def target(suffix: str) -> Callable[[Callable[[Path], object]], Callable]:
    def register(read: Callable[[Path], object]) -> Callable[[Path], object]:
        TARGETS[read.__name__] = Target(read, suffix)
        return read

    return register


def consume(chunks: Iterable[np.ndarray]) -> None:
    """Go through decoded sound, which must be what the detector takes."""
    for chunk in chunks:
        assert chunk.dtype == np.float32
        assert chunk.ndim == 1
        assert np.isfinite(chunk).all()


@target(".tsv")
def strong_list(path: Path) -> None:
    clips = event_lists.read_strong(path)
    for event in (event for events in clips.values() for event in events):
        assert event.label
        assert 0 <= event.onset < event.offset < float("inf")
    event_lists.digest(clips)
    for events in clips.values():
        merge_overlaps(events)


@target(".tsv")
def other_lists(path: Path) -> None:
    refusals = []
    for read in (
        event_lists.read_weak,
        event_lists.read_names,
        event_lists.read_durations,
    ):
        try:
            read(path)
        except ValueError as error:
            refusals.append(error)
    if refusals:
        raise max(refusals, key=lambda error: len(str(error)))


@target(".pcm")
def pcm_source(path: Path) -> None:
    """The first bytes are the settings, the rest is what the pipe carries."""
    with path.open("rb") as stream:
        settings = stream.read(8).ljust(8, b"\0")
        rate, channels, channel, form = struct.unpack("<IBBxB", settings)
        stream.seek(8)
        source = PcmSource(
            stream,
            capture_rate=rate,
            n_channels=channels,
            format_name=list(PCM_FORMATS)[form % len(PCM_FORMATS)],
            sample_rate=44100,
            channel=channel or None,
        )
        while (pieces := source.read()) is not None:
            consume(piece.samples for piece in pieces)


@target(".wav")
def audio_file(path: Path) -> None:
    info = audio_info(path)
    assert info.duration >= 0
    consume(file_chunks(path, sample_rate=16000))
