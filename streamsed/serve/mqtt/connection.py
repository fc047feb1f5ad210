"""A connection to a broker that may be unavailable.

There are two threads: a `NetworkLoop`, which keeps the connection and reconnects after
1, 2, 4 … 60 s, and one that sends the messages of the outbox. At most `MAX_UNACKNOWLEDGED`
messages are in flight; those that the broker had not acknowledged when the connection was
lost are sent again before newer ones, so a state is never overwritten by an older one.
"""

from __future__ import annotations

import secrets
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from streamsed.serve.mqtt.network_loop import NetworkLoop
from streamsed.serve.mqtt.outbox import Outbox
from streamsed.serve.settings import MqttSettings

PORTS = {"mqtt": 1883, "mqtts": 8883}
KEEP_ALIVE = 30
"""Seconds without messages after which the connection is checked."""
MAX_UNACKNOWLEDGED = 20
CONNECT_TIMEOUT = 5.0
"""Seconds that a broker may take to answer."""
LEAVING = 0.5
"""Seconds that disconnecting may take."""
MAX_COMMAND = 100_000
"""Maximum size of a received message in bytes; longer ones are ignored."""


class Connection:
    """Keep a connection to a broker and send the messages of the outbox.

    Parameters
    ----------
    settings : MqttSettings
        Address of the broker, and credentials.
    will : (topic, payload)
        Last will: published by the broker when the connection is lost; retained.
    subscriptions : sequence of str
        Topics to subscribe to.
    on_message : callable
        Called with (topic, payload as bytes, whether it was retained), in another thread.

    Raises
    ------
    ValueError
        The host is invalid, or the certificates cannot be used.
    OSError
        The password or the certificates cannot be read.
    """

    def __init__(
        self,
        settings: MqttSettings,
        *,
        will: tuple[str, str],
        subscriptions: tuple[str, ...],
        on_message: Callable[[str, bytes, bool], None],
    ) -> None:
        self.outbox = Outbox()
        self.is_connected = False
        self.n_connections = 0
        self.n_failed = 0
        self.reason = ""  # of the last failure
        self._subscriptions = subscriptions
        self._on_message = on_message
        self._wake = threading.Event()
        self._stopping = False
        self._under_way: set[int] = set()
        self._acknowledged: deque[int] = deque()
        self._first: set[int] = set()  # must be acknowledged before anything is sent
        self._is_new = False  # the sender has not noticed the connection yet
        self._client = _client(settings)
        self._client.will_set(*will, qos=1, retain=True)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_message = self._received
        self._client.on_publish = self._published
        self._loop = NetworkLoop(self._client, on_failure=self._failed)
        self._sender = threading.Thread(target=self._send, name="mqtt", daemon=True)

    def start(self) -> None:
        """Connect, and retry until it works."""
        self._loop.start()
        self._sender.start()

    def wake(self) -> None:
        """Wake the sender: the outbox has messages."""
        self._wake.set()

    def close(self, timeout: float) -> None:
        """Send waiting messages for some seconds if connected, and disconnect."""
        end = time.monotonic() + timeout
        while self.is_connected and time.monotonic() < end:
            if not len(self.outbox) and not self._under_way and not self._acknowledged:
                break
            self._wake.set()
            time.sleep(0.01)
        self._stopping = True
        self._wake.set()
        # Do not wait longer for the threads: the loop may be resolving the host.
        leaving = threading.Thread(target=self._leave, daemon=True)
        leaving.start()
        leaving.join(LEAVING)

    def _leave(self) -> None:
        self._sender.join()
        self._client.disconnect()
        self._loop.stop()
        del self._loop  # it refers to this connection
        # Client and callbacks refer to each other; paho closes its sockets with the client.
        self._client.on_connect = self._client.on_disconnect = None
        self._client.on_message = self._client.on_publish = None
        self._on_message = lambda *_: None

    def _send(self) -> None:
        while not self._stopping:
            self._wake.wait()
            self._wake.clear()
            while self._may_send() and (message := self.outbox.take()) is not None:
                info = self._client.publish(
                    message.topic, message.payload, qos=1, retain=message.is_retained
                )
                self._under_way.add(info.mid)

    def _may_send(self) -> bool:
        """Whether the broker is ready for another message."""
        while self._acknowledged:
            self._under_way.discard(self._acknowledged.popleft())
        if self._is_new:
            self._is_new = False
            self._first = set(self._under_way)
        self._first &= self._under_way
        full = len(self._under_way) >= MAX_UNACKNOWLEDGED
        return self.is_connected and not self._first and not full

    def _connected(
        self, client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        if reason.is_failure:
            self._note_failure(f"connection refused by the broker: {reason}")
            return
        for topic in self._subscriptions:
            client.subscribe(topic, qos=1)
        self.outbox.is_merging = False
        self.outbox.repeat_states()
        self.n_connections += 1
        self._is_new = True
        self.is_connected = True
        self._wake.set()

    def _disconnected(
        self, _client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        if self.is_connected and not self._stopping:
            self._note_failure(f"connection lost: {reason}")
        self.outbox.is_merging = True
        self.is_connected = False

    def _failed(self, error: Exception) -> None:
        words = getattr(error, "strerror", None) or str(error)
        self._note_failure(f"no connection: {words}")

    def _received(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        if len(message.payload) <= MAX_COMMAND:
            self._on_message(message.topic, bytes(message.payload), message.retain)

    def _published(
        self, _client: Client, _data: Any, mid: int, _reason: Any, _properties: Any
    ) -> None:
        self._acknowledged.append(mid)
        self._wake.set()

    def _note_failure(self, reason: str) -> None:
        self.n_failed += 1
        self.reason = " ".join(reason.split())


def _client(settings: MqttSettings) -> Client:
    parts = urlsplit(settings.url)
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=f"streamsed-{secrets.token_hex(4)}",
        clean_session=True,
    )
    client.suppress_exceptions = True  # of a callback: it costs no connection
    client.connect_timeout = CONNECT_TIMEOUT
    client.max_inflight_messages_set(2 * MAX_UNACKNOWLEDGED)  # so that paho queues none
    if settings.username is not None:
        password = None
        if settings.password_file is not None:
            password = settings.password_file.read_text().splitlines()[0].strip()
        client.username_pw_set(settings.username, password)
    if parts.scheme == "mqtts":
        client.tls_set_context(_trust(settings))
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    try:
        host.encode("idna")
    except UnicodeError:
        raise ValueError(f"[mqtt] url: {host[:60]!r} is not a valid host") from None
    client.connect_async(host, port, keepalive=KEEP_ALIVE)
    return client


def _trust(settings: MqttSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except ssl.SSLError as error:
        raise ValueError(
            f"[mqtt] ca_file: {settings.ca_file} has no certificates in PEM ({error.reason})"
        ) from error


def host_of(url: str) -> str:
    """Return the host and port of an address, for messages."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or PORTS.get(parts.scheme, 0)}"
