"""List and find microphones, by index or name, and the rates at which they open."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from streamsed.audio.sound_server import find_source

RATES = (8000, 11025, 16000, 22050, 32000, 44100, 48000, 88200, 96000, 192000)
"""Hz; what `working_rates` tries."""

SERVER_DEVICES = ("pulse", "pipewire", "default")
"""Names of the devices that belong to PulseAudio and PipeWire."""

NO_PORTAUDIO = (
    "PortAudio is not installed: `apt install libportaudio2` (Debian, Ubuntu) or "
    "`brew install portaudio` (macOS)"
)


@dataclass(frozen=True, slots=True)
class Device:
    """An input device as PortAudio names it.

    Parameters
    ----------
    index : int
        Its current number; it may change when devices are plugged in or out.
    name, host : str
        Name of the device, and of the host API that offers it.
    n_channels : int
        Input channels.
    sample_rate : int
        Hz, its default rate.
    is_default : bool
        Whether it is the system's default input.
    source : str
        Source of the sound server to record from; "" is the server's default.
    """

    index: int
    name: str
    host: str
    n_channels: int
    sample_rate: int
    is_default: bool
    source: str = ""


def portaudio() -> Any:
    """Return the sounddevice module.

    Raises
    ------
    OSError
        PortAudio is not installed.
    """
    try:
        with quiet():
            import sounddevice
    except OSError as error:
        raise OSError(NO_PORTAUDIO) from error
    return sounddevice


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress what the system's sound libraries write to stderr.

    They report every device that they cannot open while enumerating them.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def rescan() -> None:
    """Make PortAudio enumerate devices again; this closes all open streams.

    Raises
    ------
    OSError
        PortAudio is missing, or the sound system does not answer now.
    """
    sounddevice = portaudio()
    with quiet(), _port_audio_errors():
        with suppress(sounddevice.PortAudioError):  # the last attempt may have failed
            sounddevice._terminate()
        sounddevice._initialize()


@contextmanager
def _port_audio_errors() -> Iterator[None]:
    """Raise errors of PortAudio as OSError."""
    try:
        yield
    except portaudio().PortAudioError as error:
        raise OSError(
            f"the sound system does not answer ({error}); 'streamsed doctor' says more"
        ) from error


def input_devices() -> list[Device]:
    """Return all input devices, in PortAudio's order.

    Raises
    ------
    OSError
        PortAudio is missing, or the sound system does not answer now.
    """
    sounddevice = portaudio()
    with _port_audio_errors():
        hosts, found_devices = sounddevice.query_hostapis(), sounddevice.query_devices()
    default = sounddevice.default.device[0]
    return [
        Device(
            index=index,
            name=str(found["name"]),
            host=str(hosts[found["hostapi"]]["name"]),
            n_channels=int(found["max_input_channels"]),
            sample_rate=round(found["default_samplerate"]),
            is_default=index == default,
        )
        for index, found in enumerate(found_devices)
        if found["max_input_channels"] > 0
    ]


def find_device(wanted: str | None) -> Device:
    """Return the device that matches an index or a name.

    Parameters
    ----------
    wanted : str or None
        An index, a name, or part of a name (regardless of case) of a device or of a source
        of the sound server; None is the system's default.

    Raises
    ------
    ValueError
        No device matches, or several do; the message lists them.
    """
    devices = input_devices()
    if not devices:
        raise ValueError("no microphone found; 'streamsed doctor' says why")
    listed = "; ".join(f"{d.index} {d.name}" for d in devices)
    if wanted is None:
        matches = [d for d in devices if d.is_default] or devices[:1]
    elif wanted.isdecimal():
        matches = [d for d in devices if d.index == int(wanted)]
    else:
        matches = [d for d in devices if d.name == wanted] or [
            d for d in devices if wanted.lower() in d.name.lower()
        ]
    through = _server_device(devices)
    if not matches and wanted is not None and through is not None:
        source = None if wanted.isdecimal() else find_source(wanted)
        if source is not None:
            return replace(through, name=source.description, source=source.name)
    if not matches:
        raise ValueError(f"--device: no input device {wanted!r}; devices: {listed}")
    if len(matches) > 1:
        found = "; ".join(f"{d.index} {d.name}" for d in matches)
        raise ValueError(f"--device: {wanted!r} matches several devices: {found}")
    return matches[0]


def _server_device(devices: list[Device]) -> Device | None:
    """Return the device that belongs to the sound server."""
    for name in SERVER_DEVICES:
        for device in devices:
            if device.name == name:
                return device
    return None


def find_again(lost: Device) -> Device:
    """Find a lost device again, by name because its index may have changed.

    Raises
    ------
    ValueError
        It is not connected.
    """
    if lost.source:  # the server's device always exists; its source may not
        return find_device(lost.source)
    found = [device for device in input_devices() if same_device(device, lost)]
    if not found:
        raise ValueError(f"--device: {lost.name} is not connected; plug it in")
    return min(found, key=lambda device: abs(device.index - lost.index))


def same_device(one: Device, other: Device) -> bool:
    """Return whether two may be the same device, plugged in at different times.

    The card number, as in `USB Audio (hw:1,0)`, may have changed.
    """
    names = [re.sub(r" \(hw:\d+,\d+\)$", "", device.name) for device in (one, other)]
    return names[0] == names[1] and one.host == other.host


def working_rates(device: Device) -> list[int]:
    """Return those of `RATES` at which the device opens."""
    return [rate for rate in RATES if _opens(device, rate)]


def capture_rate(device: Device) -> int:
    """Return the device's default rate, or the nearest of `RATES` if that does not open."""
    nearest = sorted(RATES, key=lambda rate: abs(rate - device.sample_rate))
    for rate in (device.sample_rate, *nearest):
        if _opens(device, rate):
            return rate
    return device.sample_rate  # opening it will raise the reason


def _opens(device: Device, rate: int) -> bool:
    sounddevice = portaudio()
    try:
        with quiet():
            sounddevice.check_input_settings(
                device=device.index, channels=1, dtype="float32", samplerate=rate
            )
    except sounddevice.PortAudioError:
        return False
    return True
