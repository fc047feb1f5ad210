"""Records as MQTT messages; see `streamsed.serve.mqtt.topics` for the topics."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from streamsed.live.sinks.base_sink import BaseSink
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.serve.mqtt.connection import Connection, host_of
from streamsed.serve.mqtt.discovery import (
    config_topic,
    device_config,
    is_ours,
    without_old_entities,
)
from streamsed.serve.mqtt.topics import Topics, ids_of, program_status
from streamsed.serve.records import source_of
from streamsed.serve.rules import Rules
from streamsed.serve.settings import MqttSettings
from streamsed.strict_json import read_json

ALIVE = ("running", "quiet")
"""States of a source that is available."""

LAST_TRIES = 1.0
"""Seconds for sending the waiting messages when the program ends."""

SETTLED = ("closed", "withdrawn")


class MqttSink(BaseSink):
    """Publish events to a broker, and announce sources to Home Assistant.

    Parameters
    ----------
    settings : MqttSettings
        Settings of the broker.
    sources : mapping
        Labels that each source may report.
    rules : Rules or None
        Which events are published on `event`; None for all. Used by this sink only.
    model, version : str
        Model and version of the program, for Home Assistant.
    on_arm : callable or None
        Called with a source and whether to arm it, in another thread.

    Raises
    ------
    OSError, ValueError
        The password or the certificates cannot be read.
    """

    name = "mqtt"

    def __init__(
        self,
        settings: MqttSettings,
        sources: Mapping[str, tuple[str, ...]],
        *,
        rules: Rules | None = None,
        model: str = "",
        version: str = "",
        on_arm: Callable[[str, bool], None] | None = None,
    ) -> None:
        self._settings = settings
        self._rules = rules or Rules()
        self._on_arm = on_arm
        self._topics = {name: Topics(settings.prefix, name) for name in sources}
        self._ids = {name: ids_of(labels) for name, labels in sources.items()}
        self._ongoing: dict[tuple[str, str], set[tuple[str, int]]] = {}
        self._reported: list[Any] = [0, 0, ""]  # connections, dropped messages, reason
        self._has_settled = self._is_closed = False
        self._births = f"{settings.discovery_prefix}/status"
        self._configs: dict[str, dict[str, Any]] = {}  # by topic
        self._commands = f"{settings.prefix}/+/armed/set"
        alive = program_status(settings.prefix)
        descriptions = f"{settings.discovery_prefix}/device/+/config"
        discovery = (self._births, descriptions) if settings.discovery else ()
        self._connection = Connection(
            settings,
            will=(alive, "offline"),
            subscriptions=(self._commands, *discovery),
            on_message=self._on_message,
        )
        self._outbox = self._connection.outbox
        for name, labels in sources.items():
            if settings.discovery:
                topics = self._topics[name]
                config = device_config(topics, labels, model=model, version=version)
                topic = config_topic(settings.discovery_prefix, topics)
                self._configs[topic] = config
                self._state(topic, _json(config))
            self._publish_off(name)
            self._state(self._topics[name].of("status"), "offline")
            self._publish_armed(name)
        self._state(alive, "online")
        self._connection.start()

    @property
    def is_connected(self) -> bool:
        """Whether the broker is connected."""
        return self._connection.is_connected

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Queue the messages for a record."""
        source = source_of(record)
        if source not in self._topics:
            return
        if record["state"] == "status":
            self._rules.note_status(record)
            self._on_status(source, record)
        elif update is not None:
            self._on_event(source, record, update)
        self._connection.wake()

    def notices(self) -> list[str]:
        """Report connections to the broker, failures, and lost messages."""
        connection, notices = self._connection, []
        where = host_of(self._settings.url)
        if connection.n_connections != self._reported[0]:
            self._reported[0], self._reported[2] = connection.n_connections, ""
            notices.append(f"mqtt: connected to {where}")
        if connection.reason != self._reported[2] and not connection.is_connected:
            self._reported[2] = connection.reason
            notices.append(f"mqtt: {where}: {connection.reason}; trying again")
        if self._outbox.n_dropped > 2 * self._reported[1]:
            self._reported[1] = self._outbox.n_dropped
            notices.append(f"mqtt: {self._outbox.n_dropped} messages were dropped")
        return notices

    def settle(self) -> None:
        """Publish that all sources are offline."""
        if not self._has_settled:
            self._has_settled = True
            for name, topics in self._topics.items():
                self._publish_off(name)
                self._state(topics.of("status"), "offline")
                self._state(topics.of("state"), "stopped")
            self._state(program_status(self._settings.prefix), "offline")
            self._connection.wake()

    def failures(self) -> dict[str, Any]:
        """Return how often the connection failed, and how many messages were dropped."""
        connection = self._connection
        if not connection.n_failed and not self._outbox.n_dropped:
            return {}
        counts = {"failed": connection.n_failed, "left_out": self._outbox.n_dropped}
        return {**counts, "reason": connection.reason}

    def close(self) -> None:
        """Send waiting messages for about a second if connected, and disconnect."""
        if not self._is_closed:
            self._is_closed = True
            self.settle()
            self._connection.close(LAST_TRIES)

    def _on_status(self, source: str, record: Mapping[str, Any]) -> None:
        topics, state = self._topics[source], str(record["status"])
        is_alive = state in ALIVE
        if not is_alive or not self._rules.is_armed(source):
            self._publish_off(source)
        self._state(topics.of("status"), "online" if is_alive else "offline")
        self._state(topics.of("state"), state)
        self._state(topics.of("lost"), f"{float(record['lost']):.1f}")
        if is_alive:
            self._state(topics.of("level"), f"{float(record['level']):.1f}")
        self._publish_armed(source)

    def _on_event(
        self, source: str, record: Mapping[str, Any], update: EventUpdate
    ) -> None:
        topics, label = self._topics[source], update.event.label
        rule = self._rules.decide(record)
        self._outbox.put(topics.of("records"), _json(record))
        if label not in self._ids[source]:
            return
        about = _about(record, update)
        if self._rules.is_armed(source):
            self._set_label(source, record, update)
        if update.state == "opened" and rule is not None:
            named = {"rule": rule} if rule else {}
            self._outbox.put(
                topics.of("event"), _json({"event_type": label, **about, **named})
            )
        if update.state == "closed":
            self._state(topics.of("last_event"), label[:255])
            self._state(topics.of("last_event", "attributes"), _json(about))

    def _set_label(
        self, source: str, record: Mapping[str, Any], update: EventUpdate
    ) -> None:
        """Publish whether a label is detected now, while one of its events is ongoing."""
        label = update.event.label
        topics, name = self._topics[source], self._ids[source][label]
        ongoing = self._ongoing.setdefault((source, label), set())
        event = str(record.get("run", "")), update.id
        if update.ongoing and update.state not in SETTLED:
            ongoing.add(event)
        else:
            ongoing.discard(event)
        self._state(
            topics.of("audio", name, "attributes"), _json(_about(record, update))
        )
        self._state(topics.of("audio", name), "ON" if ongoing else "OFF")

    def _publish_off(self, source: str) -> None:
        """Publish OFF for all labels of a source."""
        for label, name in self._ids[source].items():
            self._ongoing.pop((source, label), None)
            self._state(self._topics[source].of("audio", name), "OFF")

    def _publish_armed(self, source: str) -> None:
        armed = "ON" if self._rules.is_armed(source) else "OFF"
        self._state(self._topics[source].of("armed"), armed)

    def _on_message(self, topic: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001
        """Handle a command, the start of Home Assistant, or a discovery message."""
        prefix = self._settings.prefix
        if topic.startswith(f"{prefix}/") and topic.endswith("/armed/set"):
            source = topic.removeprefix(f"{prefix}/").removesuffix("/armed/set")
            wanted = {b"ON": True, b"OFF": False}.get(payload.strip().upper())
            known = source in self._topics and wanted is not None
            if known and not retained and self._on_arm is not None:
                self._on_arm(source, bool(wanted))
        elif topic == self._births:
            if payload.strip() == b"online" and not retained:
                self._outbox.repeat_states()
                self._connection.wake()
        elif payload:
            self._compare_config(topic, payload)

    def _compare_config(self, topic: str, payload: bytes) -> None:
        """Delete entities of an earlier description that the settings no longer have."""
        try:
            old = read_json(payload)
        except ValueError:
            return  # of another program
        if not is_ours(old, self._settings.prefix):
            return
        if topic not in self._configs:
            self._outbox.put(topic, "")  # a whole source
        elif gone := without_old_entities(self._configs[topic], old):
            self._state(topic, _json(gone))
        self._connection.wake()

    def _state(self, topic: str, payload: str) -> None:
        self._outbox.put_state(topic, payload)


def _about(record: Mapping[str, Any], update: EventUpdate) -> dict[str, Any]:
    """Return the attributes of an event."""
    event = update.event
    about = {
        "id": f"{record.get('run', '')}-{update.id}",
        "state": update.state,
        "score": round(event.score, 4),
        "onset": record.get("time"),
    }
    if not update.ongoing:
        about["duration"] = round(event.duration, 3)
    return about


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text.encode(errors="replace").decode()
