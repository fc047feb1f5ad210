import time

import numpy as np
import pytest
from environment import ENVIRONMENT
from sounds import RATE, dominant_frequency, tone

from streamsed.audio.devices import find_device
from streamsed.audio.microphone import Microphone
from streamsed.audio.sound_server import (
    SourceWatch,
    find_source,
    recorded_source,
    server_sources,
)


@pytest.mark.parametrize("answer", ["", "nonsense", '{"a": 1}', "[1, null]", None])
def test_a_server_that_answers_nonsense_has_no_sources(tmp_path, monkeypatch, answer):
    monkeypatch.setenv("PATH", str(tmp_path))
    if answer is not None:
        program = tmp_path / "pactl"
        program.write_text(f"#!/bin/sh\necho '{answer}'\n")
        program.chmod(0o755)
    assert server_sources() == []
    assert recorded_source() is None
    watch = SourceWatch()
    watch.look()
    assert watch.notices() == []


@pytest.mark.live
def test_sources_are_found_by_name_or_a_part_of_it(heard_here):
    with heard_here.second("kitchen") as name:
        assert {s.name for s in server_sources()} == {"mic.monitor", name}
        assert find_source(name).name == name
        assert find_source("KITCH").name == name
        assert find_source("garage") is None
        with pytest.raises(ValueError, match="'monitor' matches several sources"):
            find_source("monitor")
        device = find_device("kitchen")
        assert device.source == name
        assert device.index == find_device("pulse").index
    with pytest.raises(ValueError, match="--device: no input device 'kitchen'"):
        find_device("kitchen")


def record(source, seconds):
    pieces, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        pieces += [piece.samples for piece in source.read()]
        time.sleep(0.02)
    return np.concatenate(pieces)


@pytest.mark.live
def test_the_source_that_was_asked_for_is_recorded_whatever_the_default(heard_here):
    with heard_here.second("kitchen"):
        heard_here.prefer("mic.monitor")
        source = Microphone("kitchen", sample_rate=RATE)
        try:
            assert recorded_source().name == "kitchen.monitor"
            heard_here.play(tone(500, 3.0), sink="mic")
            heard_here.play(tone(2000, 3.0), sink="kitchen")
            recorded = record(source, 2.5)[-RATE:]
        finally:
            source.close()
        assert dominant_frequency(recorded) == pytest.approx(2000, abs=5)
        spectrum = np.abs(np.fft.rfft(recorded))
        assert spectrum[495:505].max() < 0.01 * spectrum.max()


@pytest.mark.live
def test_a_recording_that_the_server_moves_is_noticed(heard_here, monkeypatch):
    monkeypatch.setattr("streamsed.audio.sound_server.INTERVAL", 0.2)
    with heard_here.second("kitchen"):
        source = Microphone("pulse", sample_rate=RATE)
        notices = []

        def listen_until(said, limit=10.0):
            end = time.monotonic() + limit
            while not any(said in notice for notice in notices):
                assert time.monotonic() < end, notices
                source.read()
                notices.extend(source.notices())
                time.sleep(0.02)

        try:
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                source.read()
                notices.extend(source.notices())
                time.sleep(0.02)
            assert notices == []
            heard_here.move("kitchen.monitor")
            listen_until("the sound server moved the recording from")
        finally:
            source.close()
        assert "kitchen" in notices[-1]


@pytest.mark.live
def test_the_devices_command_lists_the_sources_when_asked(streamsed, mic):
    done = streamsed("devices", "--sources", env=ENVIRONMENT | mic.environment)
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    assert line.startswith("mic.monitor  ")
