"""The settings of what is sent: to a broker, to an address, to a command, and when."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from streamsed.serve.settings.hours import Hours


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """The broker that messages go to, and under which topics.

    Parameters
    ----------
    url : str
        `mqtt://` or `mqtts://` with host and perhaps port.
    username : str or None
        For the broker.
    password_file : Path or None
        Holds the password.
    ca_file : Path or None
        Certificates to trust for `mqtts://`; None takes the system's.
    prefix : str
        Beginning of every topic.
    discovery : bool
        Whether sources and labels are announced to Home Assistant.
    discovery_prefix : str
        Where it looks for them.
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
        Holds the key of the signature; None sends none.
    on : tuple of str
        States of events that are posted: opened, ended, closed, withdrawn.
    sources, labels : tuple of str
        Of which alone events are posted; empty for all.
    timeout : float
        Seconds for one attempt.
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
    """Which events are worth a message.

    Without a rule every event is. With rules, a message (webhook, command, `event` of MQTT)
    goes out for the events that one of them lets through; store, log and page have all.

    Parameters
    ----------
    name : str
        In messages that it lets through.
    source, label : str or None
        Of which events it speaks; None for any.
    between : tuple of Hours
        Times of the day of an event's onset; empty for any.
    times : int
        So many events within `minutes` are needed.
    minutes : float
        Minutes that `times` are counted over.
    cooldown : float
        Seconds after a message in which the rule lets no other through.
    """

    name: str
    source: str | None = None
    label: str | None = None
    between: tuple[Hours, ...] = ()
    times: int = 1
    minutes: float = 10.0
    cooldown: float = 0.0
