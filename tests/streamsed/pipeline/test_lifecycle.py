from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import cut, scene, silence, tone

from streamsed.config import StreamConfig
from streamsed.detector import Detector
from streamsed.events import Event
from streamsed.pipeline.lifecycle import MAX_UPDATES, EventLifecycle, EventUpdate

DOG, LONGER, LATER = (
    Event("Dog", 1, 2, 0.8),
    Event("Dog", 1, 3, 0.7),
    Event("Dog", 5, 6, 1),
)


def states(updates):
    return [(update.state, update.id) for update in updates]


def check_lifecycle(updates):
    """Every id counts up from 1, is opened first and ends once, in the end."""
    lifecycles = {}
    for update in updates:
        assert update.event.onset < update.event.offset
        lifecycles.setdefault(update.id, []).append(update.state)
    assert list(lifecycles) == list(range(1, len(lifecycles) + 1))
    for lifecycle in lifecycles.values():
        assert lifecycle[0] == "opened"
        assert lifecycle[-1] in ("closed", "withdrawn")
        assert set(lifecycle[1:-1]) <= {"updated", "ended"}
        assert lifecycle.count("updated") <= MAX_UPDATES
        if lifecycle[-1] == "closed":
            assert "ended" in lifecycle
    for number in lifecycles:
        mine = [update for update in updates if update.id == number]
        for before, after in pairwise(mine):
            if after.state == "ended":
                assert before.ongoing
                assert not after.ongoing
            if after.state == "closed":
                assert not before.ongoing


def test_an_event_is_opened_continues_in_silence_ends_and_is_closed():
    lifecycle = EventLifecycle()
    assert lifecycle.revise([], [DOG]) == [EventUpdate("opened", 1, DOG, ongoing=True)]
    assert lifecycle.revise([], [LONGER]) == []
    assert lifecycle.revise([LONGER], []) == [
        EventUpdate("ended", 1, LONGER, ongoing=False)
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


def test_an_event_that_continues_after_all_is_an_update():
    lifecycle = EventLifecycle()
    assert states(lifecycle.revise([DOG], [])) == [("opened", 1), ("ended", 1)]
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
    lifecycle.reset()
    lifecycle.revise([], [DOG])
    assert states(lifecycle.push([both])) == [("ended", 1), ("closed", 1)]


def test_events_that_touch_are_two():
    lifecycle = EventLifecycle()
    middle = Event("Dog", 2, 5, 0.9)
    assert states(lifecycle.revise([DOG], [LATER])) == [
        ("opened", 1),
        ("ended", 1),
        ("opened", 2),
    ]
    assert states(lifecycle.revise([DOG, middle], [LATER])) == [
        ("opened", 3),
        ("ended", 3),
    ]
    assert states(lifecycle.push([middle])) == [("closed", 3)]


def test_of_two_that_become_one_that_with_the_first_onset_stays():
    lifecycle = EventLifecycle()
    lifecycle.revise([], [LATER])
    assert states(lifecycle.revise([], [DOG, LATER])) == [("opened", 2)]
    both = Event("Dog", 1, 6, 0.9)
    assert states(lifecycle.revise([], [both])) == [("withdrawn", 1)]


def test_what_was_joined_is_withdrawn_at_once_however_new():
    lifecycle = EventLifecycle(latency=1.0)
    lifecycle.revise([DOG], [LATER], now=6.0)
    both = Event("Dog", 1, 6, 0.9)
    updates = lifecycle.revise([], [both], now=6.0)
    assert states(updates) == [("updated", 1), ("withdrawn", 2)]


def test_an_event_is_recognised_by_what_is_known_of_it_not_by_what_was_reported():
    lifecycle = EventLifecycle()
    lifecycle.revise([], [DOG])
    assert lifecycle.revise([], [Event("Dog", 1, 6, 0.9)]) == []
    assert states(lifecycle.revise([], [Event("Dog", 5, 7, 0.9)])) == [("updated", 1)]


def test_one_that_becomes_two_is_the_earlier_and_a_new_one():
    lifecycle = EventLifecycle()
    lifecycle.revise([], [Event("Dog", 1, 6, 0.9)])
    assert states(lifecycle.revise([DOG], [LATER])) == [("ended", 1), ("opened", 2)]


def test_what_was_never_reported_is_opened_ended_and_closed_at_once():
    updates = EventLifecycle().push([DOG])
    assert states(updates) == [("opened", 1), ("ended", 1), ("closed", 1)]


def test_an_end_is_reported_when_it_is_old_enough():
    lifecycle = EventLifecycle(latency=1.0)
    assert states(lifecycle.revise([DOG], [], now=2.9)) == [("opened", 1)]
    assert lifecycle.revise([DOG], [], now=3.0) == [
        EventUpdate("ended", 1, DOG, ongoing=False)
    ]
    assert lifecycle.revise([DOG], [], now=3.5) == []
    assert states(lifecycle.push([DOG])) == [("closed", 1)]


def test_without_a_latency_an_event_ends_when_its_sound_does():
    lifecycle = EventLifecycle()
    assert states(lifecycle.revise([DOG], [], now=2.0)) == [("opened", 1), ("ended", 1)]
    assert states(lifecycle.revise([], [], now=2.0)) == [("withdrawn", 1)]


def test_what_is_gone_may_come_back_until_it_is_old_enough():
    lifecycle = EventLifecycle(latency=1.0)
    lifecycle.revise([], [DOG], now=2.0)
    assert lifecycle.revise([], [], now=2.5) == []
    assert lifecycle.revise([], [DOG], now=2.8) == []
    assert lifecycle.revise([], [], now=2.9) == []
    assert states(lifecycle.revise([], [], now=3.0)) == [("withdrawn", 1)]


def test_only_what_moves_by_more_than_the_tolerance_is_an_update():
    lifecycle = EventLifecycle()
    lifecycle.revise([Event("Dog", 4, 6, 0.5)], [])
    for onset, offset in ((4.2, 6), (4, 5.8), (4.25, 6.25)):
        assert lifecycle.revise([Event("Dog", onset, offset, 0.9)], []) == []
    assert states(lifecycle.revise([Event("Dog", 4, 6.3, 0.5)], [])) == [("updated", 1)]
    assert states(lifecycle.revise([Event("Dog", 3.7, 6.3, 1)], [])) == [("updated", 1)]


def test_an_event_that_never_rests_is_updated_a_handful_of_times():
    lifecycle, updates = EventLifecycle(), []
    for n in range(100):
        updates += lifecycle.revise([Event("Dog", 1, 3 + n % 2, 0.5)], [])
    updates += lifecycle.push([Event("Dog", 1, 3.5, 0.5)])
    check_lifecycle(updates)
    assert [u.state for u in updates].count("updated") == 5


def test_labels_do_not_meet():
    lifecycle = EventLifecycle()
    lifecycle.revise([], [DOG, Event("Cat", 1, 2, 0.9)])
    assert states(lifecycle.push([DOG])) == [("ended", 1), ("closed", 1)]
    assert states(lifecycle.flush()) == [("withdrawn", 2)]


def test_an_ongoing_event_has_no_offset_in_json():
    update = EventUpdate("opened", 3, Event("Dog", 1 / 3, 2, 0.12345678), ongoing=True)
    assert update.to_dict() == {
        "state": "opened",
        "id": 3,
        "label": "Dog",
        "onset": 0.333333,
        "offset": None,
        "score": 0.123457,
    }
    closed = EventUpdate("closed", 3, Event("Dog", 0, 5 / 3, 1), ongoing=False)
    assert closed.to_dict()["offset"] == 1.666667


spans = st.tuples(st.integers(0, 30), st.integers(1, 10), st.sampled_from("AB"))


def events_of(drawn, after=0):
    """Make events of spans, those of a label apart from each other, in order."""
    free, events = {}, []
    for start, length, label in sorted(drawn):
        start = max(start, free.get(label, after))
        events.append(Event(label, start, start + length, 0.5))
        free[label] = start + length + 1
    return events


@given(
    st.lists(
        st.tuples(st.lists(spans, max_size=6), st.integers(0, 3), st.integers(0, 45)),
        max_size=12,
    ),
    st.sampled_from([0.0, 1.0, 5.0]),
)
def test_whatever_is_provisional_every_life_is_whole(rounds, latency):
    lifecycle, updates, closed = EventLifecycle(latency=latency), [], []
    for drawn, n_final, now in rounds:
        after = int(max([event.offset for event in closed], default=0)) + 1
        events = events_of(drawn, after)
        updates += lifecycle.push(events[:n_final])
        closed += events[:n_final]
        provisional = events[n_final:-1], events[n_final:][-1:]
        updates += lifecycle.revise(*provisional, now=now)
    updates += lifecycle.flush()
    check_lifecycle(updates)
    assert [c.event for c in updates if c.state == "closed"] == closed


@pytest.fixture(scope="module")
def detector(model):
    return Detector(model, stream=StreamConfig(step=0.4, latency=1.0, settle=4.0))


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
    samples, reported = scene(12.0, seed=5), {}
    detector.reset()
    for n, chunk in enumerate(cut(samples, [4410] * (len(samples) // 4410))):
        for update in detector.push_updates(chunk):
            reported[update.state, update.id] = (n + 1) * 0.1, update.event
    closed = [key[1] for key in reported if key[0] == "closed"]
    delays = [reported["opened", n][0] - reported["closed", n][1].onset for n in closed]
    assert np.median(delays) < 0.4 + 0.3


@settings(max_examples=8)
@given(st.lists(st.integers(0, 400_000), max_size=6))
def test_in_a_hurry_no_life_is_torn(detector, sizes):
    check_lifecycle(updates_of(detector, scene(25.0, seed=1), sizes, hurry=True))


@settings(max_examples=12)
@given(
    seed=st.integers(0, 99),
    seconds=st.sampled_from([3.3, 9.9, 12.0]),
    settle=st.sampled_from([1.0, 3.0, 10.0]),
    sizes=st.lists(st.integers(0, 90_000), max_size=10),
)
def test_closed_updates_are_the_events_of_the_file_at_every_settling(
    model, seed, seconds, settle, sizes
):
    samples = scene(seconds, seed=seed)
    stream = StreamConfig(step=0.4, latency=1.0, settle=settle)
    updates = updates_of(Detector(model, stream=stream), samples, sizes)
    check_lifecycle(updates)
    events = list(Detector(model, stream=stream).events([samples]))
    assert [u.event for u in updates if u.state == "closed"] == events


def moments(detector, samples, state):
    """(label, moment, event) of each update of this state, in steps of 0.1 s."""
    detector.reset()
    found = []
    for n, chunk in enumerate(cut(samples, [4410] * (len(samples) // 4410))):
        for update in detector.push_updates(chunk):
            if update.state == state:
                found.append((update.event.label, (n + 1) * 0.1, update.event))
    return found


@pytest.mark.parametrize("latency", [0.5, 1.0, 5.0, 10.0])
@pytest.mark.parametrize("onset", [0.4, 4.0, 13.0])
def test_an_event_is_announced_as_early_at_any_time_and_latency(model, latency, onset):
    samples = np.concatenate([silence(onset), tone(6000, 2.0), silence(14 - onset)])
    stream = StreamConfig(step=0.25, latency=latency, settle=10.0)
    (opened, *_) = moments(Detector(model, stream=stream), samples, "opened")
    assert opened[0] == "Dog"
    assert opened[1] - onset < 0.25 + 0.3 + 0.2  # and its own minimum of 0.2 s


def test_an_end_is_reported_a_latency_after_it_and_settled_a_settling_after_it(model):
    samples = np.concatenate([silence(2), tone(6000, 1.5), silence(14)])
    stream = StreamConfig(step=0.25, latency=1.0, settle=10.0)
    detector = Detector(model, stream=stream)
    ((_, ended, event),) = moments(detector, samples, "ended")
    assert ended - event.offset == pytest.approx(1.2, abs=0.3)
    ((_, closed, event),) = moments(detector, samples, "closed")
    assert closed - event.offset == pytest.approx(10.3, abs=0.4)
