import time

import numpy as np
import pytest
from sounds import RATE, tone

from streamsed.audio.microphone import Microphone

pytestmark = pytest.mark.live


def noise(seconds, seed=0):
    """Sound without a zero sample, so that silence and gaps differ."""
    rng = np.random.default_rng(seed)
    samples = rng.uniform(0.1, 0.5, round(seconds * RATE)) * rng.choice([-1, 1])
    return samples.astype(np.float32)


class Recorder:
    """Read a microphone for a while, at the pace of a program that has time."""

    def __init__(self, source):
        self.source = source
        self.pieces, self.notices = [], []
        self.reached = []  # when, and how long all sound was by then

    def listen(self, until, *, limit=15.0):
        end = time.monotonic() + limit
        while not until():
            assert time.monotonic() < end, f"waited in vain: {self.notices}"
            self.pieces += self.source.read()
            now = time.monotonic()
            self.reached.append((now, sum(len(p.samples) for p in self.pieces) / RATE))
            self.notices += [(now, text) for text in self.source.notices()]
            time.sleep(0.02)

    def listen_for(self, seconds):
        end = time.monotonic() + seconds
        self.listen(lambda: time.monotonic() >= end, limit=seconds + 1)

    def ahead(self, first, last):
        """Seconds by which the sound was ahead of the clock, in the middle of some."""
        between = [each for each in self.reached if first <= each[0] <= last]
        return np.median([length - when for when, length in between])

    @property
    def samples(self):
        return np.concatenate([piece.samples for piece in self.pieces])

    @property
    def lost(self):
        return sum(len(piece.samples) for piece in self.pieces if piece.missing) / RATE

    def said(self, word):
        return [when for when, text in self.notices if word in text]


@pytest.fixture
def open_microphone(heard_here):
    opened = []

    def open_it(wanted="pulse", rate=RATE, **options):
        source = Microphone(wanted, sample_rate=rate, **options)
        opened.append(source)
        recorder = Recorder(source)
        recorder.listen(lambda: recorder.pieces)
        return recorder

    yield open_it
    for source in opened:
        source.close()


def nonzero(samples):
    """Cut silence off both ends."""
    positions = np.flatnonzero(samples)
    return samples[positions[0] : positions[-1] + 1]


@pytest.mark.parametrize(
    "options", [{}, {"block_size": 4410}, {"block_size": 441, "channel": 1}], ids=str
)
def test_what_is_played_is_recorded_sample_for_sample(
    heard_here, open_microphone, options
):
    played = noise(1.0)
    recorder = open_microphone(**options)
    heard_here.play(played)
    recorder.listen_for(2.0)
    assert np.array_equal(nonzero(recorder.samples), played)
    assert recorder.lost == 0
    assert recorder.notices == []


def test_a_channel_that_does_not_exist_is_named(heard_here):
    with pytest.raises(
        ValueError, match=r"--channel must be from 1 to 32 for pulse, not 99"
    ):
        Microphone("pulse", sample_rate=RATE, channel=99)


@pytest.mark.parametrize("rate", [RATE, 16000])
def test_who_waits_is_woken_when_the_samples_are_there(open_microphone, rate):
    recorder = open_microphone(rate=rate)
    for n_samples in [round(0.1 * rate)] * 10:
        recorder.source.read()
        start = time.monotonic()
        recorder.source.wait(n_samples, 30.0)
        assert time.monotonic() - start < 15.0
        recorded = sum(len(piece.samples) for piece in recorder.source.read())
        assert recorded >= 0.9 * n_samples  # the resampler holds some back


def test_who_waits_for_a_lost_device_waits_no_longer_than_allowed(open_microphone):
    source = open_microphone().source
    source.close()
    start = time.monotonic()
    source.wait(RATE, 0.1)
    assert 0.1 <= time.monotonic() - start < 15.0


def test_a_program_that_stood_still_loses_nothing(heard_here, open_microphone):
    played = noise(4.0)
    recorder = open_microphone()
    player = heard_here.play(played)
    recorder.listen_for(0.5)
    time.sleep(3.2)  # nobody reads: a model that takes long, a machine that swaps
    recorder.listen_for(1.5)
    player.wait()
    assert np.array_equal(nonzero(recorder.samples), played)
    assert recorder.notices == []


def test_only_zeros_are_named_once_and_their_end_too(heard_here, open_microphone):
    recorder = open_microphone()
    start = time.monotonic()
    recorder.listen(lambda: recorder.notices)
    assert 4.5 < time.monotonic() - start < 20
    assert recorder.notices[0][1] == (
        "pulse sends only zeros; is it muted or unplugged, or is access denied?"
    )
    heard_here.play(noise(0.3))
    recorder.listen(lambda: len(recorder.notices) > 1)
    recorder.listen_for(0.3)
    assert [text for _, text in recorder.notices[1:]] == ["pulse sends sound again"]


def test_a_lost_device_is_reported_marked_and_comes_back(heard_here, open_microphone):
    recorder = open_microphone()
    start = time.monotonic()
    heard_here.play(noise(60.0))
    recorder.listen_for(1.0)
    pulled = time.monotonic()
    heard_here.unload()
    recorder.listen(lambda: recorder.said("lost"))
    (reported,) = recorder.said("lost")
    assert reported - pulled < 15.0  # 2 s on an idle machine
    recorder.listen_for(1.0)
    back = time.monotonic()
    heard_here.load()
    recorder.listen(lambda: recorder.said("back"))
    played = noise(0.5, seed=1)
    heard_here.play(played)
    again = time.monotonic()
    recorder.listen_for(1.5)
    ahead = recorder.ahead(again, time.monotonic())
    assert ahead == pytest.approx(recorder.ahead(start, pulled), abs=0.05)
    assert recorder.lost > back - pulled
    assert np.array_equal(nonzero(recorder.samples)[-len(played) :], played)
    missing = [bool(piece.missing) for piece in recorder.pieces]
    assert np.flatnonzero(np.diff(missing)).size == 2  # one gap, and it ends
    reasons = {piece.missing for piece in recorder.pieces if piece.missing}
    assert reasons == {"the device was lost"}


def test_another_rate_is_resampled_without_a_seam(heard_here, open_microphone):
    recorder = open_microphone(rate=16000)
    heard_here.play(tone(440, 1.5))
    recorder.listen_for(2.3)
    recorded = nonzero(np.round(recorder.samples, 4))
    assert len(recorded) / 16000 == pytest.approx(1.5, abs=0.01)
    inside = recorded[800:-800].astype(float)
    time_line = 2 * np.pi * 440 * np.arange(len(inside)) / 16000
    waves = np.stack([np.sin(time_line), np.cos(time_line)], axis=1)
    fitted, *_ = np.linalg.lstsq(waves, inside, rcond=None)
    assert np.hypot(*fitted) == pytest.approx(0.5, abs=0.01)
    assert np.abs(inside - waves @ fitted).max() < 1e-3
