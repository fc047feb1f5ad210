"""Settings of messages: MQTT, webhooks, commands, and rules."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from streamsed.serve.settings.hours import Hours


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """An MQTT broker and its topics.

    Parameters
    ----------
    url : str
        `mqtt://` or `mqtts://` with a host and an optional port.
    username : str or None
        User name at the broker.
    password_file : Path or None
        File with the password.
    ca_file : Path or None
        Certificates to trust for `mqtts://`; None for those of the system.
    prefix : str
        Beginning of every topic.
    discovery : bool
        Whether sources and labels are announced to Home Assistant.
    discovery_prefix : str
        Beginning of the discovery topics.
    """

    url: str
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    prefix: str = "streamsed"
    discovery: bool = True
    discovery_prefix: str = "homeassistant"


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """An address that records are posted to.

    Parameters
    ----------
    url : str
        `http://` or `https://`.
    secret_file : Path or None
        File with the key of the signature; None sends no signature.
    on : tuple of str
        States of events that are posted: opened, ended, closed, withdrawn.
    sources, labels : tuple of str
        Sources and labels whose events are posted; empty for all.
    timeout : float
        Seconds to wait for a response.
    """

    url: str
    secret_file: Path | None = None
    on: tuple[str, ...] = ("opened", "closed")
    sources: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class ExecSettings:
    """A command that is run for events.

    Parameters
    ----------
    command : tuple of str
        Program and arguments.
    on : tuple of str
        States of events for which it is run.
    cooldown, timeout : float
        Seconds; see `ExecSink`.
    """

    command: tuple[str, ...]
    on: tuple[str, ...] = ("opened",)
    cooldown: float = 0.0
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """A rule that selects the events for which messages are sent.

    Without rules messages are sent for all events. With rules, a message (webhook, command,
    `event` of MQTT) is sent for an event that passes one of them. Store, log and page receive
    all events.

    Parameters
    ----------
    name : str
        Name, included in its messages.
    source, label : str or None
        Source and label of the events; None for all.
    between : tuple of Hours
        Times of the day of the onset; empty for all.
    times : int
        Number of events within `minutes` that are needed.
    minutes : float
        Minutes over which `times` is counted.
    cooldown : float
        Seconds after a message in which the rule passes no other event.
    """

    name: str
    source: str | None = None
    label: str | None = None
    between: tuple[Hours, ...] = ()
    times: int = 1
    minutes: float = 10.0
    cooldown: float = 0.0
