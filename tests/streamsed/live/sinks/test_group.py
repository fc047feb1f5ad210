"""Sinks that fail at their end: the others are closed, and each fault is one line."""

import sqlite3

import pytest
from listening import Given, Kept, audio_pieces
from sounds import scene

from streamsed.config import StreamConfig
from streamsed.detector import Detector
from streamsed.live.listener import Listener
from streamsed.live.summary import describe_failure

FAULTS = [
    sqlite3.OperationalError("disk I/O error"),
    ValueError("I/O operation\non closed file"),
    OSError("stale file handle"),
    KeyError(),
]


class FailsAtItsEnd(Kept):
    """A sink of a library that raises exceptions of its own."""

    def __init__(self, step, error):
        super().__init__()
        self.name = f"{step} {type(error).__name__}"
        self.error, self.step = error, step

    def settle(self):
        if self.step == "settle":
            raise self.error

    def close(self):
        super().close()
        if self.step == "close":
            raise self.error


@pytest.fixture(scope="module")
def detector(model):
    return Detector(model, stream=StreamConfig(step=0.5, latency=1.0))


@pytest.mark.parametrize("step", ["settle", "close"])
def test_whatever_sinks_raise_at_their_end_all_are_closed(detector, step):
    failing = [FailsAtItsEnd(step, error) for error in FAULTS]
    last = Kept()
    summary = Listener(
        detector, Given([audio_pieces(scene(3.0))]), [*failing, last]
    ).run()
    assert all(sink.closed for sink in [*failing, last])
    assert last.records[-1]["state"] == "stopped"
    assert not summary.complete
    lines = {name: describe_failure(each) for name, each in summary.failures.items()}
    assert lines == {
        f"{step} OperationalError": "1 failed (disk I/O error)",
        f"{step} ValueError": "1 failed (I/O operation on closed file)",
        f"{step} OSError": "1 failed (stale file handle)",
        f"{step} KeyError": "1 failed (KeyError)",
    }


def test_sinks_are_closed_even_if_the_detector_fails_at_the_end(detector, monkeypatch):
    kept = Kept()
    listener = Listener(detector, Given([audio_pieces(scene(1.0))]), [kept])
    monkeypatch.setattr(detector, "flush_updates", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        listener.run()
    assert kept.closed


def test_a_sink_that_failed_before_is_closed_as_well(detector):
    failed = Kept(OSError("disk full"))
    Listener(detector, Given([audio_pieces(scene(1.0))]), [failed]).run()
    assert failed.closed
