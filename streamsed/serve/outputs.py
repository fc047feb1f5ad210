"""The outputs for the records of all sources, according to the settings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from streamsed import __version__
from streamsed.atomic_write import check_writable
from streamsed.installation import install_command
from streamsed.live.sinks.exec_sink import ExecSink
from streamsed.live.sinks.log_file import LogFile, check_log
from streamsed.live.sinks.sink import Sink
from streamsed.serve.fan_out import FanOut
from streamsed.serve.rules import RuledSink, Rules
from streamsed.serve.settings import LogSettings, ServeSettings, StoreSettings
from streamsed.serve.sinks.queued_log import QueuedLog
from streamsed.serve.store.database import check_store
from streamsed.serve.store.sink import StoreSink
from streamsed.serve.webhook.sink import WebhookSink
from streamsed.terminal import message_of

PATIENCE = 1.0
"""Seconds that a command may continue after the program ends."""

OpenOutputs = dict[str, tuple[Any, Sink]]
"""By kind: the settings that an output was opened with, and the output."""


@dataclass(frozen=True, slots=True)
class OutputContext:
    """Parameters of outputs besides their own settings.

    Parameters
    ----------
    model : str
        Name of the model.
    disarmed : collection of str
        Sources that are not armed now.
    on_arm : callable
        Called with a source and whether to arm it.
    """

    model: str
    disarmed: Collection[str]
    on_arm: Callable[[str, bool], None]


def wanted_outputs(settings: ServeSettings) -> dict[str, Any]:
    """Return the settings of each output that should be open, by kind.

    Outputs whose settings did not change stay open when a file is reloaded.
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
    if settings.exec is not None:
        with_clips = settings.clips is not None
        wanted["exec"] = (settings.exec, with_clips, settings.rules)
    for number, webhook in enumerate(settings.webhooks, start=1):
        wanted[f"webhook {number}"] = (webhook, settings.rules)
    return wanted


def change_outputs(
    now: OpenOutputs, wanted: Mapping[str, Any], context: OutputContext, fan_out: FanOut
) -> OpenOutputs:
    """Open, replace and close outputs to match the settings.

    Parameters
    ----------
    now : mapping
        Open outputs; those that did not change continue.
    wanted : mapping
        See `wanted_outputs`.
    context : OutputContext
        Other parameters of outputs.
    fan_out : FanOut
        Passes records to the outputs; modified in place.

    Raises
    ------
    OSError, ValueError, ModuleNotFoundError
        An output cannot be opened; the others are unchanged then.
    """
    new: OpenOutputs = {}
    try:
        for kind in [kind for kind in wanted if kind not in now]:
            new[kind] = (wanted[kind], open_output(kind, wanted[kind], context))
        changed = [k for k, (old, _) in now.items() if k in wanted and wanted[k] != old]
        exchanged = _exchange(now, changed, wanted, context, fan_out)
    except (OSError, ValueError, ModuleNotFoundError):
        for _, sink in new.values():
            sink.close()
        raise
    gone = [sink for kind, (_, sink) in now.items() if kind not in wanted]
    fan_out.replace(gone, [sink for _, sink in new.values()])
    kept = {kind: each for kind, each in now.items() if kind in wanted}
    return kept | exchanged | new


def _exchange(
    now: OpenOutputs,
    kinds: Sequence[str],
    wanted: Mapping[str, Any],
    context: OutputContext,
    fan_out: FanOut,
) -> OpenOutputs:
    """Replace open outputs by others of their kinds, all or none."""
    exchanged: OpenOutputs = {}
    for kind in kinds:
        old, sink = now[kind]
        opening = partial(open_output, kind, wanted[kind], context)
        reopening = partial(open_output, kind, old, context)
        del now[kind]  # until one is open again
        sink, error = fan_out.exchange(sink, opening, reopening)
        now[kind] = (old, sink)
        if error is not None:
            _take_back(now, exchanged, context, fan_out)
            raise error
        exchanged[kind] = (wanted[kind], sink)
    return exchanged


def _take_back(
    now: OpenOutputs, exchanged: OpenOutputs, context: OutputContext, fan_out: FanOut
) -> None:
    """Reopen outputs that were exchanged before another one failed."""
    for kind, (_, sink) in exchanged.items():
        old = now[kind][0]
        before = partial(open_output, kind, old, context)
        now[kind] = (old, fan_out.exchange(sink, before, before)[0])


def open_output(kind: str, wanted: Any, context: OutputContext) -> Sink:
    """Open an output.

    Parameters
    ----------
    kind, wanted
        An entry of `wanted_outputs`.
    context : OutputContext
        Other parameters.

    Raises
    ------
    OSError, ValueError
        A file cannot be opened, or has the wrong format.
    ModuleNotFoundError
        A package of the extra `serve` is missing; the message says how to install it.
    """
    try:
        return _OPENERS[kind.split()[0]](wanted, context)
    except ModuleNotFoundError as error:
        raise missing_extra(f"[{kind}]", error) from error
    except OSError as error:
        raise OSError(_in_table(kind, error)) from error
    except ValueError as error:
        raise ValueError(_in_table(kind, error)) from error


def _in_table(kind: str, error: Exception) -> str:
    """Return the message of an error with the table of the settings, and its key."""
    text = message_of(error)
    if text.startswith("["):
        return text
    key = " path" if kind in _CHECKS else ""
    return f"[{kind}]{key}: {text}"


def output_faults(settings: ServeSettings) -> list[str]:
    """Return which files and folders could not be written now, and why; change nothing."""
    faults = []
    for kind, check in _CHECKS.items():
        if (table := getattr(settings, kind)) is not None:
            try:
                check(table.path, f"[{kind}] path:")
            except (OSError, ValueError) as error:
                faults.append(_in_table(kind, error))
    return faults


def _check_log(path: Path, option: str) -> None:
    if path.exists():  # its folder need not be writable then
        check_log(path)
    else:
        check_writable(path, option=option)


def _check_store(path: Path, option: str) -> None:
    check_writable(path, option=option)
    if path.exists():
        check_store(path)


def _check_clips(path: Path, option: str) -> None:
    check_writable(path, option=option)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{path}: is a file, not a folder")


_CHECKS: dict[str, Callable[[Path, str], None]] = {
    "log": _check_log,
    "store": _check_store,
    "clips": _check_clips,
}


def _open_log(log: LogSettings, context: OutputContext) -> Sink:  # noqa: ARG001
    log.path.parent.mkdir(parents=True, exist_ok=True)
    return QueuedLog(LogFile(log.path, rotation=log.rotation))


def _open_store(store: StoreSettings, context: OutputContext) -> Sink:  # noqa: ARG001
    return StoreSink(store.path, days=store.days, max_bytes=store.max_bytes)


def _open_mqtt(wanted: Any, context: OutputContext) -> Sink:
    from streamsed.serve.mqtt.sink import MqttSink

    mqtt, reported, rules = wanted
    return MqttSink(
        mqtt,
        reported,
        rules=Rules(rules, disarmed=context.disarmed),
        model=context.model,
        version=__version__,
        on_arm=context.on_arm,
    )


def _open_exec(wanted: Any, context: OutputContext) -> Sink:
    command, with_clips, rules = wanted
    sink = ExecSink(
        command.command,
        timeout=command.timeout,
        on=command.on,
        cooldown=command.cooldown,
        with_clips=with_clips,
        called="exec",
        patience=PATIENCE,
    )
    return RuledSink(sink, Rules(rules, disarmed=context.disarmed))


def _open_webhook(wanted: Any, context: OutputContext) -> Sink:
    webhook, rules = wanted
    sink = WebhookSink(webhook, version=__version__)
    return RuledSink(sink, Rules(rules, disarmed=context.disarmed))


def missing_extra(what: str, error: ModuleNotFoundError) -> ModuleNotFoundError:
    """Return the error for a table whose packages are not installed."""
    return ModuleNotFoundError(
        f"{what} needs the package {error.name}: {install_command('serve')}"
    )


_OPENERS: dict[str, Callable[[Any, OutputContext], Sink]] = {
    "log": _open_log,
    "store": _open_store,
    "mqtt": _open_mqtt,
    "exec": _open_exec,
    "webhook": _open_webhook,
}
