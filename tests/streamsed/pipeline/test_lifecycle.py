from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import cut, scene

from streamsed.config import StreamConfig
from streamsed.detector import Detector
from streamsed.events import Event
from streamsed.pipeline.lifecycle import EventLifecycle, EventUpdate

DOG, LONGER, LATER = (
    Event("Dog", 1, 2, 0.8),
    Event("Dog", 1, 3, 0.7),
    Event("Dog", 5, 6, 1),
)


def states(updates):
    return [(update.state, update.id) for update in updates]


def check_lifecycle(updates):
    """Every id counts up from 1, is opened first and ends once, in the end."""
    lives = {}
    for update in updates:
        assert update.event.onset < update.event.offset
        lives.setdefault(update.id, []).append(update.state)
    assert list(lives) == list(range(1, len(lives) + 1))
    for life in lives.values():
        assert life[0] == "opened"
        assert life[-1] in ("closed", "withdrawn")
        assert set(life[1:-1]) <= {"updated"}


def test_an_event_is_opened_goes_on_in_silence_ends_and_is_closed():
    lifecycle = EventLifecycle()
    assert lifecycle.revise([], [DOG]) == [EventUpdate("opened", 1, DOG, ongoing=True)]
    assert lifecycle.revise([], [LONGER]) == []
    assert lifecycle.revise([LONGER], []) == [
        EventUpdate("updated", 1, LONGER, ongoing=False)
    ]
    assert lifecycle.revise([LONGER], []) == []
    assert lifecycle.push([LONGER]) == [EventUpdate("closed", 1, LONGER, ongoing=False)]
    assert lifecycle.revise([], []) == []
    assert lifecycle.flush() == []


def test_an_event_that_was_none_is_withdrawn_as_it_was_last_known():
    lifecycle = EventLifecycle()
    lifecycle.revise([], [DOG])
    lifecycle.revise([], [LONGER])
    assert lifecycle.revise([], []) == [
        EventUpdate("withdrawn", 1, LONGER, ongoing=True)
    ]


def test_an_onset_that_moved_is_an_update():
    lifecycle = EventLifecycle()
    lifecycle.revise([], [DOG])
    moved = Event("Dog", 0.5, 2, 0.8)
    assert lifecycle.revise([], [moved]) == [
        EventUpdate("updated", 1, moved, ongoing=True)
    ]


def test_an_event_that_goes_on_after_all_is_an_update():
    lifecycle = EventLifecycle()
    lifecycle.revise([DOG], [])
    assert lifecycle.revise([], [LONGER]) == [
        EventUpdate("updated", 1, LONGER, ongoing=True)
    ]


def test_two_that_become_one_keep_the_earlier_id():
    lifecycle = EventLifecycle()
    lifecycle.revise([DOG], [LATER])
    both = Event("Dog", 1, 6, 0.9)
    assert states(lifecycle.revise([], [both])) == [("updated", 1), ("withdrawn", 2)]
    lifecycle.reset()
    lifecycle.revise([DOG], [LATER])
    assert states(lifecycle.push([both])) == [("closed", 1), ("withdrawn", 2)]


def test_one_that_becomes_two_is_the_earlier_and_a_new_one():
    lifecycle = EventLifecycle()
    lifecycle.revise([], [Event("Dog", 1, 6, 0.9)])
    assert states(lifecycle.revise([DOG], [LATER])) == [("updated", 1), ("opened", 2)]


def test_what_was_never_shown_is_opened_and_closed_at_once():
    assert states(EventLifecycle().push([DOG])) == [("opened", 1), ("closed", 1)]


def test_labels_do_not_meet():
    lifecycle = EventLifecycle()
    lifecycle.revise([], [DOG, Event("Cat", 1, 2, 0.9)])
    assert states(lifecycle.push([DOG])) == [("closed", 1)]
    assert states(lifecycle.flush()) == [("withdrawn", 2)]


def test_a_sounding_event_has_no_offset_in_json():
    update = EventUpdate("opened", 3, Event("Dog", 1 / 3, 2, 0.12345678), ongoing=True)
    assert update.to_dict() == {
        "state": "opened",
        "id": 3,
        "label": "Dog",
        "onset": 0.333333,
        "offset": None,
        "score": 0.123457,
    }
    ended = EventUpdate("closed", 3, DOG, ongoing=False).to_dict()
    assert ended["offset"] == 2


spans = st.tuples(st.integers(0, 30), st.integers(1, 10), st.sampled_from("AB"))


def events_of(drawn, after=0):
    """Make events of spans, those of a label apart from each other, in order."""
    free, events = {}, []
    for start, length, label in sorted(drawn):
        start = max(start, free.get(label, after))
        events.append(Event(label, start, start + length, 0.5))
        free[label] = start + length + 1
    return events


@given(st.lists(st.tuples(st.lists(spans, max_size=6), st.integers(0, 3)), max_size=12))
def test_whatever_is_provisional_every_life_is_whole(rounds):
    lifecycle, updates, closed = EventLifecycle(), [], []
    for drawn, n_final in rounds:
        after = int(max([event.offset for event in closed], default=0)) + 1
        events = events_of(drawn, after)
        updates += lifecycle.push(events[:n_final])
        closed += events[:n_final]
        updates += lifecycle.revise(events[n_final:-1], events[n_final:][-1:])
    updates += lifecycle.flush()
    check_lifecycle(updates)
    assert [c.event for c in updates if c.state == "closed"] == closed


@pytest.fixture(scope="module")
def detector(model):
    return Detector(model, stream=StreamConfig(step=0.4, latency=1.0))


def updates_of(detector, samples, sizes, **options):
    detector.reset()
    updates = []
    for chunk in cut(samples, sizes):
        updates += detector.push_updates(chunk, **options)
    return updates + detector.flush_updates()


@settings(max_examples=12)
@given(
    st.integers(0, 3),
    st.lists(st.one_of(st.integers(0, 3), st.integers(0, 90_000)), max_size=20),
)
def test_changes_do_not_depend_on_the_chunks(detector, seed, sizes):
    samples = scene(7.3, seed=seed)
    expected = updates_of(detector, samples, [])
    updates = updates_of(detector, samples, sizes)
    assert updates == expected
    check_lifecycle(updates)
    detector.reset()
    events = detector.push(samples) + detector.flush()
    assert [c.event for c in updates if c.state == "closed"] == events
    assert Counter(c.state for c in updates)["opened"] >= len(events) > 0


def test_most_events_are_opened_long_before_they_are_final(detector):
    samples, told = scene(12.0, seed=5), {}
    detector.reset()
    for n, chunk in enumerate(cut(samples, [4410] * (len(samples) // 4410))):
        for update in detector.push_updates(chunk):
            told[update.state, update.id] = (n + 1) * 0.1, update.event
    closed = [key[1] for key in told if key[0] == "closed"]
    delays = [told["opened", n][0] - told["closed", n][1].onset for n in closed]
    assert np.median(delays) < 0.4 + 0.3


@settings(max_examples=8)
@given(st.lists(st.integers(0, 400_000), max_size=6))
def test_in_a_hurry_no_life_is_torn(detector, sizes):
    check_lifecycle(updates_of(detector, scene(25.0, seed=1), sizes, hurry=True))
