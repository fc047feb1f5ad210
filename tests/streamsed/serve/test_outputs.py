"""Outputs that are opened, exchanged and closed while records go on."""

import gc
import json
import sqlite3
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from broker import Broker, Subscriber
from serve_records import Sounds
from serving import KeptRecords

from streamsed.live.sinks.log_file import LogFile
from streamsed.serve.fan_out import FanOut
from streamsed.serve.job import ServeJob
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
FULL = Path("/dev/full")
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


def open_files():
    gc.collect()  # of other tests
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("kind", "variants"),
    [
        ("log", [LogSettings(Path("a.jsonl")), LogSettings(Path("b.jsonl"))]),
        ("exec", [(ExecSettings(("true",), timeout=s), False, ()) for s in (1.0, 2.0)]),
        ("store", [StoreSettings(Path("a.db"), days=days) for days in (1.0, 2.0)]),
    ],
)
def test_outputs_that_are_exchanged_leave_no_file_open(
    home, tmp_path, monkeypatch, kind, variants
):
    monkeypatch.chdir(tmp_path)
    home.want(**{kind: variants[0]})
    before = open_files()
    for turn in range(1, 7):
        home.want(**{kind: variants[turn % 2]})
    assert open_files() <= before
    home.want()
    assert open_files() < before


class Failing(KeptRecords):
    """An output that raises when it gets records, or only events, or at its end."""

    def __init__(self, name, error, *, at):
        super().__init__()
        self.name, self.error, self.at, self.is_closed = name, error, at, False

    def on_record(self, record, update):
        if self.at == "records" or (self.at == "events" and update is not None):
            raise self.error
        super().on_record(record, update)

    def close(self):
        self.is_closed = True
        if self.at == "end":
            raise self.error


def test_an_output_that_fails_at_its_end_is_one_line_and_the_others_are_closed():
    broken = Failing("mqtt", sqlite3.OperationalError("disk I/O\nerror"), at="end")
    good = Failing("store", None, at="never")
    messages = FanOut([broken, good]).close()
    assert messages == ["mqtt: not closed properly: disk I/O error"]
    assert good.is_closed


def test_an_output_that_fails_at_its_end_is_exchanged_all_the_same():
    kept, new = KeptRecords(), KeptRecords()
    broken = Failing("mqtt", ValueError("no socket"), at="end")
    fan_out = FanOut([broken, kept])
    assert fan_out.exchange(broken, lambda: new, lambda: broken) == (new, None)
    fan_out.report(*Sounds().notice(1.0, "hello"))
    assert [each["text"] for each in new.of("notice")][-1] == "hello"
    assert "mqtt: not closed properly: no socket" in [
        each["text"] for each in kept.of("notice")
    ]


def test_two_outputs_that_fail_at_once_are_both_removed():
    kept = KeptRecords()
    broken = [Failing(name, OSError("gone"), at="records") for name in ("a", "b")]
    fan_out = FanOut([*broken, kept])
    fan_out.report(*Sounds().status(1.0))
    assert fan_out.lost == {"a": "gone", "b": "gone"}
    assert len(kept.of("status")) == 1


def test_a_record_that_an_output_cannot_take_disturbs_no_other_and_is_counted():
    kept = KeptRecords()
    strict = Failing("webhook", ValueError("Out of range\nfloat"), at="events")
    fan_out = FanOut([strict, kept])
    for number in range(1, 6):
        for record, update in Sounds().lifecycle(number, 1.0, 2.0):
            fan_out.report(record, update)
    assert len(kept.of("closed")) == 5
    notices = [each["text"] for each in kept.of("notice")]
    assert notices[0] == "webhook: 1 record failed (ValueError: Out of range float)"
    assert len(notices) == 4  # the first, and whenever their number doubles
    assert fan_out.failures()["webhook"]["failed"] == 15


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_what_an_output_lost_until_the_end_is_printed_and_sets_the_exit_code(capsys):
    home = SimpleNamespace(fan_out=FanOut([QueuedLog(LogFile(FULL))]))
    home.fan_out.report(*Sounds().status(1.0))
    home.fan_out.close()
    job = ServeJob(Path("home.toml"))
    assert job._lost_records(home)
    printed = capsys.readouterr().err
    assert "log: " in printed
    assert "1 waiting (No space left on device)" in printed
    assert not job._lost_records(SimpleNamespace(fan_out=FanOut([])))
