import json

import pytest

from streamsed.events import Event


def test_an_event_from_samples_has_exact_seconds():
    day = 24 * 3600 * 44100
    event = Event.from_samples("Dog", day, day + 1, score=0.5, sample_rate=44100)
    assert event.onset == 24 * 3600
    assert event.offset == (day + 1) / 44100
    assert event.offset > event.onset


def test_duration_is_offset_minus_onset():
    assert Event("Dog", 1.25, 3.5, 0.5).duration == 2.25


def test_events_sort_by_onset_then_offset_then_label():
    in_order = [
        Event("Dog", 0.5, 1.0, 0.9),
        Event("Cat", 0.5, 2.0, 0.1),
        Event("Dog", 0.5, 2.0, 0.0),
        Event("Cat", 1.0, 1.5, 0.5),
    ]
    shuffled = [in_order[i] for i in (2, 0, 3, 1)]
    assert sorted(shuffled) == in_order


def test_an_event_does_not_compare_with_something_else():
    with pytest.raises(TypeError):
        assert Event("Dog", 0.5, 1.0, 0.9) < 1.0


def test_to_dict_holds_the_fields_and_json_takes_it():
    event = Event("Dog", 0.5, 1.0, 0.9)
    assert Event(**json.loads(json.dumps(event.to_dict()))) == event


def test_an_event_cannot_be_changed_and_is_hashable():
    event = Event("Dog", 0.5, 1.0, 0.9)
    with pytest.raises(AttributeError):
        event.onset = 0.0
    assert {event, Event("Dog", 0.5, 1.0, 0.9)} == {event}
