"""Queue of messages for a broker: the newest value of each state, and the last messages.

Without a connection the queue does not grow: a changed state replaces the previous one, and
the oldest messages that are not states are dropped. With a connection every change is sent,
so that subscribers receive the begin and the end of a short sound.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

MAX_MESSAGES = 1000
"""Maximum number of waiting messages that are not states."""


class Message(NamedTuple):
    """A message to publish.

    Parameters
    ----------
    topic : str
        MQTT topic.
    payload : str
        Content; empty deletes what the broker keeps.
    is_state : bool
        Whether the broker keeps it for later subscribers.
    """

    topic: str
    payload: str
    is_state: bool

    @property
    def is_retained(self) -> bool:
        """Whether it replaces or deletes what the broker keeps."""
        return self.is_state or not self.payload


class Outbox:
    """Messages in the order in which they are sent.

    Parameters
    ----------
    max_messages : int
        Maximum number of waiting messages that are not states.
    """

    def __init__(self, max_messages: int = MAX_MESSAGES) -> None:
        self.n_dropped = 0
        self.is_merging = True  # whether a state replaces the previous one
        self._max_messages = max_messages
        self._states: dict[str, str] = {}  # the newest of each topic, sent or not
        self._last: dict[str, int] = {}  # by topic, the number of its newest state
        self._waiting: dict[int, Message] = {}  # by number, in order
        self._n_put = self._n_messages = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._waiting)

    def put_state(self, topic: str, payload: str) -> None:
        """Set the state of a topic; do nothing if it is the same."""
        with self._lock:
            if self._states.get(topic) == payload:
                return
            self._states[topic] = payload
            if self.is_merging or len(self._waiting) > 2 * self._max_messages:
                self._waiting.pop(self._last.get(topic, 0), None)
            self._last[topic] = self._put(Message(topic, payload, is_state=True))

    def put(self, topic: str, payload: str) -> None:
        """Send a message once, or delete a state that is not ours.

        If too many wait, the oldest is dropped.
        """
        with self._lock:
            self._put(Message(topic, payload, is_state=False))
            self._n_messages += 1
            if self._n_messages > self._max_messages:
                oldest = next(
                    n for n, each in self._waiting.items() if not each.is_state
                )
                del self._waiting[oldest]
                self._n_messages -= 1
                self.n_dropped += 1

    def repeat_states(self) -> None:
        """Send the current states again, before other waiting messages."""
        with self._lock:
            rest = [each for each in self._waiting.values() if not each.is_state]
            self._waiting.clear()
            for topic, payload in self._states.items():
                self._last[topic] = self._put(Message(topic, payload, is_state=True))
            for each in rest:
                self._put(each)

    def take(self) -> Message | None:
        """Return the next message to send, or None."""
        with self._lock:
            if not self._waiting:
                return None
            message = self._waiting.pop(next(iter(self._waiting)))
            self._n_messages -= not message.is_state
            return message

    def _put(self, message: Message) -> int:
        self._n_put += 1
        self._waiting[self._n_put] = message
        return self._n_put
