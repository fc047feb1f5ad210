"""The service: one model, many sources, and the outputs that all of them share.

It starts even if no source is available, and continues if one is lost. Settings can be
reloaded while it runs: sources and outputs that did not change continue without losing a
sample or a record.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from streamsed.detector import Detector
from streamsed.inference.cpu import available_cores
from streamsed.inference.model import Model
from streamsed.inference.model_file import ModelFile, find_model
from streamsed.live.sinks.clip_files import delete_older, make_folder
from streamsed.live.sinks.clips import HOUR, ClipSink
from streamsed.live.sinks.sink import Sink
from streamsed.live.sinks.speech_guard import SpeechGuard
from streamsed.live.snapshot import Snapshot
from streamsed.serve.channel import Channel, OnClip
from streamsed.serve.fan_out import FanOut
from streamsed.serve.outputs import (
    OpenOutputs,
    OutputContext,
    change_outputs,
    wanted_outputs,
)
from streamsed.serve.scheduler import Scheduler, Visited
from streamsed.serve.settings import ServeSettings, SourceSettings
from streamsed.serve.sinks.notice_sink import NoticeSink
from streamsed.serve.sinks.queued_log import QueuedLog
from streamsed.serve.sources.opening import open_source
from streamsed.serve.status import SourceStatus

HOUSEKEEPING = 1.0
"""Seconds between two checks for notices of the outputs."""

CLIPS = "[clips] path:"
"""The setting of the folder of clips, for messages."""


class Service:
    """Detect events in all sources of a settings file, and report them to its outputs.

    Parameters
    ----------
    settings : ServeSettings
        The file.
    print_message : callable
        Prints a message for the user.
    model : Model or None
        A loaded model; None loads that of the settings.
    """

    def __init__(
        self,
        settings: ServeSettings,
        *,
        print_message: Callable[[str], None],
        model: Model | None = None,
    ) -> None:
        self.settings = settings
        self._model = model
        self._channels: dict[str, Channel] = {}
        self._changing = threading.RLock()  # of channels and outputs
        self._outputs: OpenOutputs = {}
        self._print_message = print_message
        self.fan_out = FanOut([NoticeSink(print_message)])
        n_workers = min(available_cores(), max(1, len(settings.sources)))
        self.scheduler = Scheduler(n_workers, on_error=self._on_error)
        self._n_workers = n_workers
        self._stopped = threading.Event()
        self._housekeeper = threading.Thread(target=self._keep_house, daemon=True)

    @property
    def model(self) -> Model:
        """The model of all sources.

        Raises
        ------
        RuntimeError
            `start` has not loaded it.
        """
        if self._model is None:
            raise RuntimeError("model: start loads it")
        return self._model

    def start(self) -> None:
        """Load the model, open the outputs and start the sources.

        Raises
        ------
        OSError, ValueError
            The model cannot be loaded, or an output cannot be opened.
        """
        self._open_outputs(self.settings)
        if self._model is None:
            wanted = self.settings.model
            file = ModelFile.open(find_model(wanted.name), sha256=wanted.sha256)
            self._model = Model.load(
                file,
                **{"threads": 1, **_given(wanted.engine)},
                n_parallel=self._n_workers,
            )
        self.scheduler.start()
        for source in self.settings.sources:
            self._add(source, armed=source.armed)
        self._housekeeper.start()

    def stop(self) -> None:
        """Close all open events, sources and outputs."""
        self._stopped.set()
        with self._changing:
            for channel in self._channels.values():
                channel.stop()
            self.scheduler.stop()
            for channel in self._channels.values():
                channel.end()
        self.fan_out.report_notices()
        for message in self.fan_out.close():
            self._print_message(message)

    def reload(self, settings: ServeSettings) -> None:
        """Apply other settings, without interrupting what did not change.

        Parameters
        ----------
        settings : ServeSettings
            With the same model, step and page, and a page with the same store.

        Raises
        ------
        OSError, ValueError
            A new output cannot be opened, or a change needs a restart; nothing is changed
            then.
        """
        before = self.settings
        for name in ("model", "stream", "page"):
            if getattr(before, name) != getattr(settings, name):
                raise ValueError(
                    f"{settings.path}: changed settings of the {name} need a restart"
                )
        if settings.page is not None and _path_of_store(before) != _path_of_store(
            settings
        ):
            raise ValueError(
                f"{settings.path}: another path of [store] needs a restart, as the page "
                "shows it"
            )
        with self._changing:
            armed = self._armed(settings)
            self._open_outputs(settings)
            self.settings = settings
            clips_changed = before.clips != settings.clips
            old = {source.name: source for source in before.sources}
            new = {source.name: source for source in settings.sources}
            for name, source in old.items():
                if clips_changed or new.get(name) != source:
                    self._remove(name)
            for name, source in new.items():
                if name not in self._channels:
                    self._add(source, armed=armed[name])
            for channel in self._channels.values():
                channel.resend_status()
            self._channels = {name: self._channels[name] for name in new}

    def reopen_logs(self) -> None:
        """Reopen the logs, for programs that rotate them."""
        for _, sink in self._outputs.values():
            if isinstance(sink, QueuedLog):
                sink.reopen()

    def sources(self) -> list[SourceStatus]:
        """Return the states of all sources, in the order of the file."""
        return [channel.status() for channel in list(self._channels.values())]

    def arm(self, name: str, *, armed: bool) -> None:
        """Set whether messages are sent for the events of a source.

        Raises
        ------
        KeyError
            There is no source of this name.
        """
        self._channels[name].arm(armed=armed)

    def snapshot(self, name: str) -> Snapshot:
        """Return the data that the page draws of a source.

        Raises
        ------
        KeyError
            There is no source of this name.
        """
        return self._channels[name].snapshot()

    def _add(self, source: SourceSettings, *, armed: bool) -> None:
        stream = self.settings.stream
        post = source.detection.post_for(self.model.info, settle=stream.settled)
        detector = Detector(self.model, stream=stream, post=post)
        channel = Channel(
            source,
            detector,
            open_source(source, sample_rate=detector.sample_rate),
            self.fan_out,
            own_sinks=self._own_sinks,
        )
        channel.armed = armed
        self._channels[source.name] = channel
        self.scheduler.add(channel)

    def _remove(self, name: str) -> None:
        channel = self._channels.pop(name)
        channel.stop()
        self.scheduler.remove(channel)
        channel.end()

    def _own_sinks(self, detector: Detector, on_saved: OnClip) -> list[Sink]:
        """Return the sinks of a source's run: that of its clips, if they are kept."""
        clips = self.settings.clips
        if clips is None:
            return []
        guard = None
        if not clips.save_speech:
            guard = SpeechGuard(detector.model.info)
            guard.watch(detector)
        return [
            ClipSink(
                clips.path,
                sample_rate=detector.sample_rate,
                max_bytes=clips.max_bytes,
                max_days=clips.days,
                guard=guard,
                called=CLIPS,
                on_saved=on_saved,
            )
        ]

    def _open_outputs(self, settings: ServeSettings) -> None:
        """Open, replace and close outputs according to the settings."""
        if settings.clips is not None:
            # before any source is stopped
            make_folder(settings.clips.path, called=CLIPS)
        context = OutputContext(
            model=settings.info.name,
            disarmed={name for name, on in self._armed(settings).items() if not on},
            on_arm=self._on_arm,
        )
        wanted = wanted_outputs(settings)
        self._outputs = change_outputs(self._outputs, wanted, context, self.fan_out)

    def _armed(self, settings: ServeSettings) -> dict[str, bool]:
        """Return whether each source is armed: as now, unless its setting has changed."""
        before = {source.name: source.armed for source in self.settings.sources}
        armed = {source.name: source.armed for source in settings.sources}
        for name, channel in self._channels.items():
            if name in armed and armed[name] == before.get(name):
                armed[name] = channel.armed
        return armed

    def _on_arm(self, name: str, armed: bool) -> None:  # noqa: FBT001 - a callback
        """Arm or disarm a source at a message; the source need not exist any more."""
        channel = self._channels.get(name)
        if channel is not None:
            channel.arm(armed=armed)

    def _keep_house(self) -> None:
        delete_at = 0.0
        while not self._stopped.wait(HOUSEKEEPING):
            self.fan_out.report_notices()
            clips = self.settings.clips
            if clips is None or clips.days is None or time.monotonic() < delete_at:
                continue
            delete_at = time.monotonic() + HOUR
            delete_older(clips.path, clips.days)  # even while all sources are away

    def _on_error(self, source: Visited, error: Exception) -> None:
        """Restart a source after an unexpected error, such as one of the engine."""
        reason = f"{type(error).__name__}: {str(error)[:200]}; the source is restarted"
        channel = self._channels.get(source.name)
        try:
            if channel is not None:
                channel.recover(reason)
        except Exception as again:  # noqa: BLE001 - it is tried again at the next visit
            text = f"{source.name}: cannot be restarted: {' '.join(str(again).split())}"
            self.fan_out.notice(text, source=source.name)


def _given(engine: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of an engine that were given."""
    return {name: value for name, value in engine.items() if value is not None}


def _path_of_store(settings: ServeSettings) -> Path | None:
    return None if settings.store is None else settings.store.path
