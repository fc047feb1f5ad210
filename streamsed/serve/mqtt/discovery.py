"""Discovery messages that announce the entities of a source to Home Assistant.

Each source is a device, described by one message (since Home Assistant 2024.11): a binary
sensor for each label, an event entity, sensors, and a switch that arms it. Ids are made
from the names in the settings, so they survive restarts and changes of an address.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamsed.serve.mqtt.topics import Topics, ids_of, program_status

ORIGIN = "streamsed"

SMOKE_ALARM = ("smoke_alarm", "smoke_detector")
"""Labels, without regard to case, that are shown as smoke alarms."""


def config_topic(discovery_prefix: str, topics: Topics) -> str:
    """Return the discovery topic of a source."""
    return f"{discovery_prefix}/device/{topics.device}/config"


def device_config(
    topics: Topics, labels: tuple[str, ...], *, model: str, version: str
) -> dict[str, Any]:
    """Describe a source and its entities.

    Parameters
    ----------
    topics : Topics
        Of the source.
    labels : tuple of str
        Labels that the source may report.
    model, version : str
        Model and version of the program.

    Returns
    -------
    dict
        For JSON.
    """
    source = topics.source
    alive = {"topic": program_status(topics.prefix)}
    running = {"topic": topics.of("status")}
    with_sound = {"availability": [alive, running], "availability_mode": "all"}
    always = {"availability": [alive]}
    entities: dict[str, dict[str, Any]] = {}
    for label, name in ids_of(labels).items():
        entities[f"label_{name}"] = _label_sensor(topics, label, name) | with_sound
    entities["event"] = {
        "platform": "event",
        "name": "Event",
        "icon": "mdi:ear-hearing",
        "state_topic": topics.of("event"),
        "event_types": list(labels),
        **with_sound,
    }
    entities |= {
        key: sensor | (with_sound if key == "level" else always)
        for key, sensor in _sensors(topics).items()
    }
    entities["armed"] = {
        "platform": "switch",
        "name": "Armed",
        "icon": "mdi:bell",
        "state_topic": topics.of("armed"),
        "command_topic": topics.of("armed", "set"),
        "entity_category": "config",
        **always,
    }
    for key, entity in entities.items():
        entity["unique_id"] = f"{topics.device}_{key}"
    return {
        "device": {
            "identifiers": [topics.device],
            "name": source,
            "manufacturer": ORIGIN,
            "model": model,
            "sw_version": version,
        },
        "origin": {"name": ORIGIN, "sw_version": version},
        "components": entities,
        "qos": 1,
    }


def without_old_entities(
    config: Mapping[str, Any], old: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return a description that deletes entities of an old one; None if there are none.

    Home Assistant deletes an entity whose description has only its platform.
    """
    entities = config["components"]
    gone = {
        key: {"platform": entity["platform"]}
        for key, entity in old["components"].items()
        if key not in entities and isinstance(entity, dict) and "platform" in entity
    }
    return {**config, "components": {**entities, **gone}} if gone else None


def is_ours(config: Any, prefix: str) -> bool:
    """Whether a description was made by this program for a source under this prefix."""
    try:
        (identifier,) = config["device"]["identifiers"]
        alive = config["components"]["armed"]["availability"][0]["topic"]
        ours = config["origin"]["name"] == ORIGIN
    except (KeyError, TypeError, ValueError, IndexError):
        return False
    start = f"{prefix.replace('/', '_')}_"
    here = alive == program_status(prefix)
    return bool(ours and here and str(identifier).startswith(start))


def _label_sensor(topics: Topics, label: str, name: str) -> dict[str, Any]:
    smoke = label.casefold().replace(" ", "_") in SMOKE_ALARM
    return {
        "platform": "binary_sensor",
        "name": label.replace("_", " "),
        "device_class": "smoke" if smoke else "sound",
        "state_topic": topics.of("audio", name),
        "json_attributes_topic": topics.of("audio", name, "attributes"),
    }


def _sensors(topics: Topics) -> Mapping[str, dict[str, Any]]:
    diagnostic = {"platform": "sensor", "entity_category": "diagnostic"}
    return {
        "last_event": {
            "platform": "sensor",
            "name": "Last event",
            "icon": "mdi:history",
            "state_topic": topics.of("last_event"),
            "json_attributes_topic": topics.of("last_event", "attributes"),
        },
        "level": {
            **diagnostic,
            "name": "Level",
            "icon": "mdi:volume-high",
            "state_topic": topics.of("level"),
            "unit_of_measurement": "dBFS",
            "state_class": "measurement",
            "suggested_display_precision": 0,
        },
        "lost": {
            **diagnostic,
            "name": "Lost",
            "device_class": "duration",
            "state_topic": topics.of("lost"),
            "unit_of_measurement": "s",
            "state_class": "total_increasing",
            "suggested_display_precision": 0,
        },
        "state": {
            **diagnostic,
            "name": "State",
            "icon": "mdi:microphone",
            "state_topic": topics.of("state"),
        },
    }
