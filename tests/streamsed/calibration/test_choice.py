"""Which thresholds a room gets: within the limit, no higher than they must be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsed.calibration.choice import choose_levels, events_at, expected_rate
from streamsed.calibration.event_counts import BLOCK, EventCounts
from streamsed.events import Event
from streamsed.pipeline.lifecycle import EventUpdate

tables = st.lists(
    st.lists(st.integers(0, 30), min_size=1, max_size=6).map(np.array),
    min_size=1,
    max_size=5,
)


def opened(name, onset, state="opened"):
    return EventUpdate(state, 1, Event(name, onset, onset + 0.5, 0.9), True)


@given(tables, st.floats(0, 100))
def test_all_labels_together_stay_within_the_limit(counts, limit):
    assert events_at(counts, choose_levels(counts, limit)) <= limit


@given(tables, st.floats(0, 100))
def test_no_label_is_worse_at_a_higher_threshold_than_it_was_allowed(counts, limit):
    levels = choose_levels(counts, limit)
    for each, level in zip(counts, levels, strict=True):
        assert all(count <= limit for count in each[level:])


@given(tables, st.floats(0, 100), st.floats(0, 100))
def test_a_higher_limit_never_raises_a_threshold(counts, one, other):
    low, high = sorted([one, other])
    strict, lenient = choose_levels(counts, low), choose_levels(counts, high)
    assert all(a >= b for a, b in zip(strict, lenient, strict=True))


@given(tables)
def test_what_is_quiet_enough_keeps_its_own_thresholds(counts):
    enough = sum(int(each.max()) for each in counts)
    assert choose_levels(counts, enough) == [0] * len(counts)


@given(tables, st.integers(0, 100))
def test_every_label_could_have_no_more_without_breaking_the_limit(counts, limit):
    """The slow way: every allowance from none up to the limit, the last that holds."""

    def at(allowed):
        return [
            next(i for i in range(len(each) + 1) if all(each[i:] <= allowed))
            for each in counts
        ]

    fits = [n for n in range(limit + 1) if n == 0 or events_at(counts, at(n)) <= limit]
    best = max(fits, key=lambda n: events_at(counts, at(n)))
    chosen = choose_levels(counts, limit)
    assert events_at(counts, chosen) == events_at(counts, at(max(fits)))
    assert events_at(counts, chosen) <= events_at(counts, at(best))


def test_events_count_when_they_are_announced_and_in_the_half_of_their_minute():
    counts = EventCounts(["0.0", "0.1", "1.0"])
    counts.add([opened("0.0", 5.0), opened("0.0", 5.0, "closed"), opened("1.0", 65.0)])
    counts.advance(90.0)
    counts.next_recording()  # which begins within the second minute of all
    counts.add([opened("0.1", 10.0), opened("0.1", 40.0)])
    counts.advance(90.0)
    even, odd = counts.halves()
    assert [each.tolist() for each in even] == [[1, 1], [0]]
    assert [each.tolist() for each in odd] == [[0, 1], [1]]
    assert [each.tolist() for each in counts.total()] == [[1, 2], [1]]
    assert counts.seconds == 180.0


def test_what_to_expect_is_counted_on_minutes_that_were_not_chosen_on():
    counts = EventCounts(["0.0", "0.1"])
    # Six events in an even minute stop at the higher threshold; six in an odd one do not.
    counts.add([opened("0.0", 10.0 + i) for i in range(6)])
    counts.add([opened(name, BLOCK + i) for i in range(6) for name in ("0.0", "0.1")])
    counts.advance(1800.0)
    # Even minutes would take the higher one, at which the odd ones have six; odd minutes
    # would ignore the label.
    assert expected_rate(counts, 2.0) == pytest.approx(12.0)


def test_a_short_time_says_nothing_of_what_to_expect():
    counts = EventCounts(["0.0"])
    counts.advance(599.0)
    assert expected_rate(counts, 1.0) is None
