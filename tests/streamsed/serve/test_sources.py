"""The parts that sources are read with: programs, their words, blocks and waits."""

import random
import struct
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from serving import wait_for

from streamsed.audio.pcm import PcmDecoder
from streamsed.audio.source import Piece
from streamsed.serve.settings import SourceSettings
from streamsed.serve.sources import ffmpeg, opening
from streamsed.serve.sources.address import redacted, scrubbed
from streamsed.serve.sources.backoff import FIRST, JITTER, LONGEST, Backoff
from streamsed.serve.sources.captured import (
    MISSING,
    NOTICE,
    SAMPLES,
    TROUBLE,
    BlockDecoder,
    encoded,
)
from streamsed.serve.sources.child import MAX_STDERR, Child
from streamsed.serve.sources.pcm_feed import PcmPieces
from streamsed.serve.sources.supervised import SupervisedSource, Unavailable


def child_of(code):
    return Child([sys.executable, "-c", code], deadline=10.0, burst=0.0)


def read_all(child):
    data, end = b"", time.monotonic() + 60
    while (more := child.read(0.1)) is not None:
        assert time.monotonic() < end
        data += more
    return data


def test_a_program_is_read_to_its_end_and_its_words_are_kept():
    child = child_of("import sys; print('sound'); sys.stderr.write('words')")
    assert read_all(child) == b"sound\n"
    assert child.stop(grace=1.0) == "words"


def test_a_program_that_complains_without_end_fills_no_memory_and_does_not_block():
    lines = "import sys\nfor i in range(20000): sys.stderr.write(f'line {i}\\n')\nprint('on')"
    child = child_of(lines)
    assert read_all(child) == b"on\n"
    said = child.stop(grace=1.0)
    assert len(said) <= 2 * MAX_STDERR
    assert said.startswith("line 0\n")
    assert said.endswith("line 19999\n")


def is_alive(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_a_program_that_heeds_nothing_is_killed_with_all_that_it_started():
    code = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(grandchild.pid, flush=True)
time.sleep(600)
"""
    child = child_of(code)
    said = wait_for(lambda: child.read(0.1))
    grandchild = int(said)
    assert is_alive(grandchild)
    child.stop(grace=0.2)
    wait_for(lambda: not is_alive(grandchild))


def open_pipes():
    """The pipes that this process has, each by a number that it alone has."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.add(str(descriptor.readlink()))
    return {name for name in found if name.startswith("pipe:")}


def test_a_program_that_does_not_exist_leaves_nothing_open():
    before = open_pipes()
    with pytest.raises(FileNotFoundError):
        Child(["/nope"], deadline=1.0, burst=0.0)
    assert open_pipes() <= before  # what other tests left may be closed meanwhile


class OnePipe:
    """Standard input: what was read of it is gone, whoever opens it again."""

    idle_after = deadline = start_limit = float("inf")
    burst = rest = 0.0
    again = False

    def __init__(self, data):
        self.data = data

    def read(self, timeout):
        time.sleep(0 if self.data else timeout)
        given, self.data = self.data[:1000], self.data[1000:]
        return given

    def stop(self, **_):
        return ""


def test_the_rest_of_a_file_on_standard_input_is_not_taken_for_samples(
    monkeypatch, tmp_path
):
    soundfile.write(tmp_path / "a.wav", np.zeros(2000), 44100)
    pipe = OnePipe((tmp_path / "a.wav").read_bytes())
    monkeypatch.setattr(opening, "PipeFeed", lambda _: pipe)
    monkeypatch.setattr(Backoff, "failed", lambda *_, **__: 0.0)
    source = opening.open_source(
        SourceSettings("door", url="stdin:"), sample_rate=44100
    )
    wait_for(lambda: not pipe.data)
    time.sleep(0.3)
    source.close()
    said = " ".join(source.notices())
    assert said.startswith("standard input: this is WAV, not raw PCM")
    assert "is back" not in said
    assert source.last_audio == float("-inf")


class BrokenFeed:
    """A feed of silence that raises an exception after a while."""

    idle_after = deadline = start_limit = float("inf")
    burst = rest = 0.0
    again = False

    def __init__(self, error):
        self.error, self.n_reads, self.is_stopped = error, 0, False

    def read(self, _):
        self.n_reads += 1
        if self.n_reads > 3:
            raise self.error
        return bytes(4 * 441)

    def stop(self, **_):
        self.is_stopped = True
        return ""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(5, "Input/output error"), "Input/output error"),
        (RuntimeError("lost\nsync"), "lost sync"),
        (struct.error(), "error"),
    ],
)
def test_a_feed_that_breaks_in_any_way_is_opened_again(monkeypatch, error, reason):
    monkeypatch.setattr(Backoff, "failed", lambda *_, **__: 0.01)
    feeds = []

    def open_feed(_):
        feeds.append(BrokenFeed(error))
        pcm = PcmDecoder(44100, 1, "f32", sample_rate=44100)
        return feeds[-1], PcmPieces(pcm)

    source = SupervisedSource(
        "a", open_feed, explain=lambda _: ("", False), sample_rate=44100
    )
    wait_for(lambda: len(feeds) >= 3)
    source.close()
    assert all(feed.is_stopped for feed in feeds[:2])
    assert source.notices()[0] == f"{reason}; trying again"


def test_an_ffmpeg_that_does_not_answer_in_time_is_tried_again(monkeypatch):
    monkeypatch.setattr(Backoff, "failed", lambda *_, **__: 0.01)
    n_attempts = 0

    def open_feed(_):
        nonlocal n_attempts
        n_attempts += 1
        raise subprocess.TimeoutExpired(["ffmpeg", "-version"], 30)

    source = SupervisedSource(
        "a", open_feed, explain=lambda _: ("", False), sample_rate=44100
    )
    wait_for(lambda: n_attempts >= 3)
    source.close()
    assert "timed out after 30 seconds" in source.notices()[0]


def command_for(url, **settings):
    source = SourceSettings(name="a", url=url, **settings)
    return ffmpeg.ffmpeg_command(source, sample_rate=44100, audio_only=True)


@pytest.fixture
def ffmpeg_of(monkeypatch):
    def install(version):
        monkeypatch.setattr(ffmpeg.shutil, "which", lambda _: "/bin/ffmpeg")
        monkeypatch.setattr(ffmpeg, "ffmpeg_version", lambda _: version)

    return install


@pytest.mark.parametrize(("version", "option"), [(4, "-stimeout"), (7, "-timeout")])
def test_ffmpeg_is_given_its_versions_time_out(ffmpeg_of, version, option):
    ffmpeg_of(version)
    command = command_for("rtsp://camera/one")
    assert command[command.index(option) + 1] == "10000000"
    assert "-nostdin" in command
    assert "-vn" in command
    assert command[command.index("-allowed_media_types") + 1] == "audio"


def test_ffmpeg_may_speak_what_an_address_needs_and_read_no_file(ffmpeg_of):
    ffmpeg_of(7)
    for url in ("rtsp://a/", "rtsps://a/", "http://a/", "https://a/"):
        command = command_for(url)
        allowed = command[command.index("-protocol_whitelist") + 1].split(",")
        assert url.split(":")[0] in allowed
        assert not {"file", "pipe", "concat", "data", "unix"} & set(allowed)


def test_a_sources_own_arguments_come_last_before_its_address(ffmpeg_of):
    ffmpeg_of(7)
    command = command_for(
        "rtsp://a/", ffmpeg_args=("-rtsp_transport", "udp"), channel=2
    )
    at = command.index("-i")
    assert command[at - 2 : at] == ["-rtsp_transport", "udp"]
    assert "pan=mono|c0=c1" in command


def test_without_ffmpeg_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(ffmpeg.shutil, "which", lambda _: None)
    with pytest.raises(FileNotFoundError, match="apt install ffmpeg"):
        command_for("rtsp://a/")


def test_the_words_of_ffmpeg_are_reported_without_its_addresses_in_memory():
    words = "[tcp @ 0x55d0c0ffee] Connection to tcp://a:1 failed: No route to host\n"
    why, permanent = ffmpeg.explain_ending(words)
    assert why == "ffmpeg: Connection to tcp://a:1 failed: No route to host"
    assert not permanent
    assert ffmpeg.explain_ending("") == ("the stream ended", False)


SECRET = st.text("abcXYZ019-_.!~*'()$&+,;=", min_size=3, max_size=12)


@given(SECRET, SECRET, SECRET)
def test_no_credential_is_left_in_what_people_see(user, password, key):
    url = f"rtsp://{user}:{password}@camera.local:554/path?token={key}"
    words = f"{url}: 401\nuser '{user}' with '{password}' or token={key}"
    for seen in (redacted(url), scrubbed(words, url)):
        assert f"{user}:{password}" not in seen
        assert f"token={key}" not in seen
    assert redacted(url).startswith("rtsp://camera.local:554/path")
    assert f"'{password}'" not in scrubbed(words, url)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([SAMPLES, MISSING, TROUBLE, NOTICE]),
            st.integers(0, 50),
            st.text("aé…", max_size=5),
        ),
        max_size=10,
    ),
    st.lists(st.integers(1, 40), max_size=20),
)
def test_blocks_come_out_as_they_went_in_wherever_they_are_cut(blocks, cuts):
    data, pieces, notices, trouble = b"", [], [], ""
    for kind, n_samples, text in blocks:
        samples = np.arange(n_samples, dtype=np.float32)
        body = samples.tobytes() if kind == SAMPLES else b""
        data += encoded(kind, n_samples, 0.5, text, body)
        if kind in (SAMPLES, MISSING):
            pieces.append((text, samples if kind == SAMPLES else 0 * samples))
            trouble = ""
        elif kind == TROUBLE:
            trouble = text
        else:
            notices.append(text)
    decoder, given_pieces = BlockDecoder(), []
    for size in [*cuts, len(data)]:
        given_pieces += decoder.push(data[:size])
        data = data[size:]
    assert [piece.missing for piece in given_pieces] == [text for text, _ in pieces]
    for piece, (_, samples) in zip(given_pieces, pieces, strict=True):
        assert np.array_equal(piece.samples, samples)
    assert (decoder.notices, decoder.trouble) == (notices, trouble)


@pytest.mark.parametrize("data", [b"\xff" * 20, b"\x00\xff\xff\xff\xff" + b"\x00" * 9])
def test_what_is_no_block_is_refused(data):
    with pytest.raises(ValueError, match="invalid data"):
        BlockDecoder().push(data)


@given(
    st.lists(st.tuples(st.floats(0, 100), st.booleans()), min_size=1, max_size=60),
    st.integers(0, 1000),
)
def test_waits_grow_within_bounds_and_start_again_with_what_lasted(ends, seed):
    backoff = Backoff(random.Random(seed))
    for lasted, permanent in ends:
        wait = backoff.failed(lasted=lasted, permanent=permanent)
        assert FIRST * (1 - JITTER) <= wait <= LONGEST * (1 + JITTER)
        assert not permanent or wait >= LONGEST * (1 - JITTER)
    assert backoff.failed(lasted=30.0) <= FIRST * (1 + JITTER)
    assert not backoff.broken


def silence_of(n_samples):
    return Piece(np.zeros(n_samples, np.float32))


class Tap:
    """A feed, and its decoder, that gives a hundred samples at each read."""

    idle_after = deadline = start_limit = float("inf")
    burst = float("inf")
    rest = 0.0
    again = True
    trouble = ""

    def __init__(self, n_reads):
        self.left, self.notices, self.stopped = n_reads, [], False

    def read(self, _):
        self.left -= 1
        time.sleep(0.001)
        return b"x" if self.left >= 0 else None

    def push(self, _):
        return [silence_of(100)]

    def stop(self, **_):
        self.stopped = True
        return "no more"


def supervised(open_feed, **how):
    return SupervisedSource(
        "a",
        open_feed,
        explain=lambda words: (words, False),
        sample_rate=1000,
        **how,
    )


def test_a_feed_that_ends_is_opened_again_and_reported_once(monkeypatch):
    monkeypatch.setattr("streamsed.serve.sources.backoff.FIRST", 0.01)
    monkeypatch.setattr("streamsed.serve.sources.backoff.OPEN", 0.01)
    taps = []

    def open_feed(_):
        taps.append(Tap(5))
        return taps[-1], taps[-1]

    source, notices = supervised(open_feed), []
    wait_for(lambda: len(taps) > 5)
    wait_for(lambda: notices.extend(source.notices()) or len(notices) >= 2)
    source.close()
    notices += source.notices()
    assert notices == ["no more; trying again", "is back"]
    assert all(tap.stopped for tap in taps)
    assert source.n_reconnects >= 5
    assert source.state == "stopped"


def test_what_cannot_be_opened_is_broken_if_that_is_for_good():
    def open_feed(_):
        raise Unavailable("there is no ffmpeg", permanent=True)

    source = supervised(open_feed)
    wait_for(lambda: source.state == "broken")
    assert source.reason == "there is no ffmpeg"
    wait_for(lambda: sum(len(p.samples) for p in source.read()) > 0)
    source.close()


def test_sound_that_cannot_be_is_a_reason_to_try_again():
    class Nonsense(Tap):
        def push(self, _):
            raise ValueError("it holds nan")

    tap = Nonsense(5)
    source = supervised(lambda _: (tap, tap))
    wait_for(lambda: source.state == "waiting")
    assert source.reason == "it holds nan"
    assert tap.stopped
    source.close()


def test_a_feed_that_gives_nothing_is_stopped_at_its_deadline():
    class Silent(Tap):
        start_limit = 0.2

        def read(self, _):
            time.sleep(0.01)
            return b""

    tap = Silent(0)
    source = supervised(lambda _: (tap, tap))
    wait_for(lambda: source.state == "waiting")
    assert source.reason.startswith("no data for")
    assert tap.stopped
    source.close()
