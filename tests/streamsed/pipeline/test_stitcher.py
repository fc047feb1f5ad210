from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from streamsed.pipeline.stitcher import ScoreFrames, Stitcher

LENGTH = 8  # score frames in a segment


def pair(columns):
    """Make the last column the region."""
    return ScoreFrames(columns[:, :-1], columns[:, -1])


def columns_of(frames):
    return np.column_stack([frames.scores, frames.region])


@st.composite
def schedules(draw):
    """Step, latency and length of a recording, all in score frames."""
    latency = draw(st.integers(1, LENGTH))
    step = draw(st.integers(1, latency))
    return step, latency, draw(st.integers(1, 40))


def views_of(step, latency, n_frames, *, seed=0):
    """(start, end, view) of every segment that a recording is scored in."""
    ends = list(range(step, LENGTH, step)) if latency < LENGTH else []
    ends = [end for end in [*ends, *range(LENGTH, n_frames, step)] if end < n_frames]
    ends.append(n_frames)
    rng = np.random.default_rng(seed)
    return [
        (
            max(0, end - LENGTH),
            end,
            pair(rng.random((LENGTH, 3), dtype=np.float32)),
        )
        for end in ends
    ]


def triangle(length):
    """Weights of a view: up by one from each edge, and down again."""
    up = list(range(1, length // 2 + 1))
    return [*up, *[length // 2 + 1] * (length % 2), *reversed(up)]


def stitch_at_once(views, latency, n_frames):
    """The slow twin: exact weighted means over the views that came in time."""
    final = np.zeros((n_frames, 3))
    for frame in range(n_frames):
        for column in range(3):
            total, weights = Fraction(0), 0
            for start, end, view in views:
                if start <= frame < end <= frame + latency:
                    weight = triangle(end - start)[frame - start]
                    score = columns_of(view)[frame - start, column]
                    total += weight * Fraction(float(score))
                    weights += weight
            final[frame, column] = total / weights
    return final


def run(views, latency, *, stops=()):
    """Stitch with `advance` called at these moments as well as where it must be."""
    stitcher = Stitcher(n_labels=2, segment_length=LENGTH, latency=latency)
    stops, final = sorted(stops), []
    for start, end, scores in views:
        while stops and stops[0] < end:
            final.append(stitcher.advance(stops.pop(0)))
        final.append(stitcher.push(scores, start, end))
    final.append(stitcher.flush())
    return columns_of(ScoreFrames.joined(final))


@given(schedules())
def test_a_final_score_is_the_weighted_mean_of_the_views_in_time(schedule):
    _, latency, n_frames = schedule
    views = views_of(*schedule)
    expected = stitch_at_once(views, latency, n_frames)
    assert_allclose(run(views, latency), expected, rtol=0, atol=1e-7)


@given(schedules(), st.lists(st.integers(0, 40)))
def test_the_moments_of_advance_do_not_change_a_bit(schedule, stops):
    _, latency, _ = schedule
    views = views_of(*schedule)
    assert_array_equal(run(views, latency, stops=stops), run(views, latency))


@given(schedules())
def test_a_frame_is_final_exactly_when_the_recording_is_latency_past_its_start(
    schedule,
):
    _, latency, n_frames = schedule
    views = {end: (start, scores) for start, end, scores in views_of(*schedule)}
    stitcher = Stitcher(n_labels=2, segment_length=LENGTH, latency=latency)
    n_final = 0
    for now in range(1, n_frames + 1):
        if now in views:
            start, scores = views[now]
            n_final += len(stitcher.push(scores, start, now))
        n_final += len(stitcher.advance(now))
        assert n_final == max(0, now - latency + 1)
        assert len(stitcher.advance(now)) == 0
    assert n_final + len(stitcher.flush()) == n_frames
    assert stitcher.latency == latency


@given(schedules(), st.floats(0, 1, width=32))
def test_constant_scores_stay_constant(schedule, value):
    _, latency, n_frames = schedule
    views = [
        (start, end, pair(np.full((LENGTH, 3), value, np.float32)))
        for start, end, _ in views_of(*schedule)
    ]
    expected = np.full((n_frames, 3), value, np.float32)
    assert_array_equal(run(views, latency), expected)


@pytest.mark.parametrize("end", [1, 5, LENGTH])
def test_the_weights_of_a_single_view_cancel(end):
    columns = np.random.default_rng(0).random((LENGTH, 3), dtype=np.float32)
    assert_array_equal(run([(0, end, pair(columns))], LENGTH), columns[:end])


def test_the_middle_of_a_segment_outweighs_the_edge_of_another():
    early = pair(np.zeros((LENGTH, 3), np.float32))
    late = pair(np.ones((LENGTH, 3), np.float32))
    final = run([(0, 8, early), (4, 12, late)], LENGTH)
    # Frame 0 fell due when 8 had come; 1 to 3 were seen once; 4 to 7 twice, at distances
    # 4, 3, 2, 1 from the end of the one and 1, 2, 3, 4 from the start of the other.
    expected = [0, 0, 0, 0, 1 / 5, 2 / 5, 3 / 5, 4 / 5, 1, 1, 1, 1]
    assert_allclose(final[:, 0], expected, rtol=0, atol=1e-7)


def test_pending_is_what_a_flush_now_would_give():
    stitcher = Stitcher(n_labels=2, segment_length=LENGTH, latency=6)
    for start, end, scores in views_of(3, 6, 17)[:-1]:
        stitcher.push(scores, start, end)
    pending = stitcher.pending()
    assert len(pending) > 0
    assert_array_equal(columns_of(pending), columns_of(stitcher.flush()))
    assert len(stitcher.pending()) == 0


def test_a_recording_without_a_view_has_no_frame():
    stitcher = Stitcher(n_labels=2, segment_length=LENGTH, latency=6)
    assert stitcher.n_seen == 0
    assert len(stitcher.advance(LENGTH)) == 0
    assert len(stitcher.pending()) == 0
    assert len(stitcher.flush()) == 0
    assert stitcher.n_final == 0


def test_a_reset_stitcher_equals_a_new_one():
    stitcher = Stitcher(n_labels=2, segment_length=LENGTH, latency=6)
    for start, end, scores in views_of(3, 6, 20, seed=1)[:-2]:
        stitcher.push(scores, start, end)
    stitcher.reset()
    views = views_of(3, 6, 13, seed=2)
    final = [stitcher.push(scores, start, end) for start, end, scores in views]
    final = ScoreFrames.joined([*final, stitcher.flush()])
    assert_array_equal(columns_of(final), run(views, 6))


def test_a_flushed_stitcher_refuses_more_until_reset():
    stitcher = Stitcher(n_labels=2, segment_length=LENGTH, latency=6)
    scores = pair(np.zeros((LENGTH, 3), np.float32))
    stitcher.push(scores, 0, 5)
    stitcher.flush()
    with pytest.raises(RuntimeError, match="push after flush: call reset"):
        stitcher.push(scores, 0, 6)
    stitcher.reset()
    assert len(stitcher.push(scores, 0, 6)) == 1


@pytest.mark.parametrize("latency", [0, LENGTH + 1])
def test_a_latency_outside_a_segment_is_refused(latency):
    with pytest.raises(ValueError, match=f"latency={latency} must be from 1 to 8"):
        Stitcher(n_labels=1, segment_length=LENGTH, latency=latency)
