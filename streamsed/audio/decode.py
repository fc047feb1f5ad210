"""Decode recordings into chunks of mono float32 at the detector's sampling rate.

Files are decoded block by block through libsndfile and resampled by a stateful soxr
stream, so a day of audio needs no more memory than a minute. Channels are mixed down by
their mean. Samples are not rescaled: full scale is 1.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from streamsed.audio.completeness import EXACT_FORMATS, lacks_end, stated_frames
from streamsed.samples import MAX_AMPLITUDE
from streamsed.terminal import counted

SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".w64"}
)
"""Suffixes by which `audio_files` recognizes audio files."""

OTHER_SUFFIXES = frozenset(
    {".m4a", ".mp4", ".aac", ".wma", ".amr", ".3gp", ".webm", ".mkv", ".mov", ".ape"}
)
"""Suffixes of recordings that libsndfile does not read."""

BLOCK = 1 << 17
"""Frames decoded at a time; about 3 s."""

MIN_RATE, MAX_RATE = 1000, 768_000
"""Hz; other rates are not audio, and could take any amount of memory."""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Properties of an audio file, from its header.

    Parameters
    ----------
    sample_rate : int
        Hz.
    n_channels : int
        Channels.
    n_frames : int
        Samples per channel; 0 if the header does not state it.
    container : str
        Format, as libsndfile names it.
    """

    sample_rate: int
    n_channels: int
    n_frames: int
    container: str

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.n_frames / self.sample_rate

    def starts_anywhere(self, sample_rate: int) -> bool:
        """Whether `file_chunks` at `sample_rate` Hz can start at any sample."""
        exact = self.container in EXACT_FORMATS and self.n_frames > 0
        return exact and self.sample_rate == sample_rate


def audio_files(folder: Path, *, recursive: bool = False) -> list[Path]:
    """Return the audio files of a folder, recognized by suffix and sorted.

    Raises
    ------
    ValueError
        There are none.
    """
    files = _with_suffix(folder, SUFFIXES, recursive=recursive)
    if not files:
        remedy = "" if recursive else "; use --recursive to include subfolders"
        raise ValueError(
            f"{folder}: no audio files ({', '.join(sorted(SUFFIXES))}){remedy}"
        )
    return files


def other_formats(folder: Path, *, recursive: bool = False) -> Counter[str]:
    """Count the recordings of a folder that `audio_files` leaves out, by suffix."""
    others = _with_suffix(folder, OTHER_SUFFIXES, recursive=recursive)
    return Counter(path.suffix.lower() for path in others)


def describe_other_formats(counts: Counter[str]) -> str:
    """Say how many recordings are passed over, and what to do about them."""
    return (
        f"{counted(counts.total(), 'recording')} in other formats "
        f"({', '.join(sorted(counts))}) passed over; convert with `ffmpeg -i IN OUT.wav`"
    )


def _with_suffix(
    folder: Path, suffixes: frozenset[str], *, recursive: bool
) -> list[Path]:
    found = folder.rglob("*") if recursive else folder.iterdir()
    return sorted(p for p in found if p.suffix.lower() in suffixes and p.is_file())


def audio_info(path: str | os.PathLike[str]) -> AudioInfo:
    """Read a file's header; see `file_chunks` for the errors."""
    with _open(Path(path)) as sound:
        return _info(sound, Path(path))


def file_chunks(
    path: str | os.PathLike[str], *, sample_rate: int = 44100, start: int = 0
) -> Iterator[NDArray[np.float32]]:
    """Decode a recording in chunks of about 3 s.

    Parameters
    ----------
    path : str or path
        A wav, flac, ogg, opus, mp3 or aiff file with any sampling rate, sample format and
        number of channels.
    sample_rate : int
        Hz of the chunks.
    start : int
        Samples to skip; other than 0 only if `AudioInfo.starts_anywhere`, so that the rest
        is bit for bit what it is without skipping.

    Yields
    ------
    float32 (n_samples,)
        Mono samples, full scale 1.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is not audio, has no samples, is shorter than its header states, or has a
        sample that is NaN, infinite or too large to be audio.
    """
    path = Path(path)
    with _open(path) as sound:
        if start:
            _pass_over(sound, path, start, sample_rate)
        resampler = None
        if sound.samplerate != sample_rate:
            resampler = soxr.ResampleStream(
                sound.samplerate, sample_rate, num_channels=1, dtype="float32"
            )
        for mono in _blocks(sound, path, n_read=start):
            if resampler is None:
                yield mono
                continue
            # Upsampling from a low rate makes few samples many: blocks bound their number.
            length = max(1, BLOCK * sound.samplerate // sample_rate)
            for first in range(0, len(mono), length):
                yield resampler.resample_chunk(mono[first : first + length])
        if resampler is not None:
            yield resampler.resample_chunk(np.empty(0, np.float32), last=True)


def _pass_over(
    sound: soundfile.SoundFile, path: Path, start: int, sample_rate: int
) -> None:
    """Seek to a sample."""
    if not _info(sound, path).starts_anywhere(sample_rate):
        raise ValueError(
            f"start={start} must be 0 for {path}: only wav, aiff and flac files of "
            f"{sample_rate} Hz can be read from any sample"
        )
    try:
        sound.seek(start)
    except soundfile.LibsndfileError as error:  # past the end, or damaged before
        raise ValueError(_truncated(path, min(start, sound.frames), sound)) from error


def _blocks(
    sound: soundfile.SoundFile, path: Path, *, n_read: int
) -> Iterator[NDArray[np.float32]]:
    """Decode, check and mix down block by block; `n_read` samples were skipped."""
    n_stated = stated_frames(sound, path)
    length = max(1, BLOCK // max(1, sound.channels // 8))  # bounds the memory
    while True:
        try:
            block = sound.read(length, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise ValueError(_truncated(path, n_read, sound)) from error
        if not len(block):
            break
        if not max(block.max(), -block.min()) <= MAX_AMPLITUDE:  # true for NaN as well
            row, channel = np.argwhere(~(np.abs(block) <= MAX_AMPLITUDE))[0]
            raise ValueError(
                f"{path}: the sample at {(n_read + row) / sound.samplerate:.3f} s is "
                f"{block[row, channel]:g}; samples must be finite and at most "
                f"{MAX_AMPLITUDE:g} in absolute value (full scale is 1); repair the "
                "file, e.g. with numpy.nan_to_num"
            )
        n_read += len(block)
        yield block[:, 0].copy() if block.shape[1] == 1 else block.mean(axis=1)
    if n_read < n_stated or lacks_end(sound, path):
        raise ValueError(_truncated(path, n_read, sound))
    if n_read == 0:
        raise ValueError(f"{path}: contains no samples")


def _info(sound: soundfile.SoundFile, path: Path) -> AudioInfo:
    n_frames = stated_frames(sound, path)
    if not n_frames and 0 < sound.frames < 1 << 62:  # the best estimate there is
        n_frames = int(sound.frames)
    return AudioInfo(sound.samplerate, sound.channels, n_frames, sound.format)


def _truncated(path: Path, n_read: int, sound: soundfile.SoundFile) -> str:
    n_stated = stated_frames(sound, path)
    whole = f" of {n_stated / sound.samplerate:.3f} s" if n_stated > n_read else ""
    return (
        f"{path}: damaged or truncated after {n_read / sound.samplerate:.3f} s{whole}; "
        "copy it again, or convert what is left with `ffmpeg -i IN OUT.wav`"
    )


class _Stream(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A file that is read sequentially: soundfile would seek after each read.

    Without a length in the header, that seek fails at the end.
    """

    def seekable(self) -> bool:
        return False


def _open(path: Path) -> soundfile.SoundFile:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if path.is_dir():
        raise ValueError(f"{path}: is a folder, not an audio file")
    if not path.is_file():
        raise ValueError(
            f"{path}: is a pipe or a device, not an audio file; write its sound to a file "
            "first, or send raw samples to `streamsed listen --stdin`"
        )
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: is empty (0 bytes)")
    try:
        sound = _Stream(os.fsencode(path))  # file names need not be UTF-8
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError for *.raw
        reason = getattr(error, "error_string", "it has no header").rstrip(".")
        raise ValueError(
            f"{path}: not a supported audio file (wav, flac, ogg, opus, mp3, aiff …): "
            f"{reason}; convert it with `ffmpeg -i IN OUT.wav`"
        ) from error
    if not MIN_RATE <= sound.samplerate <= MAX_RATE:
        sound.close()
        raise ValueError(
            f"{path}: the sampling rate of {sound.samplerate} Hz is not between "
            f"{MIN_RATE} and {MAX_RATE} Hz; is the header damaged?"
        )
    return sound
