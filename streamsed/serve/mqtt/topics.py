"""The MQTT topics.

::

    streamsed/status                        online or offline (also if the program is killed)
    streamsed/kitchen/status                online while sound comes from that source
    streamsed/kitchen/state                 running, waiting, broken, quiet, ...
    streamsed/kitchen/audio/Dog             ON while a dog is detected, else OFF
    streamsed/kitchen/audio/Dog/attributes  JSON: the newest event of that label
    streamsed/kitchen/event                 JSON: an event that passes the rules, at its onset
    streamsed/kitchen/records               JSON: every record of an event
    streamsed/kitchen/last_event            label of the last event that closed
    streamsed/kitchen/level                 dBFS
    streamsed/kitchen/lost                  seconds without sound, of this run
    streamsed/kitchen/armed                 ON or OFF; `armed/set` takes either

All except `event` and `records` are retained: new subscribers receive the latest value.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

_OTHERS = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one source.

    Parameters
    ----------
    prefix : str
        Beginning of every topic.
    source : str
        Name of the source.
    """

    prefix: str
    source: str

    @property
    def base(self) -> str:
        """What all of them begin with."""
        return f"{self.prefix}/{self.source}"

    @property
    def device(self) -> str:
        """The id of the source as a device."""
        return f"{self.prefix.replace('/', '_')}_{self.source}"

    def of(self, *levels: str) -> str:
        """Return the topic of some levels below the source's.

        Examples
        --------
        >>> Topics("streamsed", "kitchen").of("audio", "Dog")
        'streamsed/kitchen/audio/Dog'
        """
        return "/".join((self.base, *levels))


def program_status(prefix: str) -> str:
    """Return the topic that states whether the program is running."""
    return f"{prefix}/status"


def ids_of(labels: Sequence[str]) -> dict[str, str]:
    """Return labels as parts of topics and ids: letters, digits, `_` and `-`.

    An id depends on the labels alone, so it stays the same after a restart. Labels that
    would be the same are distinguished by a hash.

    Examples
    --------
    >>> ids_of(["Dog", "Alarm / bell"])
    {'Dog': 'Dog', 'Alarm / bell': 'Alarm_bell'}
    >>> ids_of(["A b", "A_b"])
    {'A b': 'A_b-a760b0', 'A_b': 'A_b'}
    """
    plain = {label: _OTHERS.sub("_", label).strip("_") for label in labels}
    taken = [plain[label].casefold() for label in labels]
    return {
        label: name
        if name and (name == label or taken.count(name.casefold()) == 1)
        else f"{name}-{hashlib.sha256(label.encode(errors='replace')).hexdigest()[:6]}"
        for label, name in plain.items()
    }
