"""Pictures of events, kept in a folder beside the store.

A picture is the log-mel spectrogram from a second before the event to a second after it, as
a PNG of about 1 kB per second; speech cannot be reconstructed from it intelligibly. It is
created when the event closes, written in a thread of its own, and deleted when it is too old
or the folder is too large.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from streamsed.atomic_write import replacing
from streamsed.live.mel_picture import Levels
from streamsed.live.sinks.background import Worker
from streamsed.live.sinks.base_sink import BaseSink
from streamsed.live.snapshot import Snapshot
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.serve.page.pictures.png import read_text, write_png
from streamsed.serve.page.protocol import PageService

MARGIN = 1.0
"""Seconds before and after the event."""
LONGEST = 60.0
"""Maximum seconds in a picture; longer events are cut."""
MAX_BYTES = 200_000_000
"""Maximum total size of the pictures."""
SWEEP = 3600.0
"""Seconds between two searches for old pictures."""
_OURS = re.compile(r"[0-9a-z]{1,32}-[A-Za-z0-9_-]{1,100}-\d{1,12}\.png")


class EventPictures(BaseSink):
    """Keep a picture of each event that closes: a sink.

    Parameters
    ----------
    folder : Path
        Created with the first picture.
    service : PageService
        Provides the spectrogram of the last two minutes.
    days : float or None
        Days after which pictures are deleted.
    """

    name = "pictures"

    def __init__(
        self, folder: Path, service: PageService, *, days: float | None = None
    ) -> None:
        self._folder = folder
        self._service = service
        self._days = days
        self._sweep_at = 0.0
        self.worker = Worker("pictures")

    def path(self, *, source: str, run: str, number: int) -> Path | None:
        """Return the path of the picture of an event, or None."""
        path = self._place(source, run, number)
        return path if path is not None and path.is_file() else None

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:  # noqa: ARG002
        """Cut out the picture of a closed event, and queue it for writing.

        It is cut at once, since the spectrogram is lost when the stream ends.
        """
        if record["state"] != "closed":
            return
        path = self._place(record["source"], record["run"], record["id"])
        with suppress(KeyError):  # the source is no longer in the settings
            snapshot = self._service.snapshot(record["source"])
            if path is None or snapshot is None:
                return
            levels, start = cut(snapshot, record["onset"], record["offset"])
            words = {"lead": f"{record['onset'] - start:.4f}"}
            words["column"] = f"{snapshot.column_duration:.8f}"
            if len(levels):
                self.worker.submit(lambda: self._keep(path, levels, words))

    def notices(self) -> list[str]:
        """Report pictures that could not be written."""
        return self.worker.notices()

    def settle(self) -> None:
        """Write the queued pictures."""
        self.worker.close()

    def failures(self) -> dict[str, Any]:
        """Return the number of pictures that could not be written, and the reason."""
        return self.worker.failures()

    def close(self) -> None:
        """Call `settle`, unless it was called."""
        if not self.worker.closed:
            self.settle()

    def _place(self, source: str, run: str, number: int) -> Path | None:
        name = f"{run}-{source}-{number}.png"
        return self._folder / name if _OURS.fullmatch(name) else None

    def _keep(self, path: Path, levels: Levels, words: dict[str, str]) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(path) as scratch:
            scratch.write_bytes(write_png(levels, text=words))
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + SWEEP
            self._sweep()

    def _sweep(self) -> None:
        """Delete pictures that are too old, then the oldest above the maximum size."""
        with suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            ours = [e for e in entries if _OURS.fullmatch(e.name) and e.is_file()]
            found = sorted(
                ((e.stat().st_mtime, e.stat().st_size, e.path) for e in ours),
                reverse=True,
            )
            oldest = 0.0 if self._days is None else time.time() - 86400 * self._days
            total = 0
            for changed, size, path in found:
                total += size
                if total > MAX_BYTES or changed < oldest:
                    Path(path).unlink(missing_ok=True)


def cut(snapshot: Snapshot, onset: float, offset: float) -> tuple[Levels, float]:
    """Return the columns of an event with its margins, and the second they start at.

    Of an event that began before what the snapshot has, they start there.
    """
    column = snapshot.column_duration
    oldest = snapshot.picture_end - len(snapshot.picture)
    first = max(oldest, int((onset - MARGIN) / column))
    shown = max(onset, first * column + MARGIN)
    last = max(first, round((min(offset, shown + LONGEST) + MARGIN) / column))
    return snapshot.picture[first - oldest : last - oldest], first * column


def lead_and_column(path: Path) -> tuple[float, float]:
    """Return the seconds from a picture's start to the onset, and of one column.

    Raises
    ------
    OSError, ValueError, KeyError
        The file cannot be read, or was not written by this program.
    """
    words = read_text(path.read_bytes())
    return float(words["lead"]), float(words["column"])
