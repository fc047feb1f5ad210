"""The small picture of the log-mel: a slow twin, any chunks, a fixed amount of memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsed.live.mel_picture import FLOOR, FRAMES, N_COLUMNS, STEP, MelPicture


def slow_picture(frames, n_mels):
    width = -(-n_mels // 64)
    columns = []
    for first in range(0, len(frames) - len(frames) % FRAMES, FRAMES):
        column = []
        for band in range(0, n_mels, width):
            loudest = frames[first : first + FRAMES, band : band + width].max()
            column.append(min(255, max(0, round((float(loudest) - FLOOR) / STEP))))
        columns.append(column)
    return np.array(columns, np.uint8)


@given(
    cuts=st.lists(st.integers(0, 13), max_size=12),
    n_mels=st.sampled_from([1, 40, 64, 100, 128]),
    seed=st.integers(0, 9),
)
def test_a_picture_is_that_of_the_slow_twin_however_the_frames_are_cut(
    cuts, n_mels, seed
):
    rng = np.random.default_rng(seed)
    frames = rng.uniform(-130, 70, (sum(cuts), n_mels)).astype(np.float32)
    picture = MelPicture()
    for chunk in np.split(frames, np.cumsum(cuts)[:-1] if cuts else []):
        picture.add_frames(chunk)
    levels, end = picture.newest()
    expected = slow_picture(frames, n_mels)
    assert end == len(expected)
    if end:
        # A tie may be rounded the other way in float32.
        assert np.abs(levels.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("chunk", [4, 1000, 4 * N_COLUMNS + 40])
def test_only_the_newest_columns_are_kept(chunk):
    n_frames = 4 * N_COLUMNS + 400
    ramp = np.repeat(np.arange(n_frames // 4) % 200, 4)
    frames = (FLOOR + STEP * ramp)[:, None].astype(np.float32).repeat(2, axis=1)
    picture = MelPicture()
    for first in range(0, n_frames, chunk):
        picture.add_frames(frames[first : first + chunk])
    levels, end = picture.newest()
    assert end == n_frames // 4
    assert levels.shape == (N_COLUMNS, 2)
    np.testing.assert_array_equal(levels[:, 0], ramp[::4][-N_COLUMNS:])
    np.testing.assert_array_equal(picture.newest(3)[0], levels[-3:])


def test_before_the_first_column_there_is_none():
    assert MelPicture().newest()[1] == 0
    picture = MelPicture()
    picture.add_frames(np.zeros((3, 128), np.float32))
    assert picture.newest()[1] == 0
