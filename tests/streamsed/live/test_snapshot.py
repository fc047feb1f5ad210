"""Snapshots of a stream: what they hold, that they stay, and what a view makes of them."""

import time
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from listening import Given, Kept, audio_pieces, gap
from sounds import RATE, cut, scene, silence

from streamsed.config import StreamConfig
from streamsed.detector import Detector
from streamsed.events import Event
from streamsed.live import listener as listener_module
from streamsed.live.listener import Listener
from streamsed.live.snapshot import N_EVENTS, History
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.pipeline.trace import Trace

FAST = StreamConfig(step=0.5, latency=1.0)


@pytest.fixture
def detector(model):
    return Detector(model, stream=FAST)


def snapshots_of(detector, reads, monkeypatch):
    monkeypatch.setattr(listener_module, "TICK", 0.0)
    kept, seen = Kept(), []
    Listener(detector, Given(reads, lossless=True), [kept]).run(on_tick=seen.append)
    return seen, kept


def test_the_scores_of_a_snapshot_are_those_of_the_recording_so_far(
    detector, monkeypatch
):
    samples = scene(12)
    reads = [audio_pieces(chunk) for chunk in cut(samples, [RATE // 2] * 30)]
    seen, _ = snapshots_of(detector, reads, monkeypatch)
    assert detector.observer is None  # it watches no longer
    trace = Trace()
    list(detector.events([samples], observer=trace))
    for snapshot in seen:
        n_final = round(snapshot.scores_end / snapshot.frame_duration)
        assert len(snapshot.scores) == n_final  # from the beginning, in so short a time
        due = round((snapshot.now - FAST.latency) / snapshot.frame_duration) - 1
        np.testing.assert_array_equal(
            snapshot.scores[: max(0, due)], trace.scores[: max(0, due)]
        )
    assert seen[-1].now == pytest.approx(len(samples) / RATE)


def test_a_snapshot_does_not_change_when_the_stream_continues(detector, monkeypatch):
    reads = [audio_pieces(chunk) for chunk in cut(scene(9), [RATE] * 9)]
    copies = []
    monkeypatch.setattr(listener_module, "TICK", 0.0)
    listener = Listener(detector, Given(reads, lossless=True), [])
    listener.run(on_tick=lambda s: copies.append((s, s.scores.copy(), list(s.events))))
    assert any(events for _, _, events in copies)
    for snapshot, scores, events in copies:
        np.testing.assert_array_equal(snapshot.scores, scores)
        assert list(snapshot.events) == events
    with pytest.raises(FrozenInstanceError):
        copies[0][0].now = 0.0


def test_the_last_snapshot_has_the_newest_update_of_each_event(detector, monkeypatch):
    reads = [audio_pieces(chunk) for chunk in cut(scene(9), [RATE] * 9)] + [
        audio_pieces(silence(3))
    ]
    seen, kept = snapshots_of(detector, reads, monkeypatch)
    shown = {update.id: update.state for update in seen[-1].events}
    reported = {}
    for record in kept.of("opened", "updated", "closed", "withdrawn"):
        if record["at"] <= seen[-1].now:
            reported[record["id"]] = record["state"]
    at_end = kept.of("closed")[-1]["at"]
    assert shown
    for number, state in shown.items():
        assert reported[number] == state or at_end == seen[-1].now


def test_a_gap_becomes_the_notice(detector, monkeypatch):
    reads = [
        audio_pieces(silence(1)),
        [gap(RATE)],
        audio_pieces(silence(1)),
        audio_pieces(silence(1)),
    ]
    seen, _ = snapshots_of(detector, reads, monkeypatch)
    assert seen[-1].notice.startswith("1.00 s of sound lost: ")
    assert seen[-1].lost == 1.0


def test_a_history_forgets_the_oldest_events():
    history = History(1)
    for number in range(N_EVENTS + 10):
        event = Event("Dog", number, number + 1, 0.9)
        history.on_record({}, EventUpdate("closed", number, event, ongoing=False))
    assert [update.id for update in history.events] == list(range(10, N_EVENTS + 10))


def test_a_snapshot_has_the_picture_of_what_was_pushed_and_the_thresholds(
    detector, monkeypatch
):
    reads = [audio_pieces(silence(1)) for _ in range(4)]
    seen, _ = snapshots_of(detector, reads, monkeypatch)
    last = seen[-1]
    frontend = detector.model.info.frontend
    assert last.column_duration == 4 * frontend.hop_length / frontend.sample_rate
    shown = last.picture_end * last.column_duration
    assert last.now - 0.2 < shown <= last.now
    assert len(last.picture) == last.picture_end
    assert not last.picture.any()  # silence is level 0
    expected = detector.post.per_label("onset_threshold", last.labels)
    assert last.thresholds == tuple(expected)


def test_nobody_who_watches_costs_nothing(detector):
    Listener(detector, Given([audio_pieces(silence(1))]), []).run()
    assert detector.observer is None


class Failing(Kept):
    def failures(self):
        return {"failed": 3, "reason": "disk full"}


def test_a_snapshot_has_what_was_asked_for_when_it_began_and_what_failed(
    detector, monkeypatch
):
    monkeypatch.setattr(listener_module, "TICK", 0.0)
    seen, before = [], time.time()
    reads = [audio_pieces(silence(1)), audio_pieces(silence(1))]
    source = Given(reads, lossless=True)
    listener = Listener(detector, source, [Failing()], only=["Dog"])
    listener.run(on_tick=seen.append)
    assert seen[-1].reported == ("Dog",)
    assert seen[-1].failures == {"Failing": {"failed": 3, "reason": "disk full"}}
    assert before - 2 <= seen[-1].origin <= time.time()
