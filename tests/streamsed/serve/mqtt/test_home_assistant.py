"""Home Assistant's own reading of what it receives: `make home-assistant` installs it."""

import json
import os
import subprocess
import threading
from itertools import groupby
from pathlib import Path

import pytest
from broker import Broker
from serve_records import Sounds, send

from streamsed.serve.mqtt.sink import MqttSink
from streamsed.serve.settings import MqttSettings

PYTHON = os.environ.get("STREAMSED_HOME_ASSISTANT")
PROGRAM = Path(__file__).parents[3] / "support" / "home_assistant.py"
LABELS = ("Dog", "Alarm_bell_ringing", "Smoke alarm")

pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="needs Home Assistant: make home-assistant"
)


class HomeAssistant:
    """The program, and the newest state of each of its entities."""

    def __init__(self, folder, port):
        folder.mkdir(exist_ok=True)
        command = [PYTHON, PROGRAM, folder, str(port)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.said, self.entities, self.warnings = [], {}, []
        self._condition = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.wait(lambda: any("ready" in line for line in self.said))

    def _read(self):
        for line in self.process.stdout:
            with self._condition:
                said = json.loads(line)
                self.said.append(said)
                if "entity" in said:
                    self.entities[said["entity"]] = said
                elif "warning" in said:
                    self.warnings.append(said["warning"])
                self._condition.notify_all()

    def wait(self, holds, seconds=120):
        with self._condition:
            assert self._condition.wait_for(holds, seconds), (
                self.entities,
                self.warnings,
            )

    def wait_for(self, entity, state):
        self.wait(lambda: self.entities.get(entity, {}).get("state") == state)

    def states_of(self, entity):
        with self._condition:
            found = [each for each in self.said if each.get("entity") == entity]
            return [state for state, _ in groupby(each["state"] for each in found)]

    def call(self, service, entity):
        self.process.stdin.write(f"{service} {entity}\n")
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self._reader.join(60)
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def broker(tmp_path):
    with Broker(tmp_path) as broker:
        yield broker


def sink_at(broker, labels=LABELS, **options):
    sources = {"kitchen": labels, "garden-2": labels}
    return MqttSink(
        MqttSettings(broker.url), sources, model="default", version="1.2", **options
    )


def test_every_entity_appears_and_follows_what_is_detected(broker, tmp_path):
    sink, sounds = sink_at(broker), Sounds("kitchen")
    dog, events = "binary_sensor.kitchen_dog", "event.kitchen_event"
    with HomeAssistant(tmp_path / "ha", broker.port) as home:
        home.wait_for(dog, "unavailable")  # no sound has come yet
        home.wait_for("binary_sensor.garden_2_dog", "unavailable")
        send(sink, sounds.status(1.0, level=-42.3, lost=2.5))
        home.wait_for(dog, "off")
        home.wait_for("sensor.kitchen_level", "-42.3")
        home.wait_for("sensor.kitchen_lost", "2.5")
        home.wait_for("sensor.kitchen_state", "running")
        home.wait_for("switch.kitchen_armed", "on")
        home.wait_for("binary_sensor.kitchen_alarm_bell_ringing", "off")
        home.wait_for(events, "unknown")
        send(sink, sounds.event("opened", 1, 2.0))
        home.wait_for(dog, "on")
        home.wait(lambda: home.entities[events]["state"] != "unknown")
        fired = home.entities[events]["attributes"]
        assert (fired["event_type"], fired["id"]) == ("Dog", "0a0a0a0a-1")
        assert fired["event_types"] == list(LABELS)
        send(
            sink,
            sounds.event("ended", 1, 2.0, 3.0),
            sounds.event("closed", 1, 2.0, 3.0),
        )
        home.wait_for(dog, "off")
        home.wait_for("sensor.kitchen_last_event", "Dog")
        home.wait(lambda: home.entities[dog]["attributes"].get("duration") == 1.0)
        classes = {
            name: home.entities[f"binary_sensor.kitchen_{name}"]["attributes"][
                "device_class"
            ]
            for name in ("dog", "smoke_alarm")
        }
        assert classes == {"dog": "sound", "smoke_alarm": "smoke"}
        assert home.entities["binary_sensor.garden_2_dog"]["state"] == "unavailable"
        sink.close()
        home.wait_for(dog, "unavailable")
        assert home.states_of(dog).count("on") == 1
        assert home.warnings == []


def test_its_switch_arms_a_source(broker, tmp_path):
    asked, sounds = [], Sounds("kitchen")
    sink = sink_at(broker, on_arm=lambda *what: asked.append(what))
    with HomeAssistant(tmp_path / "ha", broker.port) as home:
        send(sink, sounds.status(1.0))
        home.wait_for("switch.kitchen_armed", "on")
        home.call("switch.turn_off", "switch.kitchen_armed")
        home.wait(lambda: asked == [("kitchen", False)])
        send(sink, sounds.status(2.0, armed=False))
        home.wait_for("switch.kitchen_armed", "off")
        sink.close()
        assert home.warnings == []


def test_it_knows_everything_again_after_its_restart(broker, tmp_path):
    sink, sounds = sink_at(broker), Sounds("kitchen")
    with HomeAssistant(tmp_path / "ha", broker.port) as home:
        send(sink, sounds.status(1.0))
        home.wait_for("binary_sensor.kitchen_dog", "off")
    send(sink, sounds.event("opened", 1, 2.0))
    with HomeAssistant(tmp_path / "ha", broker.port) as home:
        home.wait_for("binary_sensor.kitchen_dog", "on")
        sink.close()
        assert home.warnings == []


def test_a_label_and_a_source_that_are_gone_leave_no_entity(broker, tmp_path):
    sink = sink_at(broker)
    with HomeAssistant(tmp_path / "ha", broker.port) as home:
        send(sink, Sounds("kitchen").status(1.0), Sounds("garden-2").status(1.0))
        home.wait_for("binary_sensor.kitchen_smoke_alarm", "off")
        home.wait_for("binary_sensor.garden_2_dog", "off")
        sink.close()
        settings = MqttSettings(broker.url)
        sink = MqttSink(
            settings, {"kitchen": LABELS[:2]}, model="default", version="1.3"
        )
        home.wait_for("binary_sensor.kitchen_smoke_alarm", None)
        home.wait_for("binary_sensor.garden_2_dog", None)
        send(sink, Sounds("kitchen").status(1.0))
        home.wait_for("binary_sensor.kitchen_dog", "off")
        sink.close()
        assert home.warnings == []
