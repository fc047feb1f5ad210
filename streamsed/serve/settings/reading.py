"""Read a whole `home.toml`: all tables, and checks across tables.

The settings of detection (`threshold`, `sensitivity`, `ignore`, …) are named like the
options of `listen`. At the top of the file they apply to all sources; those of a source
override them, label by label.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from streamsed.config import PerLabel, StreamConfig
from streamsed.detection_settings import OPTIONS, DetectionSettings
from streamsed.inference.model_file import ModelFile, ModelInfo, find_model
from streamsed.serve.settings import values as v
from streamsed.serve.settings.outputs import (
    read_clips,
    read_exec,
    read_log,
    read_mqtt,
    read_page,
    read_rule,
    read_store,
    read_webhook,
)
from streamsed.serve.settings.tables import ModelSettings, ServeSettings, SourceSettings
from streamsed.serve.settings.toml_table import SettingsError, TomlTable, read_toml

STEP = 1.0
"""Default seconds between two segments."""
LATENCY = 1.0
"""Default seconds after which the end of an event is reported."""
SCHEMES = ("rtsp", "rtsps", "http", "https")
"""Schemes of addresses that ffmpeg reads."""
OTHER_COMMANDS = ("listen", "file", "corpus")
"""Tables of a settings file that belong to other commands."""

SettingsOfTable = TypeVar("SettingsOfTable")


def read_serve_settings(path: Path) -> ServeSettings:
    """Read a settings file of `streamsed serve` and check everything in it.

    Parameters
    ----------
    path : Path
        TOML.

    Returns
    -------
    ServeSettings
        Labels have the case of the model's.

    Raises
    ------
    OSError
        The file cannot be read.
    SettingsError
        The file has mistakes; the error lists all of them with their lines.
    """
    top = read_toml(path)
    model = _read_model(top)
    info = _model_info(top, model)
    labels = info.labels if info else ()
    stream = _read_stream(top, info)
    base = read_detection(top, labels, DetectionSettings())
    tables = top.tables("source")
    sources = tuple(_read_source(table, labels, base) for table in tables)
    _check_names(top, tables, sources)
    if info is not None and not top.mistakes:
        _check_detection(tables, sources, info, stream)
    names = tuple(source.name for source in sources)
    rules = top.tables("rule")
    read: dict[str, Any] = {
        "log": _one(top, "log", read_log),
        "store": _one(top, "store", read_store),
        "mqtt": _one(top, "mqtt", read_mqtt),
        "exec": _one(top, "exec", read_exec),
        "page": _one(top, "page", read_page),
        "clips": _one(top, "clips", lambda table: read_clips(table, labels)),
        "webhooks": tuple(
            read_webhook(table, names, labels) for table in top.tables("webhook")
        ),
        "rules": tuple(
            read_rule(table, f"rule-{index}", names, labels)
            for index, table in enumerate(rules, start=1)
        ),
    }
    _check_paths(top, path, read)
    top.finish(skip=OTHER_COMMANDS)
    if top.mistakes or info is None:
        raise SettingsError(top.mistakes)
    return ServeSettings(path, info, model, stream, sources, **read)


def read_detection(
    table: TomlTable, labels: tuple[str, ...], base: DetectionSettings
) -> DetectionSettings:
    """Return the settings of detection of a table; `base` are those of the whole file."""
    score = v.number(most=1.0)
    seconds = v.number(unit="seconds")
    post = dict(base.post)
    for setting, option in OPTIONS.items():
        key = option.removeprefix("--").replace("-", "_")
        one = score if "threshold" in key else seconds
        given = table.take(key, v.per_label(labels, one), None)
        if given is not None:
            post[setting] = _over(post.get(setting), given)
    reported = v.label_list(labels)
    only = table.take("labels", reported, None) or table.take("label", reported, None)
    return DetectionSettings(
        post=post,
        sensitivity=table.take(
            "sensitivity", v.choice("low", "normal", "high"), base.sensitivity
        ),
        confirm=table.take("confirm", seconds, base.confirm),
        only=base.only if only is None else only,
        ignore=table.take("ignore", reported, base.ignore),
    )


def _check_paths(top: TomlTable, path: Path, read: Mapping[str, Any]) -> None:
    """Note outputs that would be written over each other, or over the settings."""
    taken = {path.absolute(): "this file"}
    for kind in ("log", "store", "clips"):
        if read[kind] is None:
            continue
        place = read[kind].path.absolute()
        if place in taken and (table := top.table(kind)) is not None:
            what = f"path={read[kind].path} is that of {taken[place]}"
            table.add_mistake(f"{what}; choose another", "path")
        taken[place] = f"[{kind}]"


def _over(base: PerLabel | None, given: PerLabel) -> PerLabel:
    """Override values of the file by those of a source."""
    if isinstance(base, dict) and isinstance(given, dict):
        return {**base, **given}
    return given


def _one(
    top: TomlTable, key: str, read: Callable[[TomlTable], SettingsOfTable]
) -> SettingsOfTable | None:
    """Read a table, if the file has it."""
    table = top.table(key)
    return None if table is None else read(table)


def _read_model(top: TomlTable) -> ModelSettings:
    return ModelSettings(
        name=top.take("model", v.text, "default"),
        sha256=top.take("model_sha256", v.text, None),
        engine={
            "trust": top.take("trust_model", v.flag, False),  # noqa: FBT003
            "engine": top.take("engine", v.text, "auto"),
            "precision": top.take("precision", v.text, "auto"),
            "threads": top.take("threads", v.whole(least=1, most=1024), None),
        },
    )


def _model_info(top: TomlTable, model: ModelSettings) -> ModelInfo | None:
    """Return the description in the model file, or note why it cannot be read."""
    try:
        return ModelFile.open(find_model(model.name), sha256=model.sha256).info
    except (OSError, ValueError) as error:
        top.add_mistake(" ".join(str(error).split()), "model" if "model" in top else "")
        return None


def _read_stream(top: TomlTable, info: ModelInfo | None) -> StreamConfig:
    seconds = v.number(above=0.0, unit="seconds")
    own = 10.0 if info is None else info.stream.settled
    settle = top.take("settle", seconds, None)
    latency = top.take("latency", seconds, min(LATENCY, settle or own))
    step = top.take("step", seconds, min(STEP, latency))
    try:
        stream = StreamConfig(
            step=step, latency=latency, settle=settle or max(own, latency)
        )
        if info is not None:
            stream.check(info.frontend)
    except ValueError as error:
        given = [key for key in ("step", "latency", "settle") if key in top]
        named = str(error).split("=")[0]
        top.add_mistake(str(error), named if named in given else (given or [""])[0])
        return StreamConfig()
    return stream


def _read_source(
    table: TomlTable, labels: tuple[str, ...], base: DetectionSettings
) -> SourceSettings:
    table.require("name", 'set it, such as name = "kitchen"')
    source = SourceSettings(
        name=table.take("name", v.name, ""),
        detection=read_detection(table, labels, base),
        url=_read_url(table),
        device=table.take("device", v.text, ""),
        channel=table.take("channel", v.whole(least=1, most=1024), None),
        rate=table.take("rate", v.whole(least=1000, most=768_000), 44100),
        channels=table.take("channels", v.whole(least=1, most=1024), 1),
        encoding=table.take("encoding", v.choice("s16", "f32"), "s16"),
        loop=table.take("loop", v.flag, False),  # noqa: FBT003
        quiet_hours=table.take("quiet_hours", v.spans, ()),
        ffmpeg_args=table.take("ffmpeg_args", v.texts, ()),
        armed=table.take("armed", v.flag, True),  # noqa: FBT003
    )
    wheres = sum(key in table for key in ("url", "url_file", "device"))
    if wheres != 1:
        what = "one of url, url_file and device" + (" only" if wheres else "")
        table.add_mistake(f"needs {what}: where its sound comes from")
    table.finish()
    return source


def _read_url(table: TomlTable) -> str:
    file = table.take("url_file", v.secret, None)
    if file is not None:
        held = file.read_text(errors="replace").strip()
        try:
            return _source_url(held)
        except ValueError as error:
            table.add_mistake(f"url_file={file}: its content {error}", "url_file")
    return table.take("url", _source_url, "")


def _source_url(value: Any) -> str:
    """Convert the address of a source: a URL, a path, or standard input."""
    text = v.text(value)
    if text in ("-", "stdin", "stdin:", "stdin://"):
        return "stdin:"
    if text.startswith("file:"):
        text = unquote(text.removeprefix("file:").removeprefix("//"))
    elif "://" in text:
        return v.url(*SCHEMES)(text)
    return f"file://{v.path(text).absolute()}"


def _check_names(
    top: TomlTable, tables: list[TomlTable], sources: tuple[SourceSettings, ...]
) -> None:
    """Note duplicate names, and a second source on standard input."""
    if not sources:
        top.add_mistake(
            "[[source]] is missing; add one with a name and a url or a device"
        )
    seen: dict[str, str] = {}
    n_stdin = 0
    for table, source in zip(tables, sources, strict=True):
        folded = source.name.casefold()
        if source.name and folded in seen:
            table.add_mistake(
                f"name={source.name!r} is used twice; names must be unique", "name"
            )
        seen[folded] = source.name
        n_stdin += source.url == "stdin:"
        if source.url == "stdin:" and n_stdin > 1:
            table.add_mistake("only one source can read standard input", "url")


def _check_detection(
    tables: list[TomlTable],
    sources: tuple[SourceSettings, ...],
    info: ModelInfo,
    stream: StreamConfig,
) -> None:
    """Note settings of detection that contradict each other or the model."""
    for table, source in zip(tables, sources, strict=True):
        try:
            source.detection.post_for(info, settle=stream.settled)
            source.detection.reported(info.labels)
        except ValueError as error:
            text = str(error).removeprefix("--").replace("onset_threshold", "threshold")
            key = text.partition(" ")[0].partition("=")[0]
            table.add_mistake(text, key if key in table else "")
