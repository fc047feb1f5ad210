"""Messages at a real broker: what is there, in which order, whatever breaks between."""

import gc
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from itertools import chain, groupby

import pytest
from broker import Broker, Relay, Subscriber
from certificates import make_certificates
from environment import ENVIRONMENT
from ports import free_port
from serve_records import Sounds, send
from serving import wait_for

from streamsed.serve.mqtt.connection import Connection
from streamsed.serve.mqtt.sink import MqttSink
from streamsed.serve.rules import Rules
from streamsed.serve.settings import MqttSettings, RuleSettings

SOURCES = {"kitchen": ("Dog", "Speech"), "garden": ("Dog", "Cat / kitten")}


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with Broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


def until(holds, seconds=60.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


class Home:
    """A sink and a subscriber under a prefix that no other test uses."""

    count = 0

    def __init__(self, broker, **options):
        Home.count += 1
        self.prefix = options.pop("prefix", f"home{Home.count}")
        settings = {"discovery_prefix": f"ha{Home.count}"} | options.pop("settings", {})
        url = options.pop("url", broker.url)
        self.settings = MqttSettings(url, prefix=self.prefix, **settings)
        self.subscriber = Subscriber(broker.port)
        self.sink = MqttSink(self.settings, SOURCES, model="tiny", **options)
        self.sounds = Sounds("kitchen")

    def topic(self, *levels):
        return "/".join((self.prefix, *levels))

    def of(self, *levels):
        return self.subscriber.of(self.topic(*levels))

    def fired(self):
        """The ids of the events that were messages; a second copy is passed over."""
        ids = [json.loads(payload)["id"] for payload in self.of("kitchen", "event")]
        return list(dict.fromkeys(ids))

    def wait(self, *levels_and_payload):
        *levels, payload = levels_and_payload
        self.subscriber.wait_for(self.topic(*levels), payload)

    def __enter__(self):
        self.wait("status", "online")
        return self

    def __exit__(self, *_):
        self.sink.close()
        self.subscriber.__exit__()


def test_everything_is_off_at_the_start_and_offline_at_the_end(broker):
    with Home(broker) as home:
        for source, names in (("kitchen", ("Dog", "Speech")), ("garden", ("Dog",))):
            for name in names:
                assert home.of(source, "audio", name) == ["OFF"]
            assert home.of(source, "status") == ["offline"]
        assert home.of("garden", "audio", "Cat_kitten") == ["OFF"]
        send(home.sink, home.sounds.status(10.0))
        home.wait("kitchen", "status", "online")
        assert home.subscriber.states[home.topic("garden", "status")] == "offline"
        send(home.sink, home.sounds.event("opened", 1, 11.0))
        home.wait("kitchen", "audio", "Dog", "ON")
    states = home.subscriber.states
    assert states[home.topic("kitchen", "audio", "Dog")] == "OFF"
    assert states[home.topic("kitchen", "status")] == "offline"
    assert states[home.topic("status")] == "offline"
    assert home.sink.failures() == {}


def test_a_sensor_is_on_while_any_event_of_its_label_continues(broker):
    with Home(broker) as home:
        sounds = home.sounds
        send(
            home.sink,
            sounds.event("opened", 1, 1.0),
            sounds.event("updated", 1, 1.25),
            sounds.event("ended", 1, 1.25, 3.0),
            sounds.event("opened", 2, 4.0),  # the first may still go on after all
            sounds.event("updated", 1, 1.25),
            sounds.event("withdrawn", 2, 4.0),
            sounds.event("ended", 1, 1.25, 5.0),
            sounds.event("closed", 1, 1.25, 5.0),
            sounds.event("opened", 3, 6.0, label="Speech"),
        )
        home.wait("kitchen", "audio", "Speech", "ON")
        assert home.of("kitchen", "audio", "Dog") == ["OFF", "ON", "OFF", "ON", "OFF"]
        assert home.of("garden", "audio", "Dog") == ["OFF"]
        about = [
            json.loads(p) for p in home.of("kitchen", "audio", "Dog", "attributes")
        ]
        assert about[-1] == {
            "id": "0a0a0a0a-1",
            "state": "closed",
            "score": 0.75,
            "onset": "2026-11-26T12:00:01.250+00:00",
            "duration": 3.75,
        }
        assert "withdrawn" in [each["state"] for each in about]
        assert home.of("kitchen", "last_event") == ["Dog"]


def test_every_event_is_a_message_once_and_every_record_is_reported(broker):
    with Home(broker) as home:
        lifecycles = [
            home.sounds.lifecycle(n, 10.0 * n, 10.0 * n + 1) for n in range(1, 200)
        ]
        send(home.sink, *chain(*lifecycles))
        home.subscriber.wait(lambda _: len(home.of("kitchen", "records")) >= 3 * 199)
        fired = [json.loads(payload) for payload in home.of("kitchen", "event")]
        assert [each["id"] for each in fired] == [
            f"0a0a0a0a-{n}" for n in range(1, 200)
        ]
        assert {each["event_type"] for each in fired} == {"Dog"}
        closed = [json.loads(payload) for payload in home.of("kitchen", "records")]
        numbers = [each["id"] for each in closed if each["state"] == "closed"]
        assert numbers == list(range(1, 200))


def test_no_event_is_lost_and_no_state_is_old_when_the_broker_was_away(broker):
    with Relay(broker.port) as relay, Home(broker, url=relay.url) as home:
        sounds = home.sounds
        send(home.sink, sounds.status(1.0), sounds.event("opened", 1, 1.0))
        home.wait("kitchen", "audio", "Dog", "ON")
        relay.cut()
        until(lambda: not home.sink.is_connected)
        home.wait("status", "offline")  # by its will
        send(home.sink, sounds.event("ended", 1, 1.0, 2.0))
        for number in range(2, 102):
            send(home.sink, *sounds.lifecycle(number, 3.0 * number, 3.0 * number + 1))
        send(home.sink, sounds.event("opened", 102, 400.0, label="Speech"))
        relay.mend()
        home.wait("kitchen", "audio", "Speech", "ON")
        home.wait("status", "online")
        home.subscriber.wait(lambda _: len(home.fired()) >= 102)
        assert home.subscriber.states[home.topic("kitchen", "audio", "Dog")] == "OFF"
        dog = [payload for payload, _ in groupby(home.of("kitchen", "audio", "Dog"))]
        assert dog == ["OFF", "ON", "OFF"]  # a hundred changes are one by now
        assert home.fired() == [f"0a0a0a0a-{n}" for n in range(1, 103)]
        assert home.sink.notices()[-1].startswith("mqtt: connected to 127.0.0.1:")
        failures = home.sink.failures()
        assert (failures["failed"] >= 1, failures["left_out"]) == (True, 0)


def test_a_connection_that_is_cut_in_a_flood_loses_no_event_and_mixes_up_none(broker):
    """What was under way comes twice at most, and never behind what is newer."""
    with Relay(broker.port) as relay, Home(broker, url=relay.url) as home:
        total = 0
        for cut in range(3):
            for _ in range(100):
                total += 1
                send(
                    home.sink,
                    *home.sounds.lifecycle(total, 3.0 * total, 3.0 * total + 1),
                )
            if cut < 2:
                n_seen = 100 * cut + 10
                home.subscriber.wait(
                    lambda _, n=n_seen: len(home.of("kitchen", "event")) >= n
                )
                relay.cut()
                until(lambda: not home.sink.is_connected)
                relay.mend()
        send(home.sink, home.sounds.event("opened", 999, 9999.0, label="Speech"))
        home.wait("kitchen", "audio", "Speech", "ON")
        home.subscriber.wait(lambda _: len(home.fired()) >= total + 1)
        dogs = {int(each.split("-")[1]) for each in home.fired()} - {999}
        assert dogs == set(range(1, total + 1))
        assert len(home.of("kitchen", "event")) <= total + 1 + 2 * 20
        assert home.subscriber.states[home.topic("kitchen", "audio", "Dog")] == "OFF"


def test_the_program_starts_without_a_broker_and_finds_it_later(tmp_path):
    port = free_port()
    settings = MqttSettings(f"mqtt://127.0.0.1:{port}")
    sink = MqttSink(settings, SOURCES)
    send(sink, Sounds("kitchen").event("opened", 1, 1.0))
    until(lambda: sink.failures())
    assert sink.notices() == [
        f"mqtt: 127.0.0.1:{port}: no connection: Connection refused; trying again"
    ]
    with Broker(tmp_path, port=port), Subscriber(port) as subscriber:
        subscriber.wait_for("streamsed/kitchen/audio/Dog", "ON")
        sink.close()
        subscriber.wait_for("streamsed/status", "offline")


def test_without_a_broker_the_end_takes_no_time():
    sink = MqttSink(MqttSettings(f"mqtt://127.0.0.1:{free_port()}"), SOURCES)
    send(sink, *Sounds("kitchen").lifecycle(1, 1.0, 2.0))
    start = time.monotonic()
    sink.close()
    assert time.monotonic() - start < 10  # a second or so on an idle machine


def test_an_output_that_was_closed_holds_no_sockets():
    sink = MqttSink(MqttSettings(f"mqtt://127.0.0.1:{free_port()}"), SOURCES)
    client = weakref.ref(sink._connection._client)
    gc.disable()  # which would find them some time, and warn
    try:
        sink.close()
        del sink
        wait_for(lambda: client() is None)
    finally:
        gc.enable()


def test_what_was_under_way_is_sent_again_before_anything_newer():
    """The order that the sender keeps; paho sends again by itself."""
    settings = MqttSettings(f"mqtt://127.0.0.1:{free_port()}")
    link = Connection(
        settings, will=("a", "b"), subscriptions=(), on_message=lambda *_: None
    )
    link._under_way = {7, 8}
    link.is_connected = link._is_new = True
    assert not link._may_send()
    link._acknowledged += [7]
    assert not link._may_send()
    link._under_way.add(9)  # of the new connection: nobody waits for it
    link._acknowledged += [8]
    assert link._may_send()
    link.is_connected = False
    assert not link._may_send()


def test_a_broker_that_accepts_and_says_nothing_delays_no_shutdown():
    """As one does that hangs, or a firewall that swallows everything."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        sink = MqttSink(MqttSettings(f"mqtt://127.0.0.1:{port}"), SOURCES)
        silent.accept()[0].close()
        send(sink, *Sounds("kitchen").lifecycle(1, 1.0, 2.0))
        connection, _ = silent.accept()
        start = time.monotonic()
        sink.close()
        assert time.monotonic() - start < 10  # half a second on an idle machine
        connection.close()


def test_a_connection_works_beyond_the_descriptors_that_select_takes(broker, request):
    """In a process of its own: here, what other tests close makes room below 1024."""
    code = (
        "import os, sys; from streamsed.serve.mqtt.sink import MqttSink; "
        "from streamsed.serve.settings import MqttSettings; "
        "held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]; "
        "sink = MqttSink(MqttSettings(sys.argv[1], prefix='beyond'), {'a': ('Dog',)}); "
        "sys.stdin.read(); print(sink._connection._client.socket().fileno()); "
        "sink.close()"
    )
    command = [sys.executable, "-c", code, broker.url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with Subscriber(broker.port, "beyond/#") as subscriber:  # by select, so before
        request.getfixturevalue("many_open")  # the process inherits the limit
        process = subprocess.Popen(command, env=ENVIRONMENT, **pipes)
        try:
            subscriber.wait_for("beyond/status", "online")
            printed, _ = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        subscriber.wait_for("beyond/status", "offline")
    assert int(printed) > 1023
    assert process.returncode == 0


@pytest.mark.parametrize("host", ["a..b", "x" * 64, ".local"])
def test_a_host_that_cannot_be_one_is_refused_at_once(host):
    with pytest.raises(ValueError, match="is not a valid host"):
        MqttSink(MqttSettings(f"mqtt://{host}"), SOURCES)


def test_what_waits_for_a_broker_is_bounded():
    sink = MqttSink(MqttSettings(f"mqtt://127.0.0.1:{free_port()}"), SOURCES)
    sounds = Sounds("kitchen")
    for number in range(1, 3000):
        send(sink, *sounds.lifecycle(number, 1.0 * number, number + 0.5))
        send(sink, sounds.status(1.0 * number))
    assert len(sink._outbox) < 1100
    assert sink.failures()["left_out"] == 2999 * 4 - 1000
    assert any("were dropped" in notice for notice in sink.notices())
    sink.close()


def test_a_killed_program_is_offline_by_its_will(broker):
    code = (
        "import sys, time; from streamsed.serve.mqtt.sink import MqttSink; "
        "from streamsed.serve.settings import MqttSettings; "
        "sink = MqttSink(MqttSettings(sys.argv[1], prefix='killed'), {'a': ('Dog',)}); "
        "time.sleep(600)"
    )
    command = [sys.executable, "-c", code, broker.url]
    with Subscriber(broker.port, "killed/#") as subscriber:
        process = subprocess.Popen(command, env=ENVIRONMENT)
        try:
            subscriber.wait_for("killed/status", "online")
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        subscriber.wait_for("killed/status", "offline")


def test_home_assistant_is_informed_again_when_it_comes_back(broker):
    with Home(broker) as home:
        config = f"{home.settings.discovery_prefix}/device/{home.prefix}_kitchen/config"
        home.subscriber.wait(lambda each: config in each.states)
        send(home.sink, home.sounds.event("opened", 1, 1.0))
        home.wait("kitchen", "audio", "Dog", "ON")
        n_before = len(home.of("kitchen", "audio", "Dog"))
        home.subscriber.publish(f"{home.settings.discovery_prefix}/status", "online")
        home.subscriber.wait(lambda each: len(each.of(config)) >= 2)
        home.subscriber.wait(
            lambda _: len(home.of("kitchen", "audio", "Dog")) > n_before
        )
        assert home.of("kitchen", "audio", "Dog")[-1] == "ON"


def test_the_description_of_a_source_that_is_gone_is_deleted(broker):
    with Home(broker, prefix="moved") as home:
        old = f"{home.settings.discovery_prefix}/device/moved_garden/config"
        home.subscriber.wait(lambda each: old in each.states)
        foreign = f"{home.settings.discovery_prefix}/device/other/config"
        home.subscriber.publish(foreign, '{"origin": {"name": "other"}}', retain=True)
        settings = home.settings
    with Subscriber(broker.port) as subscriber:
        subscriber.wait(lambda each: each.states.get(old) and each.states.get(foreign))
        sink = MqttSink(settings, {"kitchen": ("Dog",)})
        subscriber.wait_for(old, "")
        assert subscriber.states[foreign]
        sink.close()


def test_whoever_writes_to_the_broker_does_not_make_the_program_remember_it():
    sink = MqttSink(MqttSettings(f"mqtt://127.0.0.1:{free_port()}"), SOURCES)
    n_states = len(sink._outbox)
    ours = "homeassistant/device/streamsed_kitchen/config"
    for number in range(3000):
        config = dict(sink._configs[ours])
        config["components"] = config["components"] | {f"x{number}": {"platform": "y"}}
        payload = json.dumps(config).encode()
        for topic in (ours, f"homeassistant/device/x{number}/config"):
            sink._on_message(topic, payload, True)
    assert len(sink._outbox) == n_states + 1000
    sink._outbox.repeat_states()
    states = [each for each in iter(sink._outbox.take, None) if each.is_state]
    assert len(states) == n_states
    assert sum(len(each.payload) for each in states) < 20_000
    sink.close()


def test_the_entity_of_a_label_that_is_gone_is_deleted(broker):
    with Home(broker, prefix="fewer") as home:
        topic = f"{home.settings.discovery_prefix}/device/fewer_kitchen/config"
        home.subscriber.wait(lambda each: topic in each.states)
        settings = home.settings
    with Subscriber(broker.port, topic) as subscriber:
        subscriber.wait(lambda each: topic in each.states)
        sink = MqttSink(settings, {"kitchen": ("Dog",)})
        gone = {"platform": "binary_sensor"}

        def entities():
            return json.loads(subscriber.states[topic])["components"]

        subscriber.wait(lambda _: entities().get("label_Speech") == gone)
        assert entities()["label_Dog"]["platform"] == "binary_sensor"
        assert len(entities()["label_Dog"]) > 5
        sink.close()


def test_a_switch_arms_and_disarms_a_source(broker):
    asked = []
    with Home(broker, on_arm=lambda *what: asked.append(what)) as home:
        assert home.of("kitchen", "armed") == ["ON"]
        command = home.topic("kitchen", "armed", "set")
        home.subscriber.publish(command, "OFF")
        until(lambda: asked == [("kitchen", False)])
        home.subscriber.publish(command, "perhaps")
        home.subscriber.publish(home.topic("attic", "armed", "set"), "ON")
        send(home.sink, home.sounds.event("opened", 1, 1.0))
        home.wait("kitchen", "audio", "Dog", "ON")
        send(home.sink, home.sounds.status(2.0, armed=False))
        home.wait("kitchen", "audio", "Dog", "OFF")
        home.wait("kitchen", "armed", "OFF")
        send(home.sink, *home.sounds.lifecycle(2, 3.0, 4.0))
        send(
            home.sink,
            home.sounds.status(5.0, armed=True),
            *home.sounds.lifecycle(3, 6.0, 7.0),
        )
        home.subscriber.wait(lambda _: len(home.of("kitchen", "event")) >= 2)
        fired = [json.loads(payload)["id"] for payload in home.of("kitchen", "event")]
        assert fired == ["0a0a0a0a-1", "0a0a0a0a-3"]
        home.subscriber.wait(lambda _: len(home.of("kitchen", "audio", "Dog")) >= 5)
        assert home.of("kitchen", "audio", "Dog") == ["OFF", "ON", "OFF", "ON", "OFF"]
        home.subscriber.publish(command, "ON")
        until(lambda: len(asked) == 2)
        assert asked[1] == ("kitchen", True)


def test_a_command_that_the_broker_kept_disarms_nothing(broker):
    with Subscriber(broker.port) as subscriber:
        subscriber.publish("kept/kitchen/armed/set", "OFF", retain=True)
    asked = []
    with Home(broker, prefix="kept", on_arm=lambda *what: asked.append(what)) as home:
        home.subscriber.publish("kept/kitchen/armed/set", "ON")
        until(lambda: asked)
        assert asked == [("kitchen", True)]


def test_rules_decide_which_events_are_messages_and_sensors_show_all(broker):
    rules = Rules([RuleSettings("twice", label="Dog", times=2, minutes=1)])
    with Home(broker, rules=rules) as home:
        send(
            home.sink,
            *home.sounds.lifecycle(1, 1.0, 2.0),
            *home.sounds.lifecycle(2, 3.0, 4.0),
        )
        home.subscriber.wait(lambda _: len(home.of("kitchen", "event")) >= 1)
        home.subscriber.wait(lambda _: len(home.of("kitchen", "records")) >= 6)
        (fired,) = (json.loads(payload) for payload in home.of("kitchen", "event"))
        assert (fired["id"], fired["rule"]) == ("0a0a0a0a-2", "twice")
        assert home.of("kitchen", "audio", "Dog").count("ON") == 2


def test_a_source_that_stalls_is_offline_and_its_sensors_are_off(broker):
    with Home(broker) as home:
        send(home.sink, home.sounds.status(1.0), home.sounds.event("opened", 1, 1.0))
        home.wait("kitchen", "audio", "Dog", "ON")
        send(home.sink, home.sounds.status(9.0, status="waiting", lost=8.0))
        home.wait("kitchen", "status", "offline")
        home.wait("kitchen", "state", "waiting")
        home.wait("kitchen", "lost", "8.0")
        assert home.subscriber.states[home.topic("kitchen", "audio", "Dog")] == "OFF"


@pytest.mark.filterwarnings("ignore:.*SSLSocket")  # paho leaves one to the collector
def test_tls_and_a_password_are_used_and_never_shown(tmp_path):
    make_certificates(tmp_path)
    passwords, secret = tmp_path / "passwords", tmp_path / "secret"
    maker = shutil.which("mosquitto_passwd")
    if maker is None:
        pytest.skip("needs mosquitto_passwd")
    subprocess.run([maker, "-b", "-c", passwords, "home", "open sesame"], check=True)
    passwords.chmod(0o644)
    secret.write_text("open sesame\n")
    lines = f"allow_anonymous false\npassword_file {passwords}\n"
    lines += f"certfile {tmp_path}/cert.pem\nkeyfile {tmp_path}/key.pem\n"
    with Broker(tmp_path, lines) as broker:
        where = f"mqtts://127.0.0.1:{broker.port}"
        trust = {"ca_file": tmp_path / "ca.pem", "username": "home"}

        def notices_of(**settings):
            sink = MqttSink(MqttSettings(where, **settings), SOURCES)
            until(lambda: sink.is_connected or sink.failures())
            notices = sink.notices()
            sink.close()
            until(lambda: not any("paho" in t.name for t in threading.enumerate()))
            gc.collect()  # the socket that paho leaves, within this test
            assert "sesame" not in json.dumps([notices, sink.failures()])
            return notices

        good = notices_of(**trust, password_file=secret)
        assert good == [f"mqtt: connected to 127.0.0.1:{broker.port}"]
        secret.write_text("closed sesame\n")
        (refused,) = notices_of(**trust, password_file=secret)
        assert "connection refused by the broker: Not authorized" in refused
        (untrusted,) = notices_of(username="home", password_file=secret)
        assert "certificate verify failed" in untrusted
        (tmp_path / "ca.pem").write_text("no certificate")
        with pytest.raises(ValueError, match="has no certificates in PEM"):
            MqttSink(MqttSettings(where, **trust), SOURCES)
