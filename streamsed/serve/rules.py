"""Rules for sending messages: by time of day, by number of events, and by rate.

A rule applies to the events of a source, of a label, of both, or to all events. It passes an
event whose onset is within its hours, if at least `times` events occurred within `minutes`,
and if the last event that it passed is `cooldown` seconds ago; each source and label is
counted separately. Without rules all events of armed sources pass.

The decision is made when an event opens and holds for all its later records. An event that
is withdrawn is no longer counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsed.live.sinks.sink import Sink
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.serve.records import clock_of, source_of
from streamsed.serve.settings import RuleSettings

MAX_KNOWN = 10_000
"""Maximum number of events whose decisions are kept until they are final."""

_ENDS = ("closed", "withdrawn")

EventKey = tuple[str, str, int]
"""Source, run and id of an event."""


class Rules:
    """Decide for which events messages are sent.

    Parameters
    ----------
    rules : sequence of RuleSettings
        An event passes if any of them passes it. Without rules all events pass.
    disarmed : collection of str
        Sources whose events do not pass until they are armed.
    """

    def __init__(
        self, rules: Sequence[RuleSettings] = (), *, disarmed: Collection[str] = ()
    ) -> None:
        self._counters = [_Counter(rule) for rule in rules]
        self._disarmed = set(disarmed)
        self._decisions: dict[EventKey, str | None] = {}

    def is_armed(self, source: str) -> bool:
        """Whether messages are sent for events of a source."""
        return source not in self._disarmed

    def note_status(self, record: Mapping[str, Any]) -> None:
        """Update from a status record whether its source is armed."""
        if record.get("armed", True):
            self._disarmed.discard(source_of(record))
        else:
            self._disarmed.add(source_of(record))

    def decide(self, record: Mapping[str, Any]) -> str | None:
        """Return which rule passes the record of an event.

        Parameters
        ----------
        record : mapping
            Opened, updated, ended, closed or withdrawn.

        Returns
        -------
        str or None
            Name of the rule, "" if there are no rules; None if the event does not pass.
        """
        key = _key(record)
        if key not in self._decisions:
            self._decisions[key] = self._first_decision(record, key)
            if len(self._decisions) > MAX_KNOWN:
                del self._decisions[next(iter(self._decisions))]
        decision = self._decisions[key]
        if record["state"] == "withdrawn":
            for counter in self._counters:
                counter.take_back(record, key)
        if record["state"] in _ENDS:
            del self._decisions[key]
        return decision

    def _first_decision(self, record: Mapping[str, Any], key: EventKey) -> str | None:
        if record["state"] == "withdrawn":
            return None
        # Every rule counts, armed or not: events that are not sent happened as well.
        passing = [c.rule.name for c in self._counters if c.is_due(record, key)]
        if not self.is_armed(source_of(record)):
            return None
        if not self._counters:
            return ""
        if not passing:
            return None
        for counter in self._counters:
            if counter.rule.name == passing[0]:
                counter.note_sent(record)
        return passing[0]


class RuledSink:
    """Pass on to another sink the events that pass the rules, and all other records.

    Parameters
    ----------
    sink : Sink
        Sink that sends messages.
    rules : Rules
        Used by this sink only.
    """

    def __init__(self, sink: Sink, rules: Rules) -> None:
        self.name = sink.name
        self._sink = sink
        self._rules = rules
        self._closed: dict[
            EventKey, str
        ] = {}  # events that passed, until their clips are saved

    def on_samples(self, samples: NDArray[np.float32]) -> None:
        """Pass samples on."""
        self._sink.on_samples(samples)

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Pass a record on; the record of an event gets the name of its rule."""
        if record["state"] == "status":
            self._rules.note_status(record)
        if update is None:
            self._sink.on_record(record, None)
            return
        rule = self._rules.decide(record)
        if rule is None:
            return
        if update.state == "closed" and hasattr(self._sink, "on_clip"):
            self._closed[_key(record)] = rule
            if len(self._closed) > MAX_KNOWN:
                del self._closed[next(iter(self._closed))]
        self._sink.on_record(_named(record, rule), update)

    def on_clip(self, record: Mapping[str, Any], update: EventUpdate) -> None:
        """Pass on a closed event with its clip, if the event passed."""
        rule = self._closed.pop(_key(record), None)
        if rule is not None and hasattr(self._sink, "on_clip"):
            self._sink.on_clip(_named(record, rule), update)

    def notices(self) -> list[str]:
        """Return the messages of the sink."""
        return self._sink.notices()

    def settle(self) -> None:
        """Settle the sink."""
        self._sink.settle()

    def failures(self) -> dict[str, Any]:
        """Return the failures of the sink."""
        return self._sink.failures()

    def close(self) -> None:
        """Close the sink."""
        self._sink.close()


def _named(record: Mapping[str, Any], rule: str) -> Mapping[str, Any]:
    return {**record, "rule": rule} if rule else record


def _key(record: Mapping[str, Any]) -> EventKey:
    return source_of(record), str(record.get("run", "")), int(record["id"])


class _Counter:
    """Counters of one rule for each source and label."""

    def __init__(self, rule: RuleSettings) -> None:
        self.rule = rule
        self._recent: dict[tuple[str, str], deque[tuple[float, EventKey]]] = {}
        self._sent: dict[tuple[str, str], float] = {}

    def is_due(self, record: Mapping[str, Any], key: EventKey) -> bool:
        """Count an event if the rule applies; return whether it may be sent."""
        if not self._applies_to(record):
            return False
        kind, time = _kind(record), clock_of(record)
        recent = self._recent.setdefault(kind, deque())
        recent.append((time, key))
        while recent[0][0] <= time - 60 * self.rule.minutes:
            recent.popleft()
        while len(recent) > self.rule.times:
            recent.popleft()  # only `times` are needed
        sent = self._sent.get(kind)
        is_cool = sent is None or not 0 <= time - sent < self.rule.cooldown
        return len(recent) == self.rule.times and is_cool

    def note_sent(self, record: Mapping[str, Any]) -> None:
        """Start the cooldown."""
        self._sent[_kind(record)] = clock_of(record)

    def take_back(self, record: Mapping[str, Any], key: EventKey) -> None:
        """Stop counting an event."""
        recent = self._recent.get(_kind(record), deque())
        for counted in [each for each in recent if each[1] == key]:
            recent.remove(counted)

    def _applies_to(self, record: Mapping[str, Any]) -> bool:
        rule = self.rule
        if rule.source not in (None, source_of(record)):
            return False
        if rule.label not in (None, record["label"]):
            return False
        when = datetime.fromtimestamp(clock_of(record))
        return not rule.between or any(span.contains(when) for span in rule.between)


def _kind(record: Mapping[str, Any]) -> tuple[str, str]:
    return source_of(record), str(record["label"])
