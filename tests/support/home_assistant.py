"""Home Assistant itself, with its MQTT integration alone, controlled line by line.

`python home_assistant.py FOLDER PORT`, with a Python that has the package homeassistant.
Every state of an entity is printed as a line of JSON when it changes, and every warning. A
line on standard input calls a service: `switch.turn_off switch.kitchen_armed`. The end of
input ends it.
"""

import asyncio
import json
import logging
import sys
import threading
from pathlib import Path
from types import MappingProxyType

from homeassistant import bootstrap, config_entries, core, loader
from homeassistant.setup import async_setup_component

ABOUT_US = "homeassistant.components.mqtt"
"""What warns of messages that are not as they should be."""

_one_at_a_time = threading.Lock()


def say(**what):
    with _one_at_a_time:
        sys.stdout.write(json.dumps(what, default=str) + "\n")
        sys.stdout.flush()


class Warnings(logging.Handler):
    def emit(self, record):
        if record.name.startswith(ABOUT_US):
            say(warning=record.getMessage(), logger=record.name)


@core.callback  # in the loop: threads would print the changes in any order
def on_change(event):
    state = event.data["new_state"]
    if state is not None:
        about = dict(state.attributes)
        say(entity=state.entity_id, state=state.state, attributes=about)
    else:
        say(entity=event.data["entity_id"], state=None)


async def home_assistant(folder, port):
    (folder / "configuration.yaml").touch()
    hass = core.HomeAssistant(str(folder))
    hass.config.skip_pip = True
    loader.async_setup(hass)
    hass.config_entries = config_entries.ConfigEntries(hass, {})
    await bootstrap.async_load_base_functionality(hass)
    await async_setup_component(hass, "homeassistant", {})
    hass.config.components.update({"http", "file_upload"})  # for its pages, not for us
    hass.bus.async_listen("state_changed", on_change)
    await hass.async_start()
    entry = config_entries.ConfigEntry(
        domain="mqtt",
        data={"broker": "127.0.0.1", "port": port},
        options={},
        version=1,
        minor_version=2,
        title="broker",
        source="user",
        unique_id=None,
        discovery_keys=MappingProxyType({}),
        subentries_data=(),
    )
    await hass.config_entries.async_add(entry)
    say(ready=str(entry.state))
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await hass.loop.connect_read_pipe(lambda: protocol, sys.stdin)
    while line := await reader.readline():
        service, entity = line.decode().split()
        domain, name = service.split(".")
        await hass.services.async_call(
            domain, name, {"entity_id": entity}, blocking=True
        )
    await hass.async_stop()


if __name__ == "__main__":
    logging.getLogger().addHandler(Warnings(logging.WARNING))
    asyncio.run(home_assistant(Path(sys.argv[1]), int(sys.argv[2])))
