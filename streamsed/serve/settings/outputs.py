"""Read the tables of a `home.toml` for outputs: files, messages and the page."""

from __future__ import annotations

from typing import Any

from streamsed.live.sinks.exec_sink import STATES
from streamsed.live.sinks.log_file import Rotation
from streamsed.live.sinks.speech_guard import SPEECH
from streamsed.serve.page.access import read_token
from streamsed.serve.settings import values as v
from streamsed.serve.settings.message_tables import (
    ExecSettings,
    MqttSettings,
    RuleSettings,
    WebhookSettings,
)
from streamsed.serve.settings.tables import (
    ClipsSettings,
    LogSettings,
    PageSettings,
    StoreSettings,
)
from streamsed.serve.settings.toml_table import TomlTable

_days = v.number(above=0.0, unit="days")
_seconds = v.number(unit="seconds")
_timeout = v.number(above=0.0, most=600.0, unit="seconds")


def read_log(table: TomlTable) -> LogSettings | None:
    """Read [log]; None if its path is missing or wrong."""
    table.require("path", 'set it, such as path = "night.jsonl"')
    path = table.take("path", v.path, None)
    rotation = table.take("rotate", _rotation, None)
    table.finish()
    return None if path is None else LogSettings(path, rotation)


def read_store(table: TomlTable) -> StoreSettings | None:
    """Read [store]; None if its path is missing or wrong."""
    table.require("path", 'set it, such as path = "home.sqlite"')
    path = table.take("path", v.path, None)
    days = table.take("days", _days, None)
    max_bytes = table.take("max_bytes", v.size, None)
    table.finish()
    return None if path is None else StoreSettings(path, days, max_bytes)


def read_mqtt(table: TomlTable) -> MqttSettings | None:
    """Read [mqtt]; None if its url is missing or wrong."""
    table.require("url", 'set it, such as url = "mqtt://127.0.0.1"')
    url = table.take("url", _mqtt_url, None)
    username = table.take("username", v.text, None)
    password_file = table.take("password_file", v.secret, None)
    if password_file is not None and username is None:
        table.add_mistake("password_file needs a username", "password_file")
    settings: dict[str, Any] = {
        "username": username,
        "password_file": password_file,
        "ca_file": table.take("ca_file", v.existing_file, None),
        "prefix": table.take("prefix", v.topic, "streamsed"),
        "discovery": table.take("discovery", v.flag, True),  # noqa: FBT003
        "discovery_prefix": table.take("discovery_prefix", v.topic, "homeassistant"),
    }
    table.finish()
    return None if url is None else MqttSettings(url, **settings)


def read_webhook(
    table: TomlTable, sources: tuple[str, ...], labels: tuple[str, ...]
) -> WebhookSettings:
    """Read a [[webhook]]."""
    table.require("url", 'set it, such as url = "https://example.org/hook"')
    webhook = WebhookSettings(
        url=table.take("url", v.url("http", "https"), ""),
        secret_file=table.take("secret_file", v.secret, None),
        on=table.take("on", v.choices(*STATES), ("opened", "closed")),
        sources=table.take("sources", v.choices(*sources), ()),
        labels=table.take("labels", v.label_list(labels), ()),
        timeout=table.take("timeout", _timeout, 10.0),
    )
    table.finish()
    return webhook


def read_exec(table: TomlTable) -> ExecSettings | None:
    """Read [exec]; None if its command is missing or wrong."""
    table.require("command", 'set it, such as command = "./notify.sh"')
    command = table.take("command", v.command, None)
    settings: dict[str, Any] = {
        "on": table.take("on", v.choices(*STATES), ("opened",)),
        "cooldown": table.take("cooldown", _seconds, 0.0),
        "timeout": table.take("timeout", _timeout, 10.0),
    }
    table.finish()
    return None if command is None else ExecSettings(command, **settings)


def read_rule(
    table: TomlTable, name: str, sources: tuple[str, ...], labels: tuple[str, ...]
) -> RuleSettings:
    """Read a [[rule]]; `name` is its default name."""
    rule = RuleSettings(
        name=table.take("name", v.name, name),
        source=table.take("source", v.choice(*sources), None),
        label=table.take("label", v.label(labels), None),
        between=table.take("between", v.spans, ()),
        times=table.take("times", v.whole(least=1, most=1000), 1),
        minutes=table.take("minutes", v.number(above=0.0, most=1440.0), 10.0),
        cooldown=table.take("cooldown", _seconds, 0.0),
    )
    table.finish()
    return rule


def read_page(table: TomlTable) -> PageSettings:
    """Read [page]."""
    host, port = table.take("address", v.address, ("127.0.0.1", 8080))
    page = PageSettings(
        host=host,
        port=port,
        token_file=table.take("token_file", v.secret, None),
        root_path=table.take("root_path", v.root_path, ""),
        hosts=table.take("hosts", v.texts, ()),
    )
    if not v.is_loopback(host) and "token_file" not in table:
        table.add_mistake(
            f"address={host} is reachable by other machines and needs a token_file; write a "
            "token to a file, `chmod 600` it, and set token_file to its path",
            "address",
        )
    if page.token_file is not None:
        try:
            read_token(page.token_file)
        except (OSError, ValueError) as error:
            table.add_mistake(str(error), "token_file")
    table.finish()
    return page


def read_clips(table: TomlTable, labels: tuple[str, ...]) -> ClipsSettings | None:
    """Read [clips]; None if its path is missing or wrong."""
    table.require("path", 'set it, such as path = "clips"')
    path = table.take("path", v.path, None)
    settings: dict[str, Any] = {
        "max_bytes": table.take("max_bytes", v.size, 1_000_000_000),
        "days": table.take("days", _days, None),
        "save_speech": table.take("save_speech", v.flag, False),  # noqa: FBT003
    }
    if labels and SPEECH not in labels and not settings["save_speech"]:
        table.add_mistake(
            f"clips with speech are left out, but the model has no label {SPEECH} to "
            "recognize it; set save_speech = true to save all clips",
            "save_speech",
        )
    table.finish()
    return None if path is None else ClipsSettings(path, **settings)


def _rotation(value: Any) -> Rotation:
    try:
        return Rotation.parse(v.text(value))
    except ValueError:
        raise ValueError(
            "must be a size or an age, such as 10MB, 1d or 10MB,1d"
        ) from None


def _mqtt_url(value: Any) -> str:
    url = v.url("mqtt", "mqtts")(value)
    parts = v.split_url(url)
    if parts.username or parts.password:
        raise ValueError("must not contain a password; use username and password_file")
    if parts.path.strip("/") or parts.query:
        raise ValueError(
            "must be a host with an optional port, such as mqtt://host:1883"
        )
    return url
