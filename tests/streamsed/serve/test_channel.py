"""One source with its detector: runs, gaps, quiet hours and statuses, without a network."""

from datetime import datetime

import numpy as np
import pytest
from listening import bursts
from serving import BARKS, KeptRecords, Played, visit_all
from sounds import silence

from streamsed.config import StreamConfig
from streamsed.detector import Detector
from streamsed.serve.channels import channel as channel_module
from streamsed.serve.channels.channel import Channel
from streamsed.serve.fan_out import FanOut
from streamsed.serve.settings import Hours, SourceSettings


@pytest.fixture
def reported():
    return KeptRecords()


@pytest.fixture
def channel_of(model, reported):
    def make(**settings):
        source = Played()
        stream = StreamConfig(step=1.0, latency=1.0, settle=10.0)
        how = {"now": settings.pop("now")} if "now" in settings else {}
        settings = SourceSettings(name="kitchen", url="file:///x", **settings)
        detector = Detector(model, stream=stream)
        return Channel(settings, detector, source, FanOut([reported]), **how), source

    return make


def closed(reported):
    """Events that closed as (label, onset, run)."""
    return [(r["label"], round(r["onset"]), r["run"]) for r in reported.of("closed")]


def test_the_records_are_those_of_listen_with_the_name_of_the_source(
    channel_of, reported
):
    channel, source = channel_of()
    source.give(bursts(BARKS, 12))
    visit_all(channel, source)
    channel.end()
    assert {record["source"] for record in reported.records} == {"kitchen"}
    [started] = reported.of("started")
    assert started["address"] == "file:///x"
    assert [event[:2] for event in closed(reported)] == [
        ("Dog", 1),
        ("Speech", 5),
        ("Dog", 9),
    ]
    first = reported.of("closed")[0]["id"]
    lived = [r["state"] for r in reported.records if r.get("id") == first]
    assert (lived[0], lived[-1]) == ("opened", "closed")
    assert reported.records[-1]["state"] == "stopped"
    assert reported.records[-1]["heard"] == 12.0


def test_a_short_gap_stays_within_a_run(channel_of, reported):
    channel, source = channel_of()
    source.give(bursts(BARKS, 12))
    source.give(silence(4), missing="no connection")
    source.give(bursts(BARKS, 12))
    visit_all(channel, source)
    channel.end()
    [gap] = reported.of("gap")
    assert (gap["onset"], gap["offset"], gap["reason"]) == (12.0, 16.0, "no connection")
    assert len({record["run"] for record in reported.records}) == 1
    onsets = [onset for _, onset, _ in closed(reported)]
    assert {1, 5, 9, 17, 21, 25} <= set(onsets)


def test_a_long_gap_ends_a_run_and_is_as_long_as_it_was(channel_of, reported):
    channel, source = channel_of()
    source.give(
        bursts([*BARKS, ("Speech", 10.5, 1.5)], 12)
    )  # one is lost with the sound
    source.give(silence(60), missing="no connection")
    visit_all(channel, source)
    assert len(closed(reported)) == 4  # not only when sound comes again
    assert channel.status().lost == 60.0
    source.give(bursts(BARKS, 12))
    visit_all(channel, source)
    channel.end()
    first, second = [record["run"] for record in reported.of("started")]
    [gap] = reported.of("gap")
    assert (gap["run"], gap["onset"], gap["offset"]) == (first, 12.0, 72.0)
    assert [run for _, _, run in closed(reported)] == 4 * [first] + 3 * [second]
    stopped = [(r["run"], r["heard"], r["lost"]) for r in reported.of("stopped")]
    assert stopped == [(first, 12.0, 60.0), (second, 12.0, 0.0)]
    assert channel.status().listened == 24.0


def test_a_gap_is_hardly_scored(channel_of, model, monkeypatch):
    channel, source = channel_of()
    n_scored = 0
    score = model.score

    def counted(features):
        nonlocal n_scored
        n_scored += 1
        return score(features)

    monkeypatch.setattr(model, "score", counted)
    source.give(silence(300), missing="no connection")
    visit_all(channel, source)
    assert n_scored <= 12


def test_nothing_is_detected_in_quiet_hours(channel_of, reported):
    clock = datetime(2026, 11, 26, 23, 0)
    quiet = (Hours.parse("22:00-06:00"),)
    channel, source = channel_of(quiet_hours=quiet, now=lambda: clock)
    source.give(bursts(BARKS, 20))
    visit_all(channel, source)
    assert channel.status().state == "quiet"
    clock = datetime(2026, 11, 27, 6, 0)
    source.give(bursts(BARKS, 12))
    visit_all(channel, source)
    channel.end()
    assert len(closed(reported)) == 3
    [gap] = reported.of("gap")
    assert (gap["offset"], gap["reason"]) == (20.0, "quiet hours")


def test_a_status_is_reported_when_it_changes_and_before_the_end(channel_of, reported):
    channel, source = channel_of()
    source.give(silence(2) + np.float32(0.1))
    visit_all(channel, source)
    source.state, source.reason = "waiting", "no route"
    channel.visit()
    channel.arm(armed=False)
    channel.arm(armed=False)
    channel.end()
    statuses = [(r["status"], r["reason"], r["armed"]) for r in reported.of("status")]
    assert statuses == [
        ("running", "", True),
        ("waiting", "no route", True),
        ("waiting", "no route", False),
        ("stopped", "no route", False),
    ]
    assert reported.of("status")[-1]["heard"] == 2.0
    assert reported.of("status")[1]["level"] == -20.0
    assert source.closed


def test_what_a_source_says_is_reported_with_its_name(channel_of, reported):
    channel, source = channel_of()
    source.queued.append("it is muted")
    channel.visit()
    assert reported.of("notice")[0]["text"] == "kitchen: it is muted"


def test_a_recording_ends_its_source(channel_of, reported):
    channel, source = channel_of()
    source.give(bursts(BARKS[:1], 4))
    source.state = "ended"
    visit_all(channel, source)
    channel.visit()
    assert len(reported.of("stopped")) == 1
    assert len(closed(reported)) == 1
    assert channel.status().state == "ended"
    assert channel.status().listened == 4.0


def test_a_visit_that_failed_begins_a_new_run(channel_of, reported, monkeypatch):
    channel, source = channel_of()
    source.give(silence(3))
    visit_all(channel, source)
    monkeypatch.setattr(channel._detector, "flush_updates", lambda: 1 / 0)
    channel.recover("it broke")
    monkeypatch.undo()
    source.give(bursts(BARKS, 12))
    visit_all(channel, source)
    channel.end()
    assert len({r["run"] for r in reported.of("started")}) == 2
    assert len(closed(reported)) == 3


def test_a_source_whose_visits_always_fail_is_restarted_less_and_less_often(
    channel_of, reported, monkeypatch
):
    channel, source = channel_of()
    clock = 0.0
    monkeypatch.setattr(channel_module.time, "monotonic", lambda: clock)
    monkeypatch.setattr(channel._detector, "push_updates", lambda *_, **__: 1 / 0)
    for _ in range(4 * 3600):
        source.give(silence(0.25))
        try:
            channel.visit()
        except ZeroDivisionError:
            channel.recover("it broke")
        source.next.clear()
        clock += 0.25
    runs = len(reported.of("started"))
    assert 3600 / 120 < runs < 3600 / 60
    monkeypatch.undo()
    channel.end()
