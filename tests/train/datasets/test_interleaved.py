"""Interleaved batches: the rhythm, the laps, and that an example depends on its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from train.datasets.interleaved import Interleaved

PARTS = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 4)), min_size=1, max_size=4
).filter(lambda parts: any(size and n for size, n in parts))


def make(parts, seed=0):
    """Interleave sets whose examples are (number of the set, number of the clip)."""
    sets = [
        ([(number, clip) for clip in range(size)], n)
        for number, (size, n) in enumerate(parts)
    ]
    return Interleaved(sets, seed=seed)


def rows(parts):
    """How many examples three rounds of the longest set's laps take, at least."""
    return 3 * sum(n for _, n in parts) * max(size for size, _ in parts)


@given(PARTS, st.integers(0, 2**32))
def test_every_lap_visits_every_clip_exactly_once(parts, seed):
    batches = make(parts, seed)
    drawn = [batches[index] for index in range(rows(parts))]
    for number, (size, n) in enumerate(parts):
        own = [clip for part, clip in drawn if part == number]
        if not n or not size:
            assert own == []
            continue
        assert len(own) >= size
        for first in range(0, len(own) - size + 1, size):
            assert sorted(own[first : first + size]) == list(range(size))


@given(PARTS)
def test_each_round_has_the_same_rhythm(parts):
    batches = make(parts)
    rhythm = [
        number for number, (size, n) in enumerate(parts) if size for _ in range(n)
    ]
    drawn = [batches[index][0] for index in range(5 * len(rhythm))]
    assert drawn == 5 * rhythm


@given(PARTS, st.integers(0, 9), st.data())
def test_an_example_depends_on_nothing_but_its_place(parts, seed, data):
    fresh = make(parts, seed)
    in_order = [fresh[index] for index in range(rows(parts))]
    indices = data.draw(
        st.lists(st.integers(0, len(in_order) - 1), min_size=1, max_size=30)
    )
    asked = make(parts, seed)
    assert [asked[index] for index in indices] == [in_order[i] for i in indices]


def test_sets_of_the_same_size_have_orders_of_their_own():
    drawn = [make([(50, 1), (50, 1)])[index] for index in range(100)]
    one, other = ([clip for part, clip in drawn if part == n] for n in (0, 1))
    assert one != other


def test_each_lap_and_each_seed_has_an_order_of_its_own():
    def laps(seed):
        drawn = [make([(50, 1)], seed)[index][1] for index in range(150)]
        return [tuple(drawn[first : first + 50]) for first in (0, 50, 100)]

    assert len({*laps(0), *laps(1)}) == 6


class Numbers(Dataset):
    def __init__(self, first):
        self.first = first

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return self.first + index


def test_a_loader_with_an_endless_sampler_draws_from_it():
    batches = Interleaved([(Numbers(0), 2), (Numbers(10), 1)], seed=0)
    loader = iter(DataLoader(batches, batch_size=3, sampler=range(2**40)))
    for _ in range(4):
        strong, also_strong, weak = next(loader).tolist()
        assert max(strong, also_strong) < 3
        assert weak >= 10


@pytest.mark.parametrize("parts", [[], [(0, 3)], [(3, 0)]])
def test_sets_without_a_clip_are_refused(parts):
    with pytest.raises(ValueError, match=f"parts={len(parts)} sets must have a clip"):
        make(parts)
