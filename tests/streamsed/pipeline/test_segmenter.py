import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sounds import cut, scene, silence

from streamsed.config import FrontendConfig
from streamsed.pipeline.frontend import Frontend
from streamsed.pipeline.segmenter import Segmenter

SMALL = FrontendConfig(n_mels=4, segment_frames=64)  # 8 score frames a segment
SIZES = st.lists(
    st.one_of(st.sampled_from([0, 1, 7, 8]), st.integers(0, 150)), max_size=12
)


def random_frames(n_frames, config=SMALL, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-100, 0, (n_frames, config.n_mels)).astype(np.float32)


def segments_of(segmenter, chunks):
    segments = [s for chunk in chunks for s in segmenter.push(chunk)]
    return segments + list(segmenter.flush())


def spans(segments):
    return [(segment.start, segment.end) for segment in segments]


def cut_at_once(frames, config, *, step, partial):
    """The slow twin: all segments of a recording that lies there whole."""
    whole, sub = config.segment_score_frames, config.subsampling
    n_whole, n_all = len(frames) // sub, math.ceil(len(frames) / sub)
    ends = list(range(step, whole, step)) if partial else []
    ends += list(range(whole, n_whole + 1, step))
    ends = [end for end in ends if end <= n_whole]
    if n_all and n_all not in ends:
        ends.append(n_all)
    segments = []
    for end in ends:
        start = max(0, end - whole)
        held = frames[start * sub : end * sub]
        silent = np.full((config.segment_frames - len(held), config.n_mels), -100.0)
        padded = np.concatenate([held, silent]).astype(np.float32)
        segments.append((padded, start, end))
    return segments


@given(sizes=SIZES, n_frames=st.integers(0, 400), step=st.integers(1, 8))
def test_early_segments_come_beside_those_that_count(sizes, n_frames, step):
    frames = random_frames(n_frames)
    segmenter = Segmenter(SMALL, step=step, partial=False, early=True)
    segments = segments_of(segmenter, cut(frames, sizes))
    plain = Segmenter(SMALL, step=step, partial=False)
    assert_same_segments(
        [segment for segment in segments if not segment.early],
        segments_of(plain, [frames]),
    )
    early = [segment for segment in segments if segment.early]
    whole = SMALL.segment_score_frames
    ends = [end for end in range(step, whole, step) if end <= n_frames // 8]
    assert spans(early) == [(0, end) for end in ends]
    partial = Segmenter(SMALL, step=step, partial=True)
    given_anyway = {s.end: s for s in segments_of(partial, [frames])}
    for segment in early:
        assert_array_equal(segment.frames, given_anyway[segment.end].frames)


def test_a_recording_that_ends_with_an_early_segment_is_scored_for_good_as_well():
    frames = random_frames(6 * 8)
    segments = segments_of(
        Segmenter(SMALL, step=3, partial=False, early=True), [frames]
    )
    assert [(s.start, s.end, s.early) for s in segments] == [
        (0, 3, True),
        (0, 6, True),
        (0, 6, False),
    ]


def assert_same_segments(one, other):
    assert spans(one) == spans(other)
    for a, b in zip(one, other, strict=True):
        assert_array_equal(a.frames, b.frames)


@given(
    sizes=SIZES,
    n_frames=st.integers(0, 400),
    step=st.integers(1, 8),
    partial=st.booleans(),
)
def test_segments_are_those_of_the_slow_twin_however_chunked(
    sizes, n_frames, step, partial
):
    frames = random_frames(n_frames)
    segmenter = Segmenter(SMALL, step=step, partial=partial)
    segments = segments_of(segmenter, cut(frames, sizes))
    expected = cut_at_once(frames, SMALL, step=step, partial=partial)
    assert spans(segments) == [(start, end) for _, start, end in expected]
    for segment, (held, _, _) in zip(segments, expected, strict=True):
        assert_array_equal(segment.frames, held)


def test_chunking_does_not_change_the_segments_of_a_real_recording():
    frames = Frontend().push(scene(14))
    config = FrontendConfig()
    at_once = segments_of(Segmenter(config, step=13, partial=True), [frames])
    chunks = cut(frames, [1, 0, 7, 900, 200, 1])
    assert_same_segments(
        at_once, segments_of(Segmenter(config, step=13, partial=True), chunks)
    )


@pytest.mark.parametrize("step", [64, 128])
def test_a_clip_of_ten_seconds_is_one_segment(step):
    config = FrontendConfig()
    segmenter = Segmenter(config, step=step, partial=False)
    frames = random_frames(1024, config)
    (segment,) = segments_of(segmenter, [frames])
    assert (segment.start, segment.end) == (0, 128)
    assert_array_equal(segment.frames, frames)


@pytest.mark.parametrize("n_frames", [1, 8, 300, 1023])
def test_a_shorter_clip_is_one_segment_padded_with_digital_silence(n_frames):
    config = FrontendConfig()
    frames = random_frames(n_frames, config)
    silent = Frontend().push(silence(12))[: 1024 - n_frames]
    (segment,) = segments_of(Segmenter(config, step=64, partial=False), [frames])
    assert (segment.start, segment.end) == (0, math.ceil(n_frames / 8))
    assert_array_equal(segment.frames, np.concatenate([frames, silent]))


def test_partial_segments_come_only_when_asked_for():
    frames = random_frames(10 * 8)
    without = segments_of(Segmenter(SMALL, step=3, partial=False), [frames])
    assert spans(without) == [(0, 8), (2, 10)]
    with_partial = segments_of(Segmenter(SMALL, step=3, partial=True), [frames])
    assert spans(with_partial) == [(0, 3), (0, 6), (0, 8), (2, 10)]


def test_the_last_segment_ends_with_the_recording_even_inside_a_score_frame():
    frames = random_frames(12 * 8 + 5)
    segments = segments_of(Segmenter(SMALL, step=4, partial=False), [frames])
    assert spans(segments) == [(0, 8), (4, 12), (5, 13)]
    padded = np.concatenate([frames[5 * 8 :], np.full((3, 4), -100, np.float32)])
    assert_array_equal(segments[-1].frames, padded)


def test_a_recording_that_ends_on_a_step_is_not_scored_twice():
    segments = segments_of(
        Segmenter(SMALL, step=4, partial=False), [random_frames(12 * 8)]
    )
    assert spans(segments) == [(0, 8), (4, 12)]


def test_a_recording_without_frames_has_no_segment():
    assert segments_of(Segmenter(SMALL, step=4, partial=True), []) == []


def test_a_segment_is_given_by_the_push_that_completes_it():
    segmenter = Segmenter(SMALL, step=2, partial=False)
    assert list(segmenter.push(random_frames(63))) == []
    assert spans(segmenter.push(random_frames(1))) == [(0, 8)]
    assert list(segmenter.push(random_frames(15))) == []
    assert spans(segmenter.push(random_frames(1))) == [(2, 10)]
    assert segmenter.n_score_frames == 10


@pytest.mark.parametrize("step", [1, 3, 8])
def test_a_frame_waits_for_its_first_segment_as_long_as_the_latency_says(step):
    segmenter = Segmenter(SMALL, step=step, partial=False)
    waited, first = {}, 64  # frames after the first whole segment
    for n_frames, frame in enumerate(random_frames(400), start=1):
        for segment in segmenter.push(frame[None]):
            for seen in range(max(first, 8 * segment.start), 8 * segment.end):
                waited.setdefault(seen, n_frames - seen)
    assert max(waited.values()) == segmenter.latency


def test_a_reset_segmenter_equals_a_new_one():
    used = Segmenter(SMALL, step=3, partial=True)
    segments_of(used, [random_frames(333, seed=1)])
    used.reset()
    frames = random_frames(200, seed=2)
    new = Segmenter(SMALL, step=3, partial=True)
    assert_same_segments(segments_of(used, [frames]), segments_of(new, [frames]))


def test_a_flushed_segmenter_refuses_more_until_reset():
    segmenter = Segmenter(SMALL, step=4, partial=False)
    segments_of(segmenter, [random_frames(100)])
    with pytest.raises(RuntimeError, match="push after flush: call reset"):
        list(segmenter.push(random_frames(1)))
    segmenter.reset()
    assert len(segments_of(segmenter, [random_frames(64)])) == 1


@given(
    sizes=SIZES,
    n_frames=st.integers(1, 800),
    step=st.integers(1, 8),
    partial=st.booleans(),
)
def test_in_a_hurry_segments_are_left_out_and_no_score_frame_is_unseen(
    sizes, n_frames, step, partial
):
    frames = random_frames(n_frames)
    segmenter = Segmenter(SMALL, step=step, partial=partial)
    segments = []
    for chunk in cut(frames, sizes):
        segments += segmenter.push(chunk, hurry=True)
        assert not segments or segmenter.n_score_frames - segments[-1].end < step
    segments += segmenter.flush()
    seen = {frame for s in segments for frame in range(s.start, s.end)}
    assert seen == set(range(math.ceil(n_frames / 8)))
    every = cut_at_once(frames, SMALL, step=step, partial=partial)
    assert len(segments) + segmenter.n_skipped == len(every)
    whole = {end: held for held, _, end in every}
    for segment in segments:
        assert_array_equal(segment.frames, whole[segment.end])


def test_who_does_not_fall_behind_skips_nothing_in_a_hurry():
    frames = random_frames(400)
    calm = segments_of(Segmenter(SMALL, step=2, partial=True), [frames])
    hasty = Segmenter(SMALL, step=2, partial=True)
    chunks = cut(frames, [8] * 50)
    segments = [s for c in chunks for s in hasty.push(c, hurry=True)]
    assert_same_segments([*segments, *hasty.flush()], calm)
    assert hasty.n_skipped == 0


def test_who_falls_behind_skips_in_a_hurry():
    segmenter = Segmenter(SMALL, step=1, partial=False)
    segments = list(segmenter.push(random_frames(640), hurry=True))
    assert spans(segments) == [(end - 8, end) for end in range(8, 81, 8)]  # the fewest
    assert segmenter.n_skipped == 73 - len(segments)


def test_the_memory_of_a_segmenter_does_not_grow():
    segmenter = Segmenter(SMALL, step=8, partial=False)
    chunk = random_frames(1000)
    tracemalloc.start()
    try:
        n_segments = sum(1 for _ in range(200) for _ in segmenter.push(chunk))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert n_segments == 200_000 // 64
    assert peak < 50_000  # the frames themselves are 3.2 MB


@pytest.mark.parametrize("step", [0, 129])
def test_a_step_outside_a_segment_is_refused(step):
    with pytest.raises(ValueError, match=f"step={step} must be from 1 to 128"):
        Segmenter(FrontendConfig(), step=step, partial=False)
