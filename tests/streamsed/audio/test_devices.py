import os
from dataclasses import replace

import pytest
from environment import ENVIRONMENT

from streamsed.audio.devices import (
    NO_PORTAUDIO,
    Device,
    capture_rate,
    find_again,
    find_device,
    input_devices,
    quiet,
    rescan,
    same_device,
    working_rates,
)


@pytest.mark.live
def test_devices_are_listed_with_their_default(heard_here):
    devices = input_devices()
    assert [(d.index, d.name, d.host) for d in devices] == [
        (0, "pulse", "ALSA"),
        (1, "default", "ALSA"),
    ]
    assert [d.is_default for d in devices] == [False, True]
    assert all(d.n_channels > 0 and d.sample_rate == 44100 for d in devices)


@pytest.mark.live
@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        (None, "default"),
        ("0", "pulse"),
        ("1", "default"),
        ("pulse", "pulse"),
        ("PUL", "pulse"),
        ("fault", "default"),
    ],
)
def test_a_device_is_found_by_index_name_or_part_of_it(heard_here, wanted, name):
    assert find_device(wanted).name == name


@pytest.mark.live
@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("7", "--device: no input device '7'; devices: 0 pulse; 1 default"),
        ("-1", "--device: no input device '-1'; devices: 0 pulse; 1 default"),
        ("²", "--device: no input device '²'"),
        ("usb", "--device: no input device 'usb'; devices: 0 pulse; 1 default"),
        ("u", "--device: 'u' matches several devices: 0 pulse; 1 default"),
    ],
)
def test_a_device_that_is_not_clear_is_answered_with_what_there_is(
    heard_here, wanted, says
):
    with pytest.raises(ValueError, match=says):
        find_device(wanted)


@pytest.mark.live
def test_a_lost_device_is_found_under_another_number(heard_here):
    pulse, default = input_devices()
    assert find_again(replace(pulse, index=1)) == pulse
    assert find_again(default) == default
    with pytest.raises(ValueError, match=r"Headset.*plug it in"):
        find_again(replace(pulse, name="Headset"))


@pytest.mark.parametrize(
    ("name", "host", "same"),
    [
        ("USB: Audio (hw:3,0)", "ALSA", True),
        ("USB: Audio", "ALSA", True),
        ("USB: Audio (hw:1,0)", "JACK", False),
        ("USB: Other (hw:1,0)", "ALSA", False),
    ],
)
def test_a_device_is_the_same_whatever_the_number_of_its_card(name, host, same):
    card = Device(2, "USB: Audio (hw:1,0)", "ALSA", 1, 48000, is_default=False)
    assert same_device(replace(card, index=5, name=name, host=host), card) == same


@pytest.mark.live
def test_rates_are_those_that_really_open(heard_here):
    pulse = find_device("pulse")
    assert {16000, 44100, 48000} <= set(working_rates(pulse))
    assert working_rates(replace(pulse, index=99)) == []


@pytest.mark.live
def test_an_odd_default_rate_gives_way_to_one_that_opens(heard_here):
    pulse = find_device("pulse")
    assert capture_rate(pulse) == 44100
    assert capture_rate(replace(pulse, sample_rate=100_000_000)) == 192_000


class SoundSystem:
    """PortAudio on a sound system that does not answer for a while."""

    class PortAudioError(Exception):
        pass

    def __init__(self):
        self.is_answering, self.is_open = False, True

    def _terminate(self):
        if not self.is_open:
            raise self.PortAudioError("PortAudio not initialized")
        self.is_open = False

    def _initialize(self):
        if not self.is_answering:
            raise self.PortAudioError("Unanticipated host error")
        self.is_open = True

    def query_hostapis(self):
        raise self.PortAudioError("PortAudio not initialized")


def test_devices_are_found_again_once_the_sound_system_answers(monkeypatch):
    system = SoundSystem()
    monkeypatch.setattr("streamsed.audio.devices.portaudio", lambda: system)
    for _ in range(2):
        with pytest.raises(OSError, match="sound system does not answer"):
            rescan()
        with pytest.raises(OSError, match="sound system does not answer"):
            input_devices()
    system.is_answering = True
    rescan()
    assert system.is_open


def test_quiet_keeps_libraries_off_stderr_and_gives_it_back(capfd):
    with quiet():
        os.write(2, b"ALSA lib confmisc.c: cannot find card\n")
    os.write(2, b"ours\n")
    assert capfd.readouterr().err == "ours\n"


@pytest.fixture
def without_portaudio(tmp_path):
    """An environment in which the system's PortAudio is not found."""
    (tmp_path / "sitecustomize.py").write_text(
        "import ctypes.util as u; found = u.find_library\n"
        "u.find_library = lambda name: None if 'portaudio' in name else found(name)\n"
    )
    return ENVIRONMENT | {"PYTHONPATH": str(tmp_path)}


@pytest.mark.parametrize("command", [["devices"], ["listen"], ["listen", "-d", "0"]])
def test_without_portaudio_the_remedy_is_one_line(
    streamsed, model_path, without_portaudio, command
):
    if command[0] == "listen":
        command = [*command, "--model", model_path]
    done = streamsed(*command, env=without_portaudio)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"streamsed: error: {NO_PORTAUDIO}\n"
    assert "apt install libportaudio2" in NO_PORTAUDIO


@pytest.mark.live
def test_the_devices_command_lists_names_rates_and_default(streamsed, mic):
    done = streamsed("devices", env=ENVIRONMENT | mic.environment | {"COLUMNS": "160"})
    assert done.returncode == 0
    assert done.stderr == ""
    header, *rows = done.stdout.splitlines()
    assert header.split()[:4] == ["index", "name", "host", "channels"]
    assert [row.split()[0] for row in rows] == ["0", "*"]
    assert all("44100 Hz" in row and row.rstrip().endswith("192000") for row in rows)


def test_without_devices_the_remedy_is_one_line(streamsed, model_path, tmp_path):
    environment = ENVIRONMENT | {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": "/nowhere"}
    if "no input devices" not in streamsed("devices", env=environment).stdout:
        pytest.skip("this machine has a sound card, or no PortAudio")
    done = streamsed("listen", "--model", model_path, env=environment)
    assert done.returncode == 2
    assert done.stderr == (
        "streamsed: error: no microphone found; 'streamsed doctor' says why\n"
    )
