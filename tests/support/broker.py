"""A real MQTT broker on loopback, and somebody who subscribes to everything."""

import contextlib
import shutil
import socket
import subprocess
import threading
import time

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from ports import free_port

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


class Broker:
    """Debian's mosquitto, started and stopped by the test.

    Parameters
    ----------
    folder : Path
        For its settings and certificates.
    settings : str
        More lines of its settings.
    port : int or None
        None takes a free one.
    """

    def __init__(self, folder, settings="allow_anonymous true", *, port=None):
        if MOSQUITTO is None:
            pytest.skip("needs mosquitto")
        self._settings = folder / "mosquitto.conf"
        self._more = settings
        self.process = None
        for _ in range(5):
            self.port = port or free_port()
            with contextlib.suppress(ChildProcessError):  # somebody took the port
                self.start()
                return
        pytest.fail("no port is free")

    @property
    def url(self):
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self):
        self._settings.write_text(
            f"listener {self.port} 127.0.0.1\npersistence false\nuser root\n"
            f"max_queued_messages 100000\n{self._more}\n"
        )
        self.process = subprocess.Popen(
            [MOSQUITTO, "-c", self._settings],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 30
        while self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert time.monotonic() < end
            time.sleep(0.01)
        raise ChildProcessError("mosquitto ended")

    def stop(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Subscriber:
    """Keep every message, and wait for some."""

    def __init__(self, port, topic="#", **options):
        self.messages, self.states = [], {}
        self._condition = threading.Condition()
        self._client = Client(CallbackAPIVersion.VERSION2)
        for name, value in options.items():
            getattr(self._client, name)(*value)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda c, *_: c.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._take
        self._subscribed = threading.Event()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._subscribed.wait(30)

    def _take(self, _client, _data, message):
        with self._condition:
            payload = message.payload.decode()
            self.messages.append((message.topic, payload))
            self.states[message.topic] = payload
            self._condition.notify_all()

    def wait(self, holds, seconds=60):
        """Wait until a function of this subscriber is true."""
        with self._condition:
            assert self._condition.wait_for(lambda: holds(self), seconds), self.messages

    def wait_for(self, topic, payload, seconds=60):
        self.wait(lambda each: each.states.get(topic) == payload, seconds)

    def of(self, topic):
        with self._condition:
            return [payload for name, payload in self.messages if name == topic]

    def publish(self, topic, payload, *, retain=False):
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._client.disconnect()
        self._client.loop_stop()


class Relay:
    """A way to a broker that can be cut, while the broker goes on."""

    def __init__(self, port):
        self.target = port
        self.port = free_port()
        self._sockets, self._threads = [], []
        self._listener = None
        self.mend()

    @property
    def url(self):
        return f"mqtt://127.0.0.1:{self.port}"

    def mend(self):
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._start(self._accept, self._listener)

    def cut(self):
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(30)
        for each in self._sockets:
            each.close()
        self._sockets, self._threads = [], []

    def _start(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            self._sockets += [near, far]
            self._start(self._pump, near, far)
            self._start(self._pump, far, near)

    def _pump(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut()
