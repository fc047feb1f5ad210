"""Settings of sources, model, files and page of `streamsed serve`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamsed.config import StreamConfig
from streamsed.detection_settings import DetectionSettings
from streamsed.inference.model_file import ModelInfo
from streamsed.live.sinks.log_file import Rotation
from streamsed.serve.settings.hours import Hours
from streamsed.serve.settings.message_tables import (
    ExecSettings,
    MqttSettings,
    RuleSettings,
    WebhookSettings,
)


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """A source of sound.

    Parameters
    ----------
    name : str
        Unique name of letters, digits, `-` and `_`, used in records, topics and addresses.
    detection : DetectionSettings
        Settings of detection, and which labels are reported.
    url : str
        `rtsp://`, `rtsps://`, `http://`, `https://`, `file:///path` (a recording or a fifo)
        or `stdin:`; may contain a password, so never print it: see
        `streamsed.serve.sources.address.redacted`.
    device : str
        Microphone, by name or index, if `url` is empty.
    channel : int or None
        Channel to use, counted from 1; None mixes all channels.
    rate, channels, encoding
        Format of raw PCM of a fifo or standard input; see `PcmSource`.
    loop : bool
        Whether a recording starts over at its end.
    quiet_hours : tuple of Hours
        When its sound is dropped.
    ffmpeg_args : tuple of str
        Arguments of ffmpeg before its input.
    armed : bool
        Whether messages are sent for its events after the start.
    """

    name: str
    detection: DetectionSettings = field(default_factory=DetectionSettings)
    url: str = ""
    device: str = ""
    channel: int | None = None
    rate: int = 44100
    channels: int = 1
    encoding: str = "s16"
    loop: bool = False
    quiet_hours: tuple[Hours, ...] = ()
    ffmpeg_args: tuple[str, ...] = ()
    armed: bool = True


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """The model and its engine.

    Parameters
    ----------
    name : str
        Name or path.
    sha256 : str or None
        Required SHA-256 of the file.
    engine : mapping
        Settings of `Model.load`.
    """

    name: str = "default"
    sha256: str | None = None
    engine: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogSettings:
    """A log of records as JSON lines.

    Parameters
    ----------
    path : Path
        Path of the log.
    rotation : Rotation or None
        When a new file is started.
    """

    path: Path
    rotation: Rotation | None = None


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """The database of events.

    Parameters
    ----------
    path : Path
        Path of the SQLite file.
    days : float or None
        Older events are deleted; None keeps them.
    max_bytes : int or None
        Above this size the oldest events are deleted; None keeps them.
    """

    path: Path
    days: float | None = None
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class PageSettings:
    """The address of the web page, and access to it.

    Parameters
    ----------
    host : str
        Address of this machine to bind to.
    port : int
        0 for any free port.
    token_file : Path or None
        File with the token that browsers need; only None if `host` is loopback.
    root_path : str
        Path under which a proxy serves it, such as `/sounds`, or "".
    hosts : tuple of str
        Accepted host names in addition to the address.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token_file: Path | None = None
    root_path: str = ""
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClipsSettings:
    """Sound clips of events.

    Parameters
    ----------
    path : Path
        Folder of the clips.
    max_bytes : int
        Maximum total size.
    days : float or None
        Days after which clips are deleted; None keeps them.
    save_speech : bool
        Whether clips with speech are kept.
    """

    path: Path
    max_bytes: int = 1_000_000_000
    days: float | None = None
    save_speech: bool = False


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """A whole `home.toml`.

    Parameters
    ----------
    path : Path
        The file.
    info : ModelInfo
        Description in the model file.
    model : ModelSettings
        Settings of the model and its engine.
    stream : StreamConfig
        Step, latency and settle.
    sources : tuple of SourceSettings
        At least one, with unique names.
    log, store, mqtt, exec, page, clips
        Table of that name, or None.
    webhooks, rules : tuple
        All [[webhook]] and [[rule]] tables.
    """

    path: Path
    info: ModelInfo
    model: ModelSettings
    stream: StreamConfig
    sources: tuple[SourceSettings, ...]
    log: LogSettings | None = None
    store: StoreSettings | None = None
    mqtt: MqttSettings | None = None
    webhooks: tuple[WebhookSettings, ...] = ()
    exec: ExecSettings | None = None
    rules: tuple[RuleSettings, ...] = ()
    page: PageSettings | None = None
    clips: ClipsSettings | None = None
