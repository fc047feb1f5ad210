"""The core's triple_norm: three min-max scalings and their product (eq. 1)."""

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.testing import assert_allclose, assert_array_equal

from streamsed import _core

targets = pytest.mark.parametrize("simd", _core.simd_targets())
segments = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=40),
    elements=st.floats(-100, 60, width=32),
)


def random_frames(n_frames=1024, n_mels=128, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-100, 20, (n_frames, n_mels)).astype(np.float32)


@targets
@given(frames=segments, top_db=st.floats(1, 200))
def test_stays_within_0_and_1(simd, frames, top_db):
    x = _core.triple_norm(frames, top_db, simd)
    assert x.dtype == np.float32
    assert x.shape == frames.shape
    assert np.isfinite(x).all()
    assert x.min() >= 0
    assert x.max() <= 1


@targets
@given(frames=segments, top_db=st.sampled_from([10.0, 80.0, 1000.0]))
def test_agrees_with_the_slow_twin(simd, frames, top_db):
    # Integers, so that a range is 0 or wide, not a rounding error blown up to [0, 1].
    frames = np.round(frames)
    expected = reference.triple_norm(frames, top_db)
    assert_allclose(_core.triple_norm(frames, top_db, simd), expected, atol=1e-6)


@targets
@pytest.mark.parametrize("shape", [(1024, 128), (864, 64), (17, 13), (5, 1), (1, 5)])
def test_agrees_with_the_slow_twin_on_a_segment(simd, shape):
    frames = random_frames(*shape)
    expected = reference.triple_norm(frames, 80)
    assert_allclose(_core.triple_norm(frames, 80, simd), expected, atol=1e-6)


@targets
def test_targets_give_the_same_bits_each_time(simd):
    frames = random_frames()
    first = _core.triple_norm(frames, 80, simd)
    assert_array_equal(_core.triple_norm(frames.copy(), 80, simd), first)


def test_an_example_worked_out_by_hand():
    # The floor is -20 - 40 = -60. Rows: (0, 1) and (0, 1); columns: (0, 0) as there is no
    # range, and (1, 0); everything: (0, 1) and (0, 1/2).
    frames = np.array([[-90, -20], [-60, -40]], dtype=np.float32)
    assert_array_equal(_core.triple_norm(frames, 40.0), [[0, 1], [0, 0]])


def test_the_three_factors_multiply():
    frames = np.array([[0, 1, 4], [2, 3, 4], [0, 4, 8]], dtype=np.float32)
    row, column, all_ = (3 - 2) / 2, (3 - 1) / 3, 3 / 8
    assert _core.triple_norm(frames, 80.0)[1, 1] == np.float32(row * column * all_)


def test_a_frame_without_range_is_0():
    frames = random_frames(20, 8)
    frames[5] = -3
    assert not _core.triple_norm(frames, 80.0)[5].any()


def test_a_band_without_range_is_0():
    frames = random_frames(20, 8)
    frames[:, 5] = -3
    assert not _core.triple_norm(frames, 80.0)[:, 5].any()


@pytest.mark.parametrize("shape", [(4, 3), (1, 1), (1, 9), (9, 1)])
def test_a_segment_without_range_is_0(shape):
    assert not _core.triple_norm(np.full(shape, -100, np.float32), 80.0).any()


@pytest.mark.parametrize("shape", [(0, 128), (10, 0), (0, 0)])
def test_an_empty_segment_stays_empty(shape):
    assert _core.triple_norm(np.empty(shape, np.float32), 80.0).shape == shape


def test_nothing_is_below_the_floor():
    frames = random_frames(50, 16)
    lower = np.where(frames < frames.max() - 30, np.float32(-1000), frames)
    x = _core.triple_norm(frames, 30.0)
    assert_array_equal(_core.triple_norm(lower, 30.0), x)


@given(gain=st.integers(-60, 60))
def test_gain_does_not_matter(gain):
    frames = np.round(random_frames(30, 12))
    louder = frames + np.float32(gain)
    assert_allclose(
        _core.triple_norm(louder, 80.0), _core.triple_norm(frames, 80.0), atol=1e-6
    )


def test_the_loudest_value_of_its_row_and_column_is_1():
    frames = random_frames()
    frames[300, 40] = 50
    x = _core.triple_norm(frames, 80.0)
    assert x[300, 40] == 1
    assert (x == 1).sum() == 1


def test_frames_are_not_changed():
    frames = random_frames(20, 8)
    kept = frames.copy()
    frames.flags.writeable = False
    _core.triple_norm(frames, 80.0)
    assert_array_equal(frames, kept)


def test_a_range_too_small_to_invert_counts_as_none():
    frames = np.array([[0, 1e-42], [0, 1e-42]], dtype=np.float32)
    assert_array_equal(_core.triple_norm(frames, 80.0), 0)


@pytest.mark.parametrize(
    "frames",
    [np.zeros((2, 2)), np.zeros((4, 4), np.float32)[:, ::2], [[0.0]]],
    ids=["float64", "strided", "list"],
)
def test_anything_but_contiguous_float32_is_refused(frames):
    with pytest.raises(TypeError):
        _core.triple_norm(frames, 80.0)


def test_frames_of_one_dimension_are_refused():
    with pytest.raises(ValueError, match="frames has 1 dimension; it must have 2"):
        _core.triple_norm(np.zeros(5, np.float32), 80.0)


@pytest.mark.parametrize("top_db", [0.0, -1.0, float("nan")])
def test_top_db_must_be_positive(top_db):
    with pytest.raises(ValueError, match=r"top_db=.* must be positive"):
        _core.triple_norm(np.zeros((2, 2), np.float32), top_db)
