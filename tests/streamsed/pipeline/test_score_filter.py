"""What all filters of scores have in common: any chunks, what is ahead, and a fresh start."""

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sounds import cut

from streamsed.pipeline.onset_search import OnsetSearch
from streamsed.pipeline.smoother import ScoreSmoother

TWINS = {ScoreSmoother: reference.smooth, OnsetSearch: reference.carried_back}
FILTERS = pytest.mark.parametrize("kind", TWINS)
REACHES = st.lists(st.sampled_from([0, 1, 2, 3, 7, 15, 40]), min_size=1, max_size=4)


def random_scores(n_frames, n_labels, seed):
    """Scores that mostly stay and sometimes jump, as those of sounds do."""
    random = np.random.default_rng(seed)
    steps = random.normal(size=(n_frames, n_labels)) ** 3
    return (1 / (1 + np.exp(-np.cumsum(steps, axis=0)))).astype(np.float32)


@FILTERS
@given(
    reaches=REACHES,
    n_frames=st.integers(0, 60),
    seed=st.integers(0, 999),
    sizes=st.lists(st.integers(0, 9), max_size=20),
)
def test_in_any_chunks_scores_are_those_of_the_slow_twin(
    kind, reaches, n_frames, seed, sizes
):
    scores = random_scores(n_frames, len(reaches), seed)
    made = kind(np.array(reaches))
    filtered = [made.push(chunk) for chunk in cut(scores, sizes)]
    filtered = np.concatenate([*filtered, made.flush()])
    assert_array_equal(filtered, TWINS[kind](scores, reaches))


@FILTERS
@given(
    reaches=REACHES,
    n_frames=st.integers(0, 40),
    n_ahead=st.integers(0, 20),
    seed=st.integers(0, 999),
)
def test_what_is_peeked_is_what_would_come_and_nothing_is_taken(
    kind, reaches, n_frames, n_ahead, seed
):
    scores = random_scores(n_frames + n_ahead, len(reaches), seed)
    made = kind(np.array(reaches))
    made.push(scores[:n_frames])
    peeked = made.peek(scores[n_frames:])
    assert_array_equal(peeked, made.peek(scores[n_frames:]))
    expected = np.concatenate([made.push(scores[n_frames:]), made.flush()])
    assert_array_equal(peeked, expected)


@FILTERS
def test_a_filter_that_was_reset_equals_a_new_one(kind):
    made = kind(np.array([2, 1]))
    made.push(random_scores(9, 2, 0))
    made.reset()
    scores = random_scores(9, 2, 1)
    assert_array_equal(made.push(scores), kind(np.array([2, 1])).push(scores))


@FILTERS
def test_scores_of_another_number_of_labels_are_refused(kind):
    with pytest.raises(ValueError, match="scores has 3 columns; it must have 2"):
        kind(np.array([2, 1])).push(random_scores(4, 3, 0))


@FILTERS
def test_what_was_flushed_is_not_given_again(kind):
    made = kind(np.array([2, 0]))
    made.push(random_scores(5, 2, 0))
    assert len(made.flush()) == made.latency
    assert len(made.flush()) == 0
