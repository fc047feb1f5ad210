"""The clips of all sources: one folder, and a sink for each run of a source."""

from __future__ import annotations

from streamsed.detector import Detector
from streamsed.live.sinks.clip_files import make_folder
from streamsed.live.sinks.clip_folder import ClipFolder
from streamsed.live.sinks.clips import ClipSink
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
        self.settings = settings
        self.folder = ClipFolder(
            settings.path,
            max_bytes=settings.max_bytes,
            max_days=settings.days,
            called=CALLED,
        )

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
        make_folder(self.settings.path, called=CALLED)
        guard = None
        if not self.settings.save_speech:
            guard = SpeechGuard(detector.model.info)
            guard.watch(detector)
        return [
            ClipSink(
                self.folder,
                sample_rate=detector.sample_rate,
                guard=guard,
                on_saved=on_saved,
            )
        ]
