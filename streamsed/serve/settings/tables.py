"""The settings of `streamsed serve` as the rest of the program takes them."""

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
    """Where sound comes from, under a name that is its identity.

    Parameters
    ----------
    name : str
        Letters, digits, `-` and `_`; in records, topics and addresses.
    detection : DetectionSettings
        How its scores become events, and which labels are reported.
    url : str
        `rtsp://`, `rtsps://`, `http://`, `https://`, `file:///path` (a recording or a fifo)
        or `stdin:`; may hold a password, so never show it: see
        `streamsed.serve.sources.address.redacted`.
    device : str
        A microphone, by name or index, if there is no `url`.
    channel : int or None
        Of what is captured, counted from 1; None mixes down.
    rate, channels, encoding
        Raw PCM of a fifo or of standard input, as `PcmSource` takes them.
    loop : bool
        Whether a recording begins again at its end.
    quiet_hours : tuple of Hours
        When its sound is dropped.
    ffmpeg_args : tuple of str
        Arguments of ffmpeg before its input.
    armed : bool
        Whether its events are sent as messages when the program starts.
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
    """Which model is used, and what runs it.

    Parameters
    ----------
    name : str
        Name or path.
    sha256 : str or None
        What the file's SHA-256 must be.
    engine : mapping
        Settings of `Model.load`.
    """

    name: str = "default"
    sha256: str | None = None
    engine: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Where records are appended as JSON lines.

    Parameters
    ----------
    path : Path
        The log.
    rotation : Rotation or None
        When a new one begins.
    """

    path: Path
    rotation: Rotation | None = None


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """The database of what happened.

    Parameters
    ----------
    path : Path
        SQLite.
    days : float or None
        Events that are older are deleted; None keeps them.
    max_bytes : int or None
        The oldest events go while the file is larger; None keeps them.
    """

    path: Path
    days: float | None = None
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class PageSettings:
    """Where the page is shown.

    Parameters
    ----------
    host : str
        Address of this machine to listen at.
    port : int
        0 takes a free one.
    token_file : Path or None
        Holds the token that a browser must have; never None unless `host` is loopback.
    root_path : str
        Path under which a proxy shows it, such as `/sounds`, or "".
    hosts : tuple of str
        Names by which browsers may call it, beside its address.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token_file: Path | None = None
    root_path: str = ""
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClipsSettings:
    """Where the sound of events is kept.

    Parameters
    ----------
    path : Path
        A folder.
    max_bytes : int
        That the clips in it may take.
    days : float or None
        After which they are deleted.
    save_speech : bool
        Whether clips that hold speech are kept too.
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
        What the model file says of itself.
    model : ModelSettings
        How to load it.
    stream : StreamConfig
        How often segments are scored, and how long scores may wait.
    sources : tuple of SourceSettings
        At least one, each with a name of its own.
    log, store, mqtt, exec, page, clips
        One each, or None.
    webhooks, rules : tuple
        Any number.
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
