"""What the records of all sources go to, as the settings say."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from streamsed import __version__
from streamsed.live.sinks.log_file import LogFile
from streamsed.live.sinks.sink import Sink
from streamsed.serve.rules import Rules
from streamsed.serve.settings import LogSettings, ServeSettings, StoreSettings
from streamsed.serve.store.sink import StoreSink

OpenOutputs = dict[str, tuple[Any, Sink]]
"""By kind: what it was opened for, and the output."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What outputs must know beside their own settings.

    Parameters
    ----------
    model : str
        Name of the model.
    disarmed : collection of str
        Sources that are not armed now.
    on_arm : callable
        Is given a source and whether it is to be armed.
    """

    model: str
    disarmed: Collection[str]
    on_arm: Callable[[str, bool], None]


def wanted_outputs(settings: ServeSettings) -> dict[str, Any]:
    """Return what each kind of output that there should be depends on.

    Kinds for which that did not change stay open when a file is read again.
    """
    labels = settings.info.labels
    reported = {s.name: s.detection.reported(labels) for s in settings.sources}
    wanted: dict[str, Any] = {}
    if settings.log is not None:
        wanted["log"] = settings.log
    if settings.store is not None:
        wanted["store"] = settings.store
    if settings.mqtt is not None:
        wanted["mqtt"] = (settings.mqtt, reported, settings.rules)
    return wanted


def open_output(kind: str, wanted: Any, around: Surroundings) -> Sink:
    """Open an output.

    Parameters
    ----------
    kind, wanted
        An entry of `wanted_outputs`.
    around : Surroundings
        What else it must know.

    Raises
    ------
    OSError, ValueError
        A file cannot be opened, or is not what it should be.
    ModuleNotFoundError
        A package of the extra `serve` is missing; the message has the remedy.
    """
    try:
        return _OPENERS[kind](wanted, around)
    except ModuleNotFoundError as error:
        raise missing_extra(f"[{kind}]", error) from error


def _open_log(log: LogSettings, around: Surroundings) -> Sink:  # noqa: ARG001
    log.path.parent.mkdir(parents=True, exist_ok=True)
    return LogFile(log.path, rotation=log.rotation)


def _open_store(store: StoreSettings, around: Surroundings) -> Sink:  # noqa: ARG001
    return StoreSink(store.path, days=store.days, max_bytes=store.max_bytes)


def _open_mqtt(wanted: Any, around: Surroundings) -> Sink:
    from streamsed.serve.mqtt.sink import MqttSink

    mqtt, reported, rules = wanted
    return MqttSink(
        mqtt,
        reported,
        rules=Rules(rules, disarmed=around.disarmed),
        model=around.model,
        version=__version__,
        on_arm=around.on_arm,
    )


def missing_extra(what: str, error: ModuleNotFoundError) -> ModuleNotFoundError:
    """Return the error for a table that takes packages which are not installed."""
    return ModuleNotFoundError(
        f"{what} must have the package {error.name}; pip install 'streamsed[serve]'"
    )


_OPENERS: dict[str, Callable[[Any, Surroundings], Sink]] = {
    "log": _open_log,
    "store": _open_store,
    "mqtt": _open_mqtt,
}
