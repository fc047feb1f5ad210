import math
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sounds import RATE, cut, scene, silence, tone

from streamsed.config import PostConfig, StreamConfig
from streamsed.detector import Detector
from streamsed.pipeline.frontend import Frontend, normalize
from streamsed.pipeline.trace import Trace

FAST = StreamConfig(step=0.5, latency=1.0)
SIZES = st.lists(
    st.one_of(st.sampled_from([0, 1, 431, 2048]), st.integers(0, 200_000)), max_size=10
)


class Counting:
    """A model that remembers what it was asked."""

    def __init__(self, model):
        self.info = model.info
        self.asked = []
        self._model = model

    def score(self, features):
        self.asked.append(features)
        return self._model.score(features)


def detect(model, samples, *, sizes=(), **settings):
    return list(Detector(model, **settings).events(cut(samples, sizes)))


def updates_of(detector, chunks):
    return [
        c for chunk in chunks for c in detector.push_updates(chunk)
    ] + detector.flush_updates()


def frames_of(samples):
    frontend = Frontend()
    return np.concatenate([frontend.push(samples), frontend.flush()])


@given(
    sizes=SIZES,
    seconds=st.integers(2, 14),
    seed=st.integers(0, 99),
    latency=st.sampled_from([0.3, 1.0, 2.5, 7.0, 10.0]),
    ratio=st.sampled_from([0.3, 0.5, 0.9, 1.0]),
)
@settings(max_examples=60)
def test_a_stream_gives_the_events_of_the_file(
    model, sizes, seconds, seed, latency, ratio
):
    samples = scene(seconds, seed)[: -1 - seed]  # the end may lie anywhere in a frame
    stream = StreamConfig(step=latency * ratio, latency=latency)
    expected = detect(model, samples, stream=stream)
    assert detect(model, samples, sizes=sizes, stream=stream) == expected


def test_chunks_of_one_sample_give_the_events_of_the_file(model):
    samples = scene(10.5)[-50_000:]
    expected = detect(model, samples, stream=FAST)
    detector = Detector(model, stream=FAST)
    events = [e for sample in samples for e in detector.push(np.array([sample]))]
    assert events + detector.flush() == expected
    assert len(expected) > 0


def test_chunking_does_not_change_what_a_live_view_gets(model):
    samples = scene(13)
    expected = updates_of(Detector(model, stream=FAST), [samples])
    chunks = cut(samples, [0, 1, 70_000, 4410, 0, 100_000, 441, 3])
    assert updates_of(Detector(model, stream=FAST), chunks) == expected
    assert {update.state for update in expected} >= {"opened", "closed"}


def test_every_opened_event_is_closed_or_withdrawn_once(model):
    states = {}
    detector = Detector(model, stream=StreamConfig(0.2, 1.0))
    updates = updates_of(detector, [scene(20)])
    for update in updates:
        states.setdefault(update.id, []).append(update.state)
    assert len(states) > 5
    for history in states.values():
        assert history[0] == "opened"
        assert history[-1] in {"closed", "withdrawn"}
        assert set(history[1:-1]) <= {"ended", "updated"}


def test_scores_and_region_do_not_depend_on_the_chunks(model):
    samples, traces = scene(12), []
    for sizes in ([], [1, 100_000, 0, 77, 200_000]):
        trace = Trace(keep_frames=True)
        list(Detector(model, stream=FAST).events(cut(samples, sizes), observer=trace))
        traces.append(trace)
    one, other = traces
    assert_array_equal(one.scores, other.scores)
    assert_array_equal(one.region, other.region)
    assert_array_equal(one.frames, other.frames)
    assert one.scores.shape == (math.ceil(one.frames.shape[0] / 8), 2)


def test_a_clip_of_ten_seconds_is_scored_once_as_a_whole(model):
    samples = scene(10)
    counting, trace = Counting(model), Trace()
    list(Detector(counting).events([samples], observer=trace))
    (features,) = counting.asked
    assert_array_equal(features, normalize(frames_of(samples)))
    expected = model.score(features)
    assert_array_equal(trace.scores, expected.scores)
    assert_array_equal(trace.region, expected.region)


def test_a_shorter_clip_is_scored_once_padded_with_silence(model):
    samples = scene(4)
    counting, trace = Counting(model), Trace()
    events = list(Detector(counting).events([samples], observer=trace))
    (features,) = counting.asked
    n_score_frames = math.ceil(len(frames_of(samples)) / 8)
    assert_array_equal(trace.scores, model.score(features).scores[:n_score_frames])
    assert len(events) > 0
    assert max(event.offset for event in events) <= 4


def test_a_tone_is_one_event_where_it_sounds(model):
    samples = np.concatenate([silence(2), tone(6000, 1.5), silence(3)])
    for stream in (None, FAST):
        (event,) = detect(model, samples, stream=stream)
        assert event.label == "Dog"
        assert event.onset == pytest.approx(2, abs=0.15)
        assert event.offset == pytest.approx(3.5, abs=0.15)
        assert 0.5 < event.score <= 1


def test_an_event_at_the_end_stops_with_the_recording(model):
    samples = np.concatenate([silence(2), tone(300, 1.23)])
    (event,) = detect(model, samples)
    assert event.offset == len(samples) / RATE


@pytest.mark.parametrize("n_samples", [0, 1, 430, 44100, 500_000])
def test_digital_silence_has_no_events(model, n_samples):
    assert detect(model, np.zeros(n_samples, np.float32)) == []
    assert detect(model, np.zeros(n_samples, np.float32), stream=FAST) == []


def test_a_single_sample_is_a_recording(model):
    trace = Trace()
    events = list(Detector(model).events([np.ones(1, np.float32)], observer=trace))
    assert trace.scores.shape == (1, 2)
    assert all(event.offset <= 1 / RATE for event in events)


@pytest.mark.parametrize(
    "stream", [FAST, StreamConfig(0.2, 0.2), StreamConfig(2.0, 7.0), StreamConfig()]
)
def test_an_event_has_left_when_the_stated_latency_has_passed_its_end(model, stream):
    samples = scene(30, seed=3)
    detector = Detector(model, stream=stream)
    n_pushed, n_events = 0, 0
    for chunk in cut(samples, [441] * (len(samples) // 441)):
        events = detector.push(chunk)
        n_pushed += len(chunk)
        for event in events:
            ended = round(event.offset * RATE)
            assert n_pushed - len(chunk) < ended + detector.latency
            n_events += 1
    still_owed = detector.flush()
    assert n_events > 5
    for event in still_owed:
        assert round(event.offset * RATE) + detector.latency > len(samples)


def test_a_shorter_latency_lets_events_leave_earlier(model):
    samples = np.concatenate([silence(2), tone(300, 1), silence(12)])
    moments = []
    for stream in (FAST, StreamConfig(5.0, 10.0)):
        detector = Detector(model, stream=stream)
        chunks = cut(samples, [4410] * 150)
        moments.append(next(n for n, c in enumerate(chunks) if detector.push(c)))
    assert moments[0] < 45  # tenths of a second
    assert moments[1] > 100


def test_in_a_hurry_fewer_segments_are_scored_and_every_frame_is(model):
    samples = scene(30)
    calm, hasty, trace = Counting(model), Counting(model), Trace()
    stream = StreamConfig(0.2, 1.0)
    list(Detector(calm, stream=stream).events([samples]))
    detector = Detector(hasty, stream=stream)
    detector.observer = trace
    updates = detector.push_updates(samples, hurry=True) + detector.flush_updates()
    assert len(hasty.asked) + detector.n_skipped == len(calm.asked)
    assert len(hasty.asked) < len(calm.asked) / 4
    assert len(trace.scores) == math.ceil(len(frames_of(samples)) / 8)
    labels = [c.event.label for c in updates if c.state == "closed"]
    assert {"Dog", "Speech"} <= set(labels)


def test_final_frames_are_counted(model):
    detector, trace = Detector(model, stream=FAST), Trace()
    detector.observer = trace
    for chunk in cut(scene(4), [10_000] * 17):
        detector.push(chunk)
        assert detector.n_final == len(trace.scores)
    detector.flush()
    assert detector.n_final == len(trace.scores) > 40


def test_thresholds_and_durations_change_the_events(model):
    samples = scene(10)
    plain = detect(model, samples)
    none = detect(model, samples, post=PostConfig(onset_threshold=1.0))
    long = detect(model, samples, post=PostConfig(min_duration={"Dog": 1.0}))
    assert none == []
    assert [e for e in long if e.label == "Speech"] == [
        e for e in plain if e.label == "Speech"
    ]
    dogs = [e for e in plain if e.label == "Dog"]
    assert [e for e in long if e.label == "Dog"] == [e for e in dogs if e.duration >= 1]
    assert 0 < sum(e.duration < 1 for e in dogs) < len(dogs)


def test_settings_that_do_not_fit_the_model_are_refused(model):
    with pytest.raises(ValueError, match=r"latency=20\.0 must be at most one segment"):
        Detector(model, stream=StreamConfig(5.0, 20.0))
    with pytest.raises(ValueError, match="unknown label 'Cow'; the labels are Speech"):
        Detector(model, post=PostConfig({"Cow": 0.5}))


def test_a_detector_can_be_loaded_by_the_path_of_its_model(model_path, model):
    detector = Detector.load(model_path, device="cpu", stream=FAST)
    samples = scene(3)
    assert list(detector.events([samples])) == detect(model, samples, stream=FAST)


def test_a_reset_detector_equals_a_new_one(model):
    detector = Detector(model, stream=FAST)
    detector.push(scene(7, seed=1))
    detector.reset()
    samples = scene(5, seed=2)
    events = detector.push(samples) + detector.flush()
    assert events == detect(model, samples, stream=FAST)
    assert list(detector.events([samples])) == events


def test_two_detectors_in_threads_do_not_disturb_each_other(model):
    recordings = [scene(12, seed=1), scene(12, seed=2)]
    expected = [detect(model, samples, stream=FAST) for samples in recordings]
    found = [[], []]

    def work(number):
        chunks = [2000] * (len(recordings[number]) // 2000)
        found[number] = detect(model, recordings[number], sizes=chunks, stream=FAST)

    threads = [threading.Thread(target=work, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected
    assert expected[0] != expected[1]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_samples_that_are_not_numbers_are_refused_by_name(model, bad):
    samples = silence(1)
    samples[30_000] = bad
    with pytest.raises(ValueError, match=r"samples up to (nan|inf) must be finite"):
        Detector(model).push(samples)


def test_chunks_of_another_type_or_shape_are_refused(model):
    with pytest.raises(TypeError):
        Detector(model).push(np.zeros(1000, np.float64))
    with pytest.raises(TypeError):
        Detector(model).push(np.zeros(0, np.float64))
    with pytest.raises(ValueError, match="chunk has 2 dimensions"):
        Detector(model).push(np.zeros((1000, 2), np.float32))


@pytest.mark.parametrize("n_samples", [0, 1, 44100])
def test_a_flushed_detector_refuses_more_until_reset(model, n_samples):
    detector = Detector(model)
    detector.push(scene(1))
    detector.flush()
    assert detector.flush() == []
    with pytest.raises(RuntimeError, match="push after flush: call reset"):
        detector.push(np.zeros(n_samples, np.float32))
    detector.reset()
    assert detector.push(np.zeros(n_samples, np.float32)) == []


def test_the_memory_of_a_detector_does_not_grow(model):
    detector = Detector(model, stream=StreamConfig(5.0, 5.0))
    chunk = scene(60)
    tracemalloc.start()
    try:
        detector.push(chunk)
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in range(5):
            detector.push(chunk)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 100_000
    assert peak - before < 6_000_000  # a minute of frames alone is 3 MB


def test_one_huge_chunk_takes_no_more_memory_than_its_frames_need(model):
    chunk = np.zeros(10 * 60 * RATE, np.float32)
    detector = Detector(model)
    tracemalloc.start()
    try:
        detector.push(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000  # all its frames are 31 MB


class Waiting(Counting):
    """A model that does not answer before it is let."""

    def __init__(self, model):
        super().__init__(model)
        self.reached, self.go_on = threading.Event(), threading.Event()

    def score(self, features):
        self.reached.set()
        assert self.go_on.wait(30)
        return super().score(features)


def test_a_second_thread_is_refused_and_the_first_does_not_notice(model):
    samples = scene(11)
    expected = detect(model, samples, stream=FAST)
    waiting = Waiting(model)
    detector = Detector(waiting, stream=FAST)
    with ThreadPoolExecutor(1) as other:
        events = other.submit(detector.push, samples)
        assert waiting.reached.wait(30)
        for use in (
            lambda: detector.push(samples),
            lambda: detector.push(samples[:0]),
            detector.flush,
            lambda: detector.push_updates(samples),
            detector.flush_updates,
            detector.pending,
            detector.reset,
            lambda: list(detector.events([samples])),
        ):
            with pytest.raises(RuntimeError, match="Detector is in use by another"):
                use()
        waiting.go_on.set()
        assert events.result() + detector.flush() == expected
    assert expected


def test_a_detector_is_free_again_after_an_error(model):
    detector = Detector(model, stream=FAST)
    with pytest.raises(ValueError, match="finite"):
        detector.push(np.full(10, np.nan, np.float32))
    with ThreadPoolExecutor(1) as other:
        assert other.submit(detector.push, silence(0.1)).result() == []


def test_a_minute_of_a_wavering_sound_is_one_event_if_its_label_is_smoothed(model):
    beat = np.concatenate([tone(6000, 1.2), silence(0.45)])
    samples = np.concatenate([silence(2), np.tile(beat, 36), silence(12)])
    stream = StreamConfig(step=1.0, latency=1.0, settle=10.0)
    post = PostConfig(smoothing={"Dog": 3.0})
    updates = updates_of(Detector(model, stream=stream, post=post), [samples])
    (closed,) = [u for u in updates if u.state == "closed" and u.event.label == "Dog"]
    assert closed.event.duration == pytest.approx(36 * 1.65, abs=1.0)
    (ended,) = [u for u in updates if u.state == "ended" and u.id == closed.id]
    assert ended.event.offset == pytest.approx(closed.event.offset, abs=0.5)
    plain = [e for e in detect(model, samples, stream=stream) if e.label == "Dog"]
    assert len(plain) == 36
