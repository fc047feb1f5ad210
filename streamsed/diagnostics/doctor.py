"""Check what `listen` needs, one by one; each failure comes with its remedy."""

from __future__ import annotations

import math
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

from streamsed import _core
from streamsed.audio.devices import (
    Device,
    find_device,
    input_devices,
    portaudio,
    working_rates,
)
from streamsed.audio.microphone import Microphone
from streamsed.inference.model import Model
from streamsed.live.auto_step import MAX_LOAD, segment_cost, shortest_step
from streamsed.serve.sources.ffmpeg import REMEDY, ffmpeg_version
from streamsed.terminal import percent

LISTENING = 2.0
"""Seconds of sound to record from the microphone."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Parameters
    ----------
    what : str
        What was checked.
    well : bool
        Whether the check passed.
    says : str
        The result, and the remedy if it failed.
    """

    what: str
    well: bool
    says: str


def examine(*, model: str, device: str | None, latency: float) -> Iterator[Finding]:
    """Run all checks, yielding each finding as soon as it is known.

    Parameters
    ----------
    model : str
        Name or path of the model.
    device : str or None
        The microphone; None is the default.
    latency : float
        Seconds, as for `listen`.

    Raises
    ------
    ValueError
        `latency` is not positive, or longer than a segment of the model.
    """
    if not 0 < latency < math.inf:
        raise ValueError(f"latency={latency} must be positive (in seconds)")
    yield Finding(
        "core", well=True, says=f"C++ core for {', '.join(_core.simd_targets())}"
    )
    yield from _examine_devices(device)
    yield _examine_ffmpeg()
    yield from _examine_model(model, latency)


def _examine_devices(wanted: str | None) -> Iterator[Finding]:
    try:
        yield Finding(
            "PortAudio", well=True, says=portaudio().get_portaudio_version()[1]
        )
        found = input_devices()
        names = "; ".join(f"{d.index} {d.name}" for d in found)
        yield Finding(
            "devices", well=bool(found), says=names or "none; plug in a microphone"
        )
        if not found:
            return
        device = find_device(wanted)
        rates = working_rates(device)
        remedy = "is another program using it? choose another with --device"
        opens = ", ".join(str(rate) for rate in rates)
        yield Finding(
            device.name,
            well=bool(rates),
            says=f"opens at {opens} Hz" if rates else remedy,
        )
        yield _listen(device)
    except (OSError, ValueError) as error:
        yield Finding("microphone", well=False, says=str(error))


def _examine_ffmpeg() -> Finding:
    """Look for what `serve` reads network sources with; nothing else needs it."""
    program = shutil.which("ffmpeg")
    if program is None:
        says = f"not installed; network sources of serve need it: {REMEDY}"
        return Finding("ffmpeg", well=True, says=says)
    try:
        version = ffmpeg_version(program)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("ffmpeg", well=False, says=f"does not start ({error}); {REMEDY}")
    return Finding("ffmpeg", well=True, says=f"version {version}, for network sources")


def _listen(device: Device) -> Finding:
    """Record from the microphone and check the level."""
    source = Microphone(str(device.index), sample_rate=device.sample_rate)
    peak, n_samples = 0.0, 0
    give_up = time.monotonic() + 3 * LISTENING
    try:
        while n_samples < LISTENING * device.sample_rate and time.monotonic() < give_up:
            for piece in source.read() or []:
                if not piece.missing:
                    peak = max(peak, piece.peak)
                    n_samples += len(piece.samples)
            time.sleep(0.02)
    finally:
        source.close()
    if not n_samples:
        return Finding(
            "sound",
            well=False,
            says="no sound arrived; unplug the microphone and plug it in again",
        )
    if peak == 0:
        return Finding(
            "sound",
            well=False,
            says="only zeros arrived; is the microphone muted, or access not allowed?",
        )
    if peak >= 1:
        return Finding("sound", well=False, says="it clips; reduce the gain")
    return Finding("sound", well=True, says=f"peak {peak:.4f} of full scale")


def _examine_model(name: str, latency: float) -> Iterator[Finding]:
    try:
        model = Model.load(name)
    except (OSError, ValueError) as error:
        yield Finding("model", well=False, says=str(error))
        return
    labels = len(model.info.labels)
    yield Finding(
        "model",
        well=True,
        says=f"{model.info.name}, {labels} labels, on {model.place}",
    )
    longest = model.info.frontend.segment_duration
    if latency > longest:
        raise ValueError(
            f"latency={latency} must be at most one segment ({longest:.3g} s)"
        )
    cost = segment_cost(model)
    step = shortest_step(cost, model.info.frontend, latency=latency)
    load = cost / step
    says = f"step {step:.2f} s at {percent(load, 0)} load"
    remedy = "; raise --latency, close other programs, or use a smaller model"
    well = load <= MAX_LOAD
    yield Finding("speed", well=well, says=says if well else says + remedy)
