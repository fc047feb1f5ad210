"""Who is told of events while one listens: a pipe, a log, another program, a folder.

None of them can hold up the detection of live sound: what is slow runs in a thread of its
own behind a queue of fixed length, and what does not fit is counted and told.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from streamsed.live.background import Worker
from streamsed.pipeline.lifecycle import EventUpdate

RECORDS_LENGTH = 10_000
"""Records that wait for a slow reader."""

PRE_ROLL = 1.0
"""Seconds of sound saved before an event."""

POST_ROLL = 0.5
"""Seconds of sound saved after an event."""

CLIP_HISTORY = 120.0
"""Seconds of sound kept for clips; of a longer event the end is saved."""


class Sink(Protocol):
    """What `Listener` tells what it hears."""

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Take the samples of the time line, float32 (n_samples,), gaps as zeros."""

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Take one record for JSON, and the update it stands for, if it does."""

    def notices(self) -> list[str]:
        """Return sentences about the sink that people should read, each once."""

    def close(self) -> None:
        """Finish what waits, within seconds."""


class JsonLines:
    """Write records as JSON lines, each at once and whole.

    Parameters
    ----------
    descriptor : int
        An open file or pipe.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def append(cls, path: Path) -> JsonLines:
        """Open a log to append to; what a kill leaves is whole up to the last line.

        Raises
        ------
        OSError
            The file cannot be opened.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            os.write(descriptor, b"\n")  # a line that was cut short stays alone
        return cls(descriptor)

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Take no notice: privacy is the default."""

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:  # noqa: ARG002
        """Write one line in one piece."""
        line = (json.dumps(record, ensure_ascii=False) + "\n").encode()
        while line:
            line = line[os.write(self._descriptor, line) :]

    def notices(self) -> list[str]:
        """Return nothing: what fails here is raised."""
        return []

    def close(self) -> None:
        """Leave the descriptor to the process."""


class QueuedSink:
    """Pass records on to a sink that may be slow, such as a pipe that nobody reads.

    Parameters
    ----------
    sink : Sink
        Is told in a thread of its own; what it raises is raised at the next record.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._error: OSError | None = None
        self.worker = Worker("records for a slow reader", length=RECORDS_LENGTH)

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Take no notice."""

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Queue the record."""
        if self._error is not None:
            raise self._error
        self.worker.submit(lambda: self._pass_on(record, update))

    def notices(self) -> list[str]:
        """Tell of the records that did not fit."""
        return self.worker.notices()

    def close(self) -> None:
        """Let the records that wait be taken."""
        self.worker.close()
        self._sink.close()

    def _pass_on(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        if self._error is None:
            try:
                self._sink.on_record(record, update)
            except OSError as error:
                self._error = error


class ExecSink:
    """Run a command for every closed event, with its record on standard input.

    Parameters
    ----------
    command : sequence of str
        Program and arguments.
    timeout : float
        Seconds after which a run is killed.
    """

    def __init__(self, command: list[str], *, timeout: float = 10.0) -> None:
        self._command = command
        self._timeout = timeout
        self.worker = Worker("runs of --exec")

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Take no notice."""

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Queue a run if an event closed."""
        if update is not None and update.state == "closed":
            line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
            self.worker.submit(lambda: self._run(line))

    def notices(self) -> list[str]:
        """Tell of runs that failed or were left out."""
        return self.worker.notices()

    def close(self) -> None:
        """Let the runs that wait be done."""
        self.worker.close()

    def _run(self, line: bytes) -> None:
        subprocess.run(
            self._command,
            input=line,
            stdout=subprocess.DEVNULL,
            timeout=self._timeout,
            check=True,
            start_new_session=True,  # a Ctrl-C is meant for us
        )


class ClipSink:
    """Save every closed event with what came before it, and keep the folder small.

    Parameters
    ----------
    folder : Path
        Must exist.
    sample_rate : int
        Hz.
    max_bytes : int
        The oldest clips go when those in the folder are larger together; the newest
        stays in any case.
    """

    def __init__(self, folder: Path, *, sample_rate: int, max_bytes: int) -> None:
        if not folder.is_dir():
            raise FileNotFoundError(
                f"--save-clips={folder} must be a folder that exists; make it first"
            )
        self._folder = folder
        self._rate = sample_rate
        self._max_bytes = max_bytes
        self._history: deque[NDArray[np.float32]] = deque()
        self._end = 0  # of the history, in samples from the start
        self._held = 0  # samples in the history
        self._started = datetime.now(UTC)
        self.worker = Worker("clips")

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Remember the newest samples."""
        self._history.append(samples)
        self._end += len(samples)
        self._held += len(samples)
        while self._held - len(self._history[0]) > CLIP_HISTORY * self._rate:
            self._held -= len(self._history.popleft())

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:  # noqa: ARG002
        """Queue the clip of an event that closed."""
        if update is None or update.state != "closed":
            return
        first = self._end - self._held
        start = max(first, round((update.event.onset - PRE_ROLL) * self._rate))
        stop = min(self._end, round((update.event.offset + POST_ROLL) * self._rate))
        clip = np.concatenate(list(self._history))[start - first : stop - first]
        stamp = self._started.strftime("%Y%m%dT%H%M%SZ")
        label = "".join(
            c if c.isalnum() or c in "-_" else "_" for c in update.event.label
        )
        name = f"streamsed-{stamp}-{update.id:06d}-{label}.flac"
        self.worker.submit(lambda: self._save(self._folder / name, clip))

    def notices(self) -> list[str]:
        """Tell of clips that could not be written or were left out."""
        return self.worker.notices()

    def close(self) -> None:
        """Let the clips that wait be written."""
        self.worker.close()

    def _save(self, path: Path, clip: NDArray[np.float32]) -> None:
        soundfile.write(path, np.clip(clip, -1, 1), self._rate, subtype="PCM_16")
        clips = sorted(self._folder.glob("streamsed-*.flac"))
        sizes = [clip.stat().st_size for clip in clips]
        while len(clips) > 1 and sum(sizes) > self._max_bytes:
            clips.pop(0).unlink(missing_ok=True)
            sizes.pop(0)
