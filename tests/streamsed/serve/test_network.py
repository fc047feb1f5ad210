"""Sources on the network: cameras and radios that stall, die, lie and come back."""

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from listening import bursts
from serving import Camera, Radio, endless_bursts, gaps_between, home_of
from sounds import RATE

from streamsed.serve.settings import SourceSettings
from streamsed.serve.sources import backoff, ffmpeg, opening

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Wait shorter than in a house."""
    monkeypatch.setattr(ffmpeg, "TIMEOUT", 2.0)
    monkeypatch.setattr(opening, "DEADLINE", 3.0)
    monkeypatch.setattr(backoff, "FIRST", 0.2)
    monkeypatch.setattr(backoff, "OPEN", 0.5)


@pytest.fixture
def camera(tmp_path):
    camera = Camera(tmp_path, endless_bursts(120))
    yield camera
    camera.resume()
    camera.stop()


@pytest.fixture
def radio(tmp_path):
    radio = Radio(tmp_path, endless_bursts(20))
    yield radio
    radio.stop()


def lasted(home, name):
    """Seconds of a source's time line beside those of the clock."""
    status = home.status(name)
    return status.listened + status.lost + status.queued


def test_a_camera_is_recorded_sample_for_sample_and_its_stall_and_reboot_are_gaps(
    camera, tmp_path, model
):
    with home_of(tmp_path, model, garden={"url": camera.url}) as home:
        home.wait_until("garden", "running")
        home.wait_for(lambda: len(home.closed("garden")) >= 3)
        dogs = [onset for label, onset in home.closed("garden") if label == "Dog"]
        assert np.abs(gaps_between(dogs) - 2.0).max() < 0.05
        camera.pause()  # half-open: nothing comes, and nothing is closed
        home.wait_until("garden", "waiting", "broken")
        camera.resume()
        camera.stop()
        camera.start()
        home.wait_until("garden", "running")
        home.wait_listened("garden", 3.0)
        home.wait_for(lambda: abs(lasted(home, "garden") - home.service_clock()) < 2.0)
        assert home.status("garden").n_reconnects >= 1
    reasons = [gap["reason"] for gap in home.reported.of("gap")]
    assert "no connection" in reasons
    reported = [record["text"] for record in home.reported.of("notice")]
    assert [text for text in reported if "trying again" in text]
    assert "garden: is back" in reported
    assert "garden: is back" in home.said


def test_packets_that_the_network_loses_are_a_gap_of_their_length(
    camera, tmp_path, model, monkeypatch
):
    monkeypatch.setattr("streamsed.serve.sources.time_line.LATE", 1.0)
    with home_of(tmp_path, model, garden={"url": camera.url}) as home:
        home.wait_until("garden", "running")
        home.wait_listened("garden", 2.0)
        camera.drop(0.6)
        home.wait_for(
            lambda: [
                g for g in home.reported.of("gap") if "network lost" in g["reason"]
            ]
        )
        camera.drop(0.0)
        home.wait_listened("garden", 4.0)
        home.wait_for(lambda: abs(lasted(home, "garden") - home.service_clock()) < 2.0)
        assert home.status("garden").lost > 0.5


def test_a_wrong_password_is_reported_at_once_and_stands_nowhere(tmp_path, model):
    camera = Camera(tmp_path, endless_bursts(10), "viewer", "right")
    url = camera.url.replace("://", "://viewer:hunter2@")
    try:
        with home_of(tmp_path, model, door={"url": url + "?key=hunter3"}) as home:
            home.wait_until("door", "broken")
            assert "wrong user or password" in home.status("door").reason
            said = repr((home.reported.records, home.said, home.service.sources()))
            assert "hunter" not in said
            assert "viewer" not in said
            assert str(camera.port) in said
    finally:
        camera.stop()
    right = Camera(tmp_path, endless_bursts(10), "viewer", "right")
    try:
        url = right.url.replace("://", "://viewer:right@")
        with home_of(tmp_path, model, door={"url": url}) as home:
            home.wait_until("door", "running")
    finally:
        right.stop()


def test_an_error_that_retrying_does_not_mend_is_reported_as_such(
    radio, tmp_path, model
):
    video = tmp_path / "video.avi"
    make = "ffmpeg -nostdin -loglevel error -f lavfi -i testsrc=s=64x64 -t 1 -c:v mjpeg"
    subprocess.run([*make.split(), video], check=True)
    playlist = tmp_path / "list.m3u8"
    secret = tmp_path / "secret.wav"
    write_wav(secret, bursts([("Dog", 0.5, 0.5)], 3))
    playlist.write_text(f"#EXTM3U\n#EXTINF:3,\nfile://{secret}\n#EXT-X-ENDLIST\n")
    sources = {
        "locked": {"url": f"{radio.url}/locked"},
        "nothing": {"url": f"{radio.url}/nothing"},
        "video": {"url": f"{radio.url}/video.avi"},
        "args": {"url": f"{radio.url}/live", "ffmpeg_args": ("-nonsense", "1")},
        "list": {"url": f"{radio.url}/list.m3u8"},
    }
    with home_of(tmp_path, model, **sources) as home:
        for name in sources:
            home.wait_until(name, "broken")
        reasons = {status.name: status.reason for status in home.service.sources()}
        assert "wrong user or password" in reasons["locked"]
        assert "nothing at this path" in reasons["nothing"]
        assert "no audio stream" in reasons["video"]
        assert "ffmpeg_args" in reasons["args"]
        assert home.status("list").listened == 0.0  # no file of ours was read


def write_wav(path, samples):
    import soundfile

    soundfile.write(path, samples, RATE, subtype="PCM_16")


def test_one_that_dies_one_that_is_silent_and_one_that_floods_delay_no_other(
    radio, tmp_path, model
):
    sources = {
        "good": {"url": f"{radio.url}/live"},
        "dies": {"url": f"{radio.url}/dies"},
        "silent": {"url": f"{radio.url}/silent"},
        "flood": {"url": f"{radio.url}/flood"},
    }
    with home_of(tmp_path, model, **sources) as home:
        home.wait_until("good", "running")
        home.wait_listened("good", 1.0)
        lost = home.status("good").lost  # until it was there
        home.wait_for(lambda: len(home.closed("good", "Dog")) >= 4)
        home.wait_for(lambda: home.status("dies").n_reconnects >= 1)
        dogs = [onset for _, onset in home.closed("good", "Dog")]
        assert np.abs(gaps_between(dogs) - 2.0).max() < 0.05
        assert home.status("good").lost == lost
        assert home.status("good").n_reconnects == 0
        assert home.status("silent").listened == 0.0
        flood = home.status("flood")
        assert 0 < flood.listened <= home.service_clock() + opening.RADIO_LEAD + 1


def test_channels_are_mixed_by_their_mean_as_those_of_files_and_microphones_are(
    tmp_path,
):
    """By itself ffmpeg takes √½ of each, so that equal ones are 3 dB louder."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")
    channels = np.random.default_rng(0).uniform(-0.9, 0.9, (RATE, 2))
    soundfile.write(tmp_path / "a.wav", channels, RATE, subtype="FLOAT")
    source = SourceSettings(name="a", url="http://radio/")
    command = ffmpeg.ffmpeg_command(source, sample_rate=RATE, audio_only=True)
    reading = command[command.index("-i") + 2 :]
    run = [command[0], "-loglevel", "error", "-i", tmp_path / "a.wav", *reading]
    mixed = subprocess.run(run, capture_output=True, check=True).stdout
    found = np.frombuffer(mixed, "<f4")
    np.testing.assert_allclose(found, channels.mean(axis=1), rtol=0, atol=1e-6)


def test_an_ffmpeg_that_is_killed_is_started_again_and_none_is_left_over(
    radio, tmp_path, model
):
    with home_of(tmp_path, model, good={"url": f"{radio.url}/live"}) as home:
        home.wait_until("good", "running")
        first = children()
        assert len(first) == 1
        os.kill(first[0], signal.SIGKILL)
        home.wait_for(lambda: home.status("good").n_reconnects == 1)
        assert children() != first
    assert children() == []


def children():
    """Process ids of the ffmpegs that this process runs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            name, _, rest = path.read_text().partition("(")[2].rpartition(")")
            if name == "ffmpeg" and int(rest.split()[1]) == os.getpid():
                found.append(int(path.parent.name))
    return found
