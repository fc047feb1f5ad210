"""The service: one model, many sources, and the outputs that all of them share.

It starts even if no source is available, and continues if one is lost. Settings can be
reloaded while it runs: sources and outputs that did not change continue without losing a
sample or a record.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from streamsed.detector import Detector
from streamsed.inference.cpu import available_cores
from streamsed.inference.model import Model
from streamsed.inference.model_file import ModelFile, find_model
from streamsed.live.sinks.sink import Sink
from streamsed.live.snapshot import Snapshot
from streamsed.serve.channels.channel import Channel, OnClip
from streamsed.serve.channels.group import ChannelGroup
from streamsed.serve.clips import SavedClips
from streamsed.serve.fan_out import FanOut
from streamsed.serve.outputs import (
    OpenOutputs,
    OutputContext,
    change_outputs,
    wanted_outputs,
)
from streamsed.serve.settings import ServeSettings, SourceSettings
from streamsed.serve.sinks.notice_sink import NoticeSink
from streamsed.serve.sinks.queued_log import QueuedLog
from streamsed.serve.sources.opening import open_source
from streamsed.serve.status import SourceStatus

HOUSEKEEPING = 1.0
"""Seconds between two checks for notices of the outputs."""


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
        self._changing = threading.RLock()  # of sources and outputs
        self._outputs: OpenOutputs = {}
        self._clips: SavedClips | None = None
        self._print_message = print_message
        self.fan_out = FanOut([NoticeSink(print_message)])
        self._n_workers = min(available_cores(), max(1, len(settings.sources)))
        self._channels = ChannelGroup(self.fan_out, n_workers=self._n_workers)
        self.scheduler = self._channels.scheduler
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
        self._channels.start()
        for source in self.settings.sources:
            self._channels.add(self._channel_of(source, armed=source.armed))
        self._housekeeper.start()

    def stop(self) -> None:
        """Close all open events, sources and outputs."""
        self._stopped.set()
        with self._changing:
            self._channels.stop()
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
        _check_reload(before, settings)
        with self._changing:
            armed = self._armed(settings)
            self._open_outputs(settings)
            self.settings = settings
            clips_changed = before.clips != settings.clips
            old = {source.name: source for source in before.sources}
            new = {source.name: source for source in settings.sources}
            for name, source in old.items():
                if clips_changed or new.get(name) != source:
                    self._channels.remove(name)
            for name, source in new.items():
                if name not in self._channels:
                    self._channels.add(self._channel_of(source, armed=armed[name]))
            self._channels.resend_statuses()
            self._channels.sort(list(new))

    def reopen_logs(self) -> None:
        """Reopen the logs, for programs that rotate them."""
        for _, sink in self._outputs.values():
            if isinstance(sink, QueuedLog):
                sink.reopen()

    def sources(self) -> list[SourceStatus]:
        """Return the states of all sources, in the order of the file."""
        return self._channels.statuses()

    def arm(self, name: str, *, armed: bool) -> None:
        """Set whether messages are sent for the events of a source.

        Raises
        ------
        KeyError
            There is no source of this name.
        """
        self._channels.arm(name, armed=armed)

    def snapshot(self, name: str) -> Snapshot:
        """Return the data that the page draws of a source.

        Raises
        ------
        KeyError
            There is no source of this name.
        """
        return self._channels.snapshot(name)

    def _channel_of(self, source: SourceSettings, *, armed: bool) -> Channel:
        """Open a source, with the clips that are in force now."""
        stream = self.settings.stream
        post = source.detection.post_for(self.model.info, settle=stream.settled)
        detector = Detector(self.model, stream=stream, post=post)
        channel = Channel(
            source,
            detector,
            open_source(source, sample_rate=detector.sample_rate),
            self.fan_out,
            own_sinks=_no_sinks if self._clips is None else self._clips.sinks_of_run,
        )
        channel.armed = armed
        return channel

    def _open_outputs(self, settings: ServeSettings) -> None:
        """Open, replace and close outputs according to the settings."""
        clips = self._clips_of(settings)
        context = OutputContext(
            model=settings.info.name,
            disarmed={name for name, on in self._armed(settings).items() if not on},
            on_arm=self._on_arm,
        )
        wanted = wanted_outputs(settings)
        try:
            self._outputs = change_outputs(self._outputs, wanted, context, self.fan_out)
        except (OSError, ValueError, ModuleNotFoundError):
            if clips is not None and clips is not self._clips:
                clips.folder.close()
            raise
        before, self._clips = self._clips, clips
        if clips is not before:
            folders = [[each.folder] if each else [] for each in (before, clips)]
            self.fan_out.replace(*folders)

    def _clips_of(self, settings: ServeSettings) -> SavedClips | None:
        """Open the folder of clips, unless it is open with these settings."""
        if self._clips is not None and self._clips.settings == settings.clips:
            return self._clips
        return None if settings.clips is None else SavedClips(settings.clips)

    def _armed(self, settings: ServeSettings) -> dict[str, bool]:
        """Return whether each source is armed: as now, unless its setting has changed."""
        before = {source.name: source.armed for source in self.settings.sources}
        armed = {source.name: source.armed for source in settings.sources}
        for name, now in self._channels.armed().items():
            if name in armed and armed[name] == before.get(name):
                armed[name] = now
        return armed

    def _on_arm(self, name: str, armed: bool) -> None:  # noqa: FBT001 - a callback
        """Arm or disarm a source at a message; the source need not exist any more."""
        with suppress(KeyError):
            self.arm(name, armed=armed)

    def _keep_house(self) -> None:
        while not self._stopped.wait(HOUSEKEEPING):
            self.fan_out.report_notices()


def _check_reload(before: ServeSettings, settings: ServeSettings) -> None:
    """Raise ValueError if a change needs a restart."""
    for name in ("model", "stream", "page"):
        if getattr(before, name) != getattr(settings, name):
            raise ValueError(
                f"{settings.path}: changed settings of the {name} need a restart"
            )
    if settings.page is not None and _path_of_store(before) != _path_of_store(settings):
        raise ValueError(
            f"{settings.path}: another path of [store] needs a restart, as the page "
            "shows it"
        )


def _path_of_store(settings: ServeSettings) -> Path | None:
    return None if settings.store is None else settings.store.path


def _given(engine: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of an engine that were given."""
    return {name: value for name, value in engine.items() if value is not None}


def _no_sinks(_detector: Detector, _on_clip: OnClip) -> list[Sink]:
    """Return the sinks of a run without clips."""
    return []
