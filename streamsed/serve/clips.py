"""The clips of all sources: one folder, and a sink for each run of a source."""

from __future__ import annotations

import time

from streamsed.detector import Detector
from streamsed.live.sinks.clip_files import delete_older, make_folder
from streamsed.live.sinks.clips import HOUR, ClipSink
from streamsed.live.sinks.sink import Sink
from streamsed.live.sinks.speech_guard import SpeechGuard
from streamsed.serve.channels.channel import OnClip
from streamsed.serve.settings.tables import ClipsSettings

CALLED = "[clips] path:"
"""The setting of the folder, for messages."""


class SavedClips:
    """Save the sound of the events of all sources.

    Parameters
    ----------
    settings : ClipsSettings
        The folder is created if it does not exist.

    Raises
    ------
    OSError
        It cannot be created, or is a file.
    """

    def __init__(self, settings: ClipsSettings) -> None:
        make_folder(settings.path, called=CALLED)
        self.settings = settings
        self._delete_at = 0.0

    def sinks_of_run(self, detector: Detector, on_saved: OnClip) -> list[Sink]:
        """Return the sinks of one run of a source.

        Parameters
        ----------
        detector : Detector
            That of the source.
        on_saved : callable
            See `ClipSink`.

        Raises
        ------
        OSError
            The folder is gone, and cannot be created again.
        """
        guard = None
        if not self.settings.save_speech:
            guard = SpeechGuard(detector.model.info)
            guard.watch(detector)
        return [
            ClipSink(
                self.settings.path,
                sample_rate=detector.sample_rate,
                max_bytes=self.settings.max_bytes,
                max_days=self.settings.days,
                guard=guard,
                called=CALLED,
                on_saved=on_saved,
            )
        ]

    def delete_older(self) -> None:
        """Delete clips that are too old, once an hour, even while all sources are away."""
        days = self.settings.days
        if days is not None and time.monotonic() >= self._delete_at:
            self._delete_at = time.monotonic() + HOUR
            delete_older(self.settings.path, days)
