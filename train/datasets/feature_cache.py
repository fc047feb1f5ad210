"""Features of clips on disk, computed once: float16 decibels, one file for each list.

    FOLDER/NAME-KEY.f16    float16 (n_clips, segment_frames, n_mels), clip after clip
    FOLDER/NAME-KEY.done   a byte for each clip: 0 to do, 1 whole, 2 cannot be read
    FOLDER/NAME-KEY.lock   locked by the process that builds; the others wait for it

The key is made of the front-end's settings and of every clip's name, size and time of
change, so that other settings or clips make other files. A clip's byte is written after
its features have reached the disk: whatever kills the work, what is marked is whole, and
the next build goes on from there. Half precision is within 0.03 dB below 128 dB.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamsed.audio.decode import file_chunks
from streamsed.config import FrontendConfig
from streamsed.progress import task
from train.datasets.clip_features import log_mel

TO_DO, WHOLE, UNREADABLE = 0, 1, 2
CHUNK = 32
"""Clips between two waits for the disk."""


@dataclass(frozen=True, slots=True)
class Features:
    """Log-mel frames of clips, read from disk one clip at a time.

    Parameters
    ----------
    path : Path
        The file; another process can read it by the same object.
    rows : dict of str to int
        Clip to its place in the file; those that could not be read are not here.
    skipped : tuple of str
        Those that could not be read.
    shape : (int, int)
        Frames and mel bands of a clip.
    """

    path: Path
    rows: Mapping[str, int]
    skipped: tuple[str, ...]
    shape: tuple[int, int]

    def read(self, name: str) -> NDArray[np.float32]:
        """Read the decibels of one clip, float32 (segment_frames, n_mels)."""
        n = self.shape[0] * self.shape[1]
        offset = 2 * n * self.rows[name]
        frames = np.fromfile(self.path, np.float16, count=n, offset=offset)
        return frames.reshape(self.shape).astype(np.float32)


def build_features(
    folder: Path,
    name: str,
    clips: Mapping[str, Path],
    config: FrontendConfig,
    *,
    n_processes: int = 1,
    on_clips: Callable[[int], None] = lambda _: None,
) -> Features:
    """Compute the features of clips, or what of them is not yet there.

    Parameters
    ----------
    folder : Path
        Created if it does not exist.
    name : str
        Start of the file's name.
    clips : mapping of str to Path
        Audio of any sampling rate; what is longer than a segment is cut, what is
        shorter is padded with digital silence.
    config : FrontendConfig
        The front-end.
    n_processes : int
        How many work at it.
    on_clips : callable
        Told how many clips were done, now and then, from 0 to all.

    Raises
    ------
    OSError
        A clip is gone, the folder is not writable or the disk too small.
    """
    shape = (config.segment_frames, config.n_mels)
    size = 2 * shape[0] * shape[1]
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"{name}-{features_key(clips, config)}"
    data, done = stem.with_suffix(".f16"), stem.with_suffix(".done")
    with _locked(stem.with_suffix(".lock")):
        for path, length in ((data, size * len(clips)), (done, len(clips))):
            path.touch()
            os.truncate(path, length)  # zeros that take no room until they are written
        state = np.fromfile(done, np.uint8)
        to_do = np.flatnonzero(state == TO_DO).tolist()
        free = shutil.disk_usage(folder).free
        if size * len(to_do) > free:
            raise OSError(
                f"{folder}: features need {size * len(to_do) / 1e9:.1f} GB, and only "
                f"{free / 1e9:.1f} GB are free; free some space, or name another folder"
            )
        paths = list(clips.values())
        jobs = [
            _Job(
                data,
                done,
                size,
                config,
                {row: paths[row] for row in to_do[i : i + CHUNK]},
            )
            for i in range(0, len(to_do), CHUNK)
        ]
        n_done = len(clips) - len(to_do)
        on_clips(n_done)
        with task(f"features of {name}", len(clips), "clips") as building:
            building.resume(n_done)
            for n_more in _work(jobs, n_processes):
                n_done += n_more
                building.update(n_done)
                on_clips(n_done)
        state = np.fromfile(done, np.uint8)
    names = list(clips)
    return Features(
        data,
        {names[row]: row for row in np.flatnonzero(state == WHOLE).tolist()},
        tuple(names[row] for row in np.flatnonzero(state == UNREADABLE).tolist()),
        shape,
    )


def features_key(clips: Mapping[str, Path], config: FrontendConfig) -> str:
    """Make the key of a features file: 16 hexadecimal digits."""
    settings = config.to_dict()
    for later in ("top_db", "subsampling"):  # neither touches the frames
        del settings[later]
    rows = []
    for name, path in clips.items():
        status = path.stat()
        rows.append([name, status.st_size, status.st_mtime_ns])
    text = json.dumps([settings, rows], sort_keys=True).encode()
    return hashlib.sha256(text).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Job:
    """Some clips of one file, by their rows."""

    data: Path
    done: Path
    size: int
    config: FrontendConfig
    clips: Mapping[int, Path]


def _work(jobs: Sequence[_Job], n_processes: int) -> Iterator[int]:
    """Do the jobs, here or in processes of their own; yield how many clips were done."""
    if n_processes == 1 or len(jobs) < 2:
        yield from map(_do, jobs)
        return
    pool = ProcessPoolExecutor(
        min(n_processes, len(jobs)),
        get_context("spawn"),
        initializer=signal.signal,  # who begins these processes ends them
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )
    try:
        yield from pool.map(_do, jobs)
    finally:
        pool.shutdown(cancel_futures=True)


def _do(job: _Job) -> int:
    """Compute some clips, wait until the disk has them, and mark them."""
    marks = {}
    with job.data.open("r+b") as file:
        for row, path in job.clips.items():
            try:
                samples = _beginning(path, job.config)
            except ValueError:
                marks[row] = UNREADABLE
                continue
            marks[row] = WHOLE
            file.seek(row * job.size)
            file.write(log_mel(samples, job.config).astype(np.float16).tobytes())
        file.flush()
        os.fsync(file.fileno())
    with job.done.open("r+b", buffering=0) as file:
        for row, mark in marks.items():
            file.seek(row)
            file.write(bytes([mark]))
    return len(marks)


def _beginning(path: Path, config: FrontendConfig) -> NDArray[np.float32]:
    """Decode as much of a clip as one segment holds."""
    needed = config.segment_frames * config.hop_length + config.n_fft
    chunks: list[NDArray[np.float32]] = []
    for chunk in file_chunks(path, sample_rate=config.sample_rate):
        chunks.append(chunk)
        needed -= len(chunk)
        if needed <= 0:
            break
    return np.concatenate(chunks)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock; the system lets go of it when the process ends, however it ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
