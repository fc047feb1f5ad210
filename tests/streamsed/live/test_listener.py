import json
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from listening import Given, Kept, audio_pieces, gap
from sounds import RATE, cut, scene, silence

from streamsed.audio.playback import FileSource
from streamsed.config import FrontendConfig, PostConfig, StreamConfig
from streamsed.detector import Detector
from streamsed.live.auto_step import MAX_LOAD, MIN_STEP, shortest_step
from streamsed.live.listener import Listener
from streamsed.live.sinks.json_lines import JsonLines
from streamsed.live.summary import Summary
from streamsed.pipeline.tracker import EventTracker

FULL = Path("/dev/full")


@pytest.fixture(scope="module")
def detector(model):
    return Detector(model, stream=StreamConfig(step=0.5, latency=1.0))


def listen(detector, reads, *sinks, only=(), duration=None, **options):
    kept = Kept()
    source = Given(reads, **options)
    listener = Listener(detector, source, [kept, *sinks], only=only)
    summary = listener.run(duration=duration)
    assert source.closed
    assert kept.closed
    assert kept.records[0]["state"] == "started"
    last = kept.records[-1]
    expected = {
        "at": round(listener.stream.n_samples / RATE, 3),
        "run": listener.run_id,
        "time": kept.records[-1]["time"],
        "state": "stopped",
        **summary.to_dict(),
    }
    for record in kept.records:
        assert record["run"] == listener.run_id
        assert datetime.fromisoformat(record["time"]).tzinfo is not None
    failures = last.pop("failures", {}), expected.pop("failures", {})
    assert failures[0].keys() == failures[1].keys()  # and some fail on until the end
    assert last == expected
    return kept, summary


def closed_events(kept):
    keys = ("label", "onset", "offset", "score")
    return [tuple(record[key] for key in keys) for record in kept.of("closed")]


@settings(max_examples=10)
@given(st.lists(st.integers(0, 40_000), max_size=12))
def test_what_is_reported_is_what_the_detector_finds(detector, sizes):
    samples = scene(6.0, seed=2)
    reads = [[piece] for piece in audio_pieces(samples, sizes)]
    kept, summary = listen(detector, reads, lossless=True)
    events = list(detector.events([samples]))
    rounded = [
        (e.label, round(e.onset, 6), round(e.offset, 6), round(e.score, 6))
        for e in events
    ]
    assert closed_events(kept) == rounded
    assert sum(summary.events.values()) == len(events) > 0
    assert summary.listened == 6.0
    assert summary.lost == 0
    assert np.array_equal(np.concatenate(kept.samples), samples)


def test_a_source_that_fails_to_close_does_not_leave_events_open(detector):
    class Stuck(Given):
        def close(self):
            raise OSError("the device is stuck")

    kept = Kept()
    reads = [[piece] for piece in audio_pieces(scene(6.0, seed=2), [])]
    with pytest.raises(OSError, match="stuck"):
        Listener(detector, Stuck(reads, lossless=True), [kept]).run()
    assert kept.closed
    assert kept.records[-1]["state"] == "stopped"
    assert len(closed_events(kept)) == sum(kept.records[-1]["events"].values()) > 0


def test_a_gap_is_reported_exact_to_the_sample_and_times_stay_true(detector):
    samples = scene(8.0, seed=3)
    first, last = 2 * RATE + 17, 3 * RATE + 101
    holed = samples.copy()
    holed[first:last] = 0
    reads = [
        audio_pieces(samples[:first]),
        [gap(1000), gap(last - first - 1000)],
        audio_pieces(samples[last:]),
    ]
    kept, summary = listen(detector, reads)
    (record,) = kept.of("gap")
    assert record["reason"] == "the device was lost"
    assert round(record["onset"] * RATE) == first
    assert round(record["offset"] * RATE) == last
    assert summary.n_lost == last - first
    assert summary.n_listened + summary.n_lost == len(samples)
    onsets = [round(e.onset, 6) for e in detector.events([holed])]
    assert [record["onset"] for record in kept.of("closed")] == onsets


def test_gaps_of_different_reasons_are_distinguished(detector):
    reads = [[gap(100), gap(200, "the driver overflowed"), *audio_pieces(silence(0.1))]]
    kept, _ = listen(detector, reads)
    spans = [(r["onset"], r["offset"], r["reason"]) for r in kept.of("gap")]
    a, b = round(100 / RATE, 6), round(300 / RATE, 6)
    assert spans == [(0, a, "the device was lost"), (a, b, "the driver overflowed")]


@pytest.mark.parametrize("duration", [0.00003, 1.0, 1.23456, 2.5])
def test_a_duration_is_exact_to_the_sample(detector, duration):
    rest = [[piece, gap(50)] for piece in audio_pieces(silence(4.0), [12_345] * 9)]
    kept, summary = listen(detector, rest, duration=duration)
    assert round((summary.listened + summary.lost) * RATE) == round(duration * RATE)
    assert all(record["onset"] < record["offset"] for record in kept.of("gap"))


def test_a_duration_that_ends_where_a_gap_begins_has_no_gap(detector):
    reads = [[*audio_pieces(silence(1.0)), gap(500)]]
    kept, summary = listen(detector, reads, duration=1.0)
    assert kept.of("gap") == []
    assert summary.lost == 0


def test_only_a_source_that_cannot_wait_is_hurried(detector):
    samples = scene(24.0, seed=4)
    reads = [audio_pieces(chunk) for chunk in cut(samples, [6 * RATE] * 4)]
    _, patient = listen(detector, reads, lossless=True)
    assert patient.n_skipped == 0
    _, hurried = listen(detector, reads)
    assert hurried.n_skipped > 20
    assert abs(sum(hurried.events.values()) - sum(patient.events.values())) <= 2


def test_a_source_is_waited_for_until_the_next_score_frame_is_complete(detector):
    waits = []

    class Waiting(Given):
        def wait(self, n_samples, timeout):
            assert 0 < timeout <= 0.25
            waits.append((detector.n_due, n_samples))

    reads = [audio_pieces(chunk) for chunk in cut(scene(4.0), [1000] * 100)]
    Listener(detector, Waiting(reads), []).run()
    assert len(waits) == len(reads)
    assert all(due == asked for due, asked in waits)
    assert len({asked for _, asked in waits}) > 10


class Views:
    def __init__(self):
        self.n_views = 0

    def add_frames(self, frames):
        pass

    def add_scores(self, final):
        self.n_views += len(final)
        assert (final.scores > 0).all()  # a frame that nobody saw would be exactly 0


@pytest.mark.parametrize("chunk", [30 * RATE, 7 * RATE + 1, 60 * RATE])
def test_in_a_hurry_no_frame_is_left_unseen(detector, chunk):
    detector.observer = views = Views()
    listen(detector, [audio_pieces(piece) for piece in cut(scene(60.0), [chunk] * 8)])
    detector.observer = None
    assert views.n_views == -(-60 * RATE // (8 * 431)) or views.n_views == 768


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_full_disk_is_reported_and_does_not_end_the_listening(detector, tmp_path):
    with FULL.open("wb", buffering=0) as full:
        log = JsonLines(full.fileno())
        kept, summary = listen(detector, [audio_pieces(scene(3.0))], log)
    (notice,) = kept.of("notice")
    assert notice["text"].startswith("output: cannot be written")
    assert "space" in notice["text"]
    assert summary.listened == 3.0
    assert kept.of("closed")


def test_sinks_that_fail_together_are_left_out_one_by_one(detector):
    sinks = [Kept(OSError("disk full")), Kept(OSError("cable cut")), Kept()]
    kept, _ = listen(detector, [audio_pieces(scene(3.0))], *sinks)
    assert len(kept.of("notice")) == 2
    assert sinks[2].of("closed") == kept.of("closed") != []


def test_a_reader_who_left_ends_it(detector):
    reads = [audio_pieces(piece) for piece in cut(scene(30.0), [RATE] * 30)]
    _, summary = listen(detector, reads, Kept(BrokenPipeError()))
    assert summary.listened < 5


def test_notices_of_source_and_sinks_are_reported_once(detector):
    own = Kept(own_notices=["clips: 1 left out"])
    kept, _ = listen(
        detector, [audio_pieces(silence(0.1))] * 3, own, notices=["only zeros", "lost"]
    )
    texts = [record["text"] for record in kept.of("notice")]
    assert texts == ["only zeros", "lost", "clips: 1 left out"]


def test_labels_that_are_not_wanted_are_not_told(detector):
    kept, summary = listen(detector, [audio_pieces(scene(9.0, seed=1))], only=["Dog"])
    assert {record["label"] for record in kept.of("opened", "closed")} == {"Dog"}
    assert set(summary.events) == {"Dog"}
    assert len(summary.latencies) == len(kept.of("opened"))


def test_stop_closes_what_is_open(detector):
    reads = iter([audio_pieces(piece) for piece in cut(scene(9.0), [RATE] * 9)])
    kept = Kept()
    listener = Listener(detector, Given(reads), [kept])
    summary = listener.run(on_tick=lambda seen: seen.now > 0 and listener.stop())
    assert summary.listened == 1.0
    opened = {record["id"] for record in kept.of("opened")}
    assert (
        opened == {record["id"] for record in kept.of("closed", "withdrawn")} != set()
    )


def test_a_source_that_breaks_still_closes_what_is_open(detector):
    def reads():
        yield audio_pieces(scene(2.0))
        raise ValueError("the pipe sends no sound")

    kept = Kept()
    source = Given(reads())
    with pytest.raises(ValueError, match="no sound"):
        Listener(detector, source, [kept]).run()
    assert kept.records[-1]["state"] == "stopped"
    assert len(kept.of("opened")) == len(kept.of("closed", "withdrawn"))
    assert source.closed


def test_a_file_gives_the_events_of_the_file_command(detector, tmp_path):
    import soundfile

    path = tmp_path / "a.wav"
    soundfile.write(path, scene(13.0, seed=6), RATE, subtype="FLOAT")
    kept = Kept()
    source = FileSource(path, sample_rate=RATE, pace=float("inf"))
    Listener(detector, source, [kept]).run()
    events = list(detector.events([scene(13.0, seed=6)]))
    assert [record["onset"] for record in kept.of("closed")] == [
        round(event.onset, 6) for event in events
    ]


@settings(max_examples=5)
@given(st.integers(0, 1000), st.integers(3, 50))
def test_the_onset_of_an_event_is_exact_after_a_day_and_a_night(late, length):
    config = FrontendConfig()
    n_day = 24 * 3600 * RATE // config.score_frame_length
    scores = np.zeros((n_day + late + length, 2), np.float32)
    scores[n_day + late :, 1] = 1
    tracker = EventTracker(("Speech", "Dog"), PostConfig(), config)
    n_samples = len(scores) * config.score_frame_length
    (event,) = tracker.push(scores) + tracker.flush(n_samples)
    assert round(event.onset * RATE) == (n_day + late) * config.score_frame_length
    assert round(round(event.onset, 6) * RATE) == round(event.onset * RATE)
    assert round(event.offset * RATE) == n_samples


def test_sound_after_hours_of_gap_is_where_it_was(detector):
    hour = 3600 * RATE
    samples = scene(3.0, seed=7)
    reads = [[gap(hour)] for _ in range(2)] + [audio_pieces(samples)]
    kept, summary = listen(detector, reads)
    (record,) = kept.of("gap")
    assert round(record["offset"] * RATE) == 2 * hour
    assert round(summary.lost * RATE) == 2 * hour
    short, _ = listen(detector, [[gap(20 * RATE)], audio_pieces(samples)])
    # The grids of 3448 samples differ between the two by less than one of them.
    late = [record["onset"] - 7200 for record in kept.of("closed")]
    soon = [record["onset"] - 20 for record in short.of("closed")]
    assert late == pytest.approx(soon, abs=2 * 3448 / RATE)


def test_the_summary_is_bounded_and_in_order():
    summary = Summary(RATE)
    for n in range(50_000):
        summary.latencies.append(n / 1000)
    assert len(summary.latencies) == 10_000
    reported = summary.to_dict()["opened_after"]
    assert reported == {"p50": 45.0, "p90": 49.0, "p99": 49.9}
    assert json.loads(json.dumps(Summary(RATE).to_dict()))["opened_after"] == {}


@given(st.floats(1e-4, 3), st.floats(0.1, 10), st.sampled_from([0.1, MAX_LOAD, 1.0]))
def test_the_step_that_is_chosen_is_the_shortest_that_keeps_up(cost, latency, max_load):
    config = FrontendConfig()
    step = shortest_step(cost, config, latency=latency, max_load=max_load)
    assert min(MIN_STEP, latency) <= step <= latency
    if step < latency:
        assert cost / step <= max_load * (1 + 1e-9)
        shorter = step - config.score_frame_duration
        assert shorter <= MIN_STEP or cost / shorter > max_load


def test_load_is_the_share_of_time_that_detection_takes(model):
    class Slow:
        info, sha256 = model.info, model.sha256

        def score(self, features):
            time.sleep(0.05)
            return model.score(features)

    slow = Detector(Slow(), stream=StreamConfig(step=0.5, latency=1.0))
    listener = Listener(
        slow, Given([[p] for p in audio_pieces(silence(4.0), [RATE // 2] * 7)]), []
    )
    listener.run()
    assert 0.09 <= listener.stream.load < 0.5


def seconds_of(record):
    return datetime.fromisoformat(record["time"]).timestamp()


def test_an_event_has_the_clock_time_of_its_onset(detector):
    before = time.time()
    reads = [[piece] for piece in audio_pieces(scene(6.0), [RATE] * 6)]
    kept, _ = listen(detector, reads, lossless=True)
    (listening,) = kept.of("listening")
    assert before - 1.1 < seconds_of(listening) < time.time()
    assert listening["drift"] == 0
    for record in kept.of("opened", "ended", "closed"):
        since = seconds_of(record) - seconds_of(listening)
        assert since == pytest.approx(record["onset"], abs=0.003)


def test_a_log_is_reminded_hourly_of_what_its_times_count_from(detector, monkeypatch):
    monkeypatch.setattr("streamsed.live.stream.REMINDER", 2)
    reads = [[piece] for piece in audio_pieces(silence(7.0), [RATE] * 7)]
    kept, _ = listen(detector, reads, lossless=True)
    reminders = kept.of("listening")
    assert [record["at"] for record in reminders] == [0, 2, 4, 6]
    assert len({record["time"] for record in reminders}) == 1


def test_two_runs_have_ids_of_their_own(detector):
    ids = {
        listen(detector, [audio_pieces(silence(0.1))])[0].records[0]["run"]
        for _ in range(5)
    }
    assert len(ids) == 5
