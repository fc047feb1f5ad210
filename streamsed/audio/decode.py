"""Where samples come from: chunks of mono float32 at the detector's sampling frequency.

Files are decoded block by block through libsndfile and resampled by a stateful soxr
stream, so a day of audio needs no more memory than a minute. Channels are mixed down by
their mean. Nothing is scaled: full scale is 1.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from streamsed.samples import MAX_AMPLITUDE

SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".w64"}
)
"""What `audio_files` takes for audio in a folder."""

BLOCK = 1 << 17
"""Frames decoded at a time; about 3 s."""

EXACT_FORMATS = frozenset({"WAV", "WAVEX", "W64", "RF64", "AIFF", "FLAC"})
"""Containers whose header states the exact length, so that a short file is noticed."""

NO_LENGTH = 0x7FFF0000
"""Bytes from which a wav header's size means that the recorder did not know."""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What a file's header says.

    Parameters
    ----------
    sample_rate : int
        Hz.
    n_channels : int
        Channels.
    n_frames : int
        Samples per channel; 0 where the header does not say.
    container : str
        Format as libsndfile names it.
    """

    sample_rate: int
    n_channels: int
    n_frames: int
    container: str

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.n_frames / self.sample_rate


def audio_files(folder: Path, *, recursive: bool = False) -> list[Path]:
    """Return the audio files of a folder by their suffix, sorted.

    Raises
    ------
    ValueError
        There are none.
    """
    found = folder.rglob("*") if recursive else folder.iterdir()
    files = sorted(p for p in found if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        remedy = (
            "name another folder" if recursive else "add --recursive to look deeper"
        )
        raise ValueError(
            f"{folder} must hold audio files ({', '.join(sorted(SUFFIXES))}); {remedy}"
        )
    return files


def audio_info(path: str | os.PathLike[str]) -> AudioInfo:
    """Read a file's header; see `file_chunks` for the errors."""
    with _open(Path(path)) as sound:
        return AudioInfo(
            sound.samplerate, sound.channels, _stated_frames(sound), sound.format
        )


def file_chunks(
    path: str | os.PathLike[str], *, sample_rate: int = 44100
) -> Iterator[NDArray[np.float32]]:
    """Decode a recording in chunks of about 3 s.

    Parameters
    ----------
    path : str or path
        A wav, flac, ogg, opus, mp3 or aiff file of any sampling frequency, sample format
        and channel count.
    sample_rate : int
        Hz; what comes out.

    Yields
    ------
    float32 (n_samples,)
        Mono samples, full scale 1.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is no audio, holds no samples, ends before its header says, or holds a
        NaN, an infinity or a value that cannot be audio; the message names the file and the remedy.
    """
    path = Path(path)
    with _open(path) as sound:
        resampler = None
        if sound.samplerate != sample_rate:
            resampler = soxr.ResampleStream(
                sound.samplerate, sample_rate, num_channels=1, dtype="float32"
            )
        for mono in _blocks(sound, path):
            yield mono if resampler is None else resampler.resample_chunk(mono)
        if resampler is not None:
            yield resampler.resample_chunk(np.empty(0, np.float32), last=True)


def _blocks(sound: soundfile.SoundFile, path: Path) -> Iterator[NDArray[np.float32]]:
    """Decode, check and mix down block by block."""
    n_read = 0
    n_stated = _stated_frames(sound) if sound.format in EXACT_FORMATS else 0
    while True:
        try:
            block = sound.read(BLOCK, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise ValueError(_truncated(path, n_read, sound)) from error
        if not len(block):
            break
        if not max(block.max(), -block.min()) <= MAX_AMPLITUDE:  # true for NaN as well
            row, channel = np.argwhere(~(np.abs(block) <= MAX_AMPLITUDE))[0]
            raise ValueError(
                f"{path} must hold finite samples of at most {MAX_AMPLITUDE:g} in size "
                f"(full scale is 1), and holds {block[row, channel]:g} at "
                f"{(n_read + row) / sound.samplerate:.3f} s; repair it, e.g. with "
                "numpy.nan_to_num"
            )
        n_read += len(block)
        yield block[:, 0].copy() if block.shape[1] == 1 else block.mean(axis=1)
    if n_read < n_stated:
        raise ValueError(_truncated(path, n_read, sound))
    if n_read == 0:
        raise ValueError(f"{path} must hold at least one sample, and holds none")


def _truncated(path: Path, n_read: int, sound: soundfile.SoundFile) -> str:
    return (
        f"{path} must be whole, and is damaged or cut off past "
        f"{n_read / sound.samplerate:.3f} s of "
        f"{_stated_frames(sound) / sound.samplerate:.3f} s; "
        "copy it again, or keep what is there with `ffmpeg -i IN OUT.wav`"
    )


def _stated_frames(sound: soundfile.SoundFile) -> int:
    """Return the samples per channel that a header states, 0 where it does not say.

    Of a wav or aiff that is cut off, libsndfile counts the samples that are there, and
    says only in its log what was stated.
    """
    if sound.frames < 0 or sound.frames > 1 << 62:
        return 0
    sizes = re.search(
        r"^\s*(?:data|SSND) : (\d+) \(should be (\d+)\)", sound.extra_info, re.MULTILINE
    )
    if sizes is not None:
        stated, there = map(int, sizes.groups())
        if 0 < there < stated < NO_LENGTH:
            return int(stated * sound.frames // there)
    return int(sound.frames)


class _Stream(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A file read from start to end: a soundfile seeks after each read, if it can.

    Where a header states no length, that seek fails at the end.
    """

    def seekable(self) -> bool:
        return False


def _open(path: Path) -> soundfile.SoundFile:
    if not path.exists():
        raise FileNotFoundError(f"{path} must be an audio file, and does not exist")
    if path.is_dir():
        raise ValueError(f"{path} must be an audio file, and is a folder")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} must be an audio file, and is empty (0 bytes)")
    try:
        return _Stream(os.fsencode(path))  # any file name, be it UTF-8 or not
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError for *.raw
        reason = getattr(error, "error_string", "it has no header").rstrip(".")
        raise ValueError(
            f"{path} must be audio that libsndfile reads (wav, flac, ogg, opus, mp3, "
            f"aiff), and is not ({reason}); convert it with `ffmpeg -i IN OUT.wav`"
        ) from error
