"""Outputs that are opened, exchanged and closed while records go on."""

import json
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from broker import Broker, Subscriber
from serve_records import Sounds

from streamsed.live.sinks.log_file import LogFile
from streamsed.serve.fan_out import FanOut
from streamsed.serve.outputs import OutputContext, change_outputs
from streamsed.serve.settings import (
    ExecSettings,
    LogSettings,
    MqttSettings,
    RuleSettings,
    StoreSettings,
    WebhookSettings,
)
from streamsed.serve.sinks.queued_log import QueuedLog
from streamsed.serve.store.reader import StoreReader
from streamsed.serve.store.sink import StoreSink

CONTEXT = OutputContext(model="tiny", disarmed=(), on_arm=lambda *_: None)
DOGS = (RuleSettings("dogs", label="Dog"),)


class Home:
    """Outputs, and a source of records."""

    def __init__(self):
        self.fan_out, self.outputs = FanOut([]), {}

    def want(self, **wanted):
        wanted = {kind.replace("_", " "): each for kind, each in wanted.items()}
        self.outputs = change_outputs(self.outputs, wanted, CONTEXT, self.fan_out)

    def send(self, *records):
        for record, update in records:
            self.fan_out.report(record, update)

    @contextmanager
    def sending(self):
        """Report one event after another, all the time."""
        reported, stop = [], threading.Event()

        def work():
            sounds = Sounds()
            while not stop.wait(0.002):
                number = len(reported) + 1
                self.send(*sounds.lifecycle(number, 3.0 * number, 3.0 * number + 1))
                self.send(sounds.status(3.0 * number + 3))
                reported.append(number)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield reported
        finally:
            stop.set()
            thread.join()


@pytest.fixture
def home():
    home = Home()
    yield home
    home.fan_out.close()


def wait_for(holds, seconds=60.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def numbers(path):
    with StoreReader(path) as reader:
        return [event.number for event in reader.events()]


def test_a_store_whose_settings_change_misses_nothing(home, tmp_path):
    path = tmp_path / "home.db"
    home.want(store=StoreSettings(path))
    with home.sending() as reported:
        for days in (10.0, 20.0, 30.0):
            n_before = len(reported)
            home.want(store=StoreSettings(path, days=days))
            wait_for(lambda n=n_before: len(reported) >= n + 5)
    home.fan_out.close()
    assert numbers(path) == reported
    assert home.fan_out.lost == {}
    with StoreReader(path) as reader:
        heard = sum(hour.heard for hour in reader.listened())
    assert heard == pytest.approx(3 * len(reported) + 3)  # each second once


def test_outputs_that_did_not_change_stay_the_same(home, tmp_path):
    log = LogSettings(tmp_path / "night.jsonl")
    store = StoreSettings(tmp_path / "home.db")
    home.want(log=log, store=store)
    before = {kind: sink for kind, (_, sink) in home.outputs.items()}
    home.want(log=log, store=StoreSettings(tmp_path / "home.db", days=3.0))
    after = {kind: sink for kind, (_, sink) in home.outputs.items()}
    assert after["log"] is before["log"]
    assert after["store"] is not before["store"]
    home.want(log=log)
    assert list(home.outputs) == ["log"]
    StoreSink(store.path).close()  # it was let go of


@pytest.mark.parametrize(
    ("kind", "settings"), [("log", LogSettings), ("store", StoreSettings)]
)
def test_a_file_that_cannot_be_opened_is_named_with_its_table(
    home, tmp_path, kind, settings
):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=rf"^\[{kind}\] path: .*file: file exists$"):
        home.want(**{kind: settings(tmp_path / "file" / "inner")})


def test_when_one_output_does_not_open_all_are_as_they_were(home, tmp_path):
    first, second = StoreSettings(tmp_path / "a.db"), StoreSettings(tmp_path / "b.db")
    log = LogSettings(tmp_path / "a.jsonl")
    home.want(log=log, store=first)
    other = StoreSink(second.path)  # another program writes it
    with pytest.raises(OSError, match=r"^\[store\] path: .*b\.db: another streamsed"):
        home.want(log=LogSettings(tmp_path / "b.jsonl"), store=second)
    other.close()
    assert {kind: each for kind, (each, _) in home.outputs.items()} == {
        "log": log,
        "store": first,
    }
    assert isinstance(home.outputs["log"][1], QueuedLog)
    lifecycle = Sounds().lifecycle(1, 1.0, 2.0)
    home.send(*lifecycle)
    home.fan_out.close()
    assert numbers(first.path) == [1]
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert [json.loads(line)["state"] for line in lines][-3:] == [
        "opened",
        "ended",
        "closed",
    ]


def test_a_source_that_is_added_does_not_leave_the_others_offline(home, tmp_path):
    """The broker is left and found again: what was said last is what is true."""
    with Broker(tmp_path) as broker, Subscriber(broker.port) as subscriber:
        mqtt = MqttSettings(broker.url)
        home.want(mqtt=(mqtt, {"kitchen": ("Dog",)}, ()))
        home.send(Sounds("kitchen").status(1.0))
        subscriber.wait_for("streamsed/kitchen/status", "online")
        home.want(mqtt=(mqtt, {"kitchen": ("Dog",), "garden": ("Dog",)}, ()))
        home.send(Sounds("kitchen").status(2.0), Sounds("garden").status(2.0))
        subscriber.wait_for("streamsed/garden/status", "online")
        subscriber.wait_for("streamsed/kitchen/status", "online")
        subscriber.wait_for("streamsed/status", "online")
        home.fan_out.close()
        subscriber.wait_for("streamsed/status", "offline")


def test_rules_stand_before_commands_and_not_before_the_store(home, tmp_path):
    keep = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"
    out, path = tmp_path / "out.jsonl", tmp_path / "home.db"
    command = ExecSettings((sys.executable, "-c", keep, str(out)), on=("opened",))
    home.want(exec=(command, False, DOGS), store=StoreSettings(path))
    sounds = Sounds()
    home.send(
        *sounds.lifecycle(2, 3.0, 4.0, "Cat"), *sounds.lifecycle(1, 1.0, 2.0, "Dog")
    )
    wait_for(lambda: out.exists() and out.read_text().endswith("\n"))
    home.fan_out.close()
    (record,) = map(json.loads, out.read_text().splitlines())
    assert (record["id"], record["source"], record["rule"]) == (1, "kitchen", "dogs")
    assert sorted(numbers(path)) == [1, 2]


def test_a_command_gets_a_closed_event_once_with_its_clip(home, tmp_path):
    keep = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"
    out = tmp_path / "out.jsonl"
    command = ExecSettings((sys.executable, "-c", keep, str(out)), on=("closed",))
    home.want(exec=(command, True, ()))
    record, update = Sounds().event("closed", 1, 1.0, 2.0)
    home.send((record, update))
    home.fan_out.on_clip(record | {"clip": "dog.flac"}, update)
    wait_for(lambda: out.exists() and out.read_text().endswith("\n"))
    home.fan_out.close()
    (reported,) = map(json.loads, out.read_text().splitlines())
    assert reported["clip"] == "dog.flac"


def test_webhooks_are_many_and_each_fails_alone(home):
    one, two = (WebhookSettings(f"http://127.0.0.1:{port}/") for port in (1, 2))
    home.want(webhook_1=(one, ()), webhook_2=(two, ()))
    home.send(*Sounds().lifecycle(1, 1.0, 2.0))
    home.fan_out.close()
    names = [sink.name for _, sink in home.outputs.values()]
    assert names == ["webhook 127.0.0.1:1", "webhook 127.0.0.1:2"]
    lost = [sink.failures()["lost"] for _, sink in home.outputs.values()]
    assert lost == [2, 2]


def test_a_clip_saved_while_the_store_is_exchanged_is_kept(tmp_path):
    path = tmp_path / "home.db"
    old = StoreSink(path)
    fan_out = FanOut([old, QueuedLog(LogFile(tmp_path / "log.jsonl"))])
    record, update = Sounds().event("closed", 1, 1.0, 2.0)

    def open_new():
        fan_out.report(record, update)
        fan_out.on_clip(record | {"clip": "dog.flac"}, update)
        return StoreSink(path)

    fan_out.exchange(old, open_new, lambda: StoreSink(path))
    fan_out.close()
    with StoreReader(path) as store:
        assert [event.clip for event in store.events()] == ["dog.flac"]
