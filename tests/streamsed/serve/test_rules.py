"""Which events are worth a message: by hours, by number, not too often, armed or not."""

from datetime import datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serve_records import Sounds, send

from streamsed.serve.rules import MAX_KNOWN, RuledSink, Rules
from streamsed.serve.settings import Hours, RuleSettings

RUNS = count()


def opened(sounds, number, seconds, label="Dog", state="opened"):
    return sounds.event(state, number, seconds, label=label)[0]


def sent(rules, *seconds, label="Dog", source="kitchen"):
    """At which of some onsets an event is let through."""
    sounds = Sounds(source, run=f"run {next(RUNS)}")
    found = [
        (s, rules.decide(opened(sounds, number, s, label)))
        for number, s in enumerate(seconds, start=1)
    ]
    return [s for s, decision in found if decision is not None]


def test_without_rules_every_event_is_let_through():
    assert sent(Rules(), 0, 1, 2) == [0, 1, 2]


def test_with_rules_only_what_one_of_them_speaks_of_is():
    rules = Rules(
        [RuleSettings("dogs", label="Dog"), RuleSettings("all", source="garden")]
    )
    assert sent(rules, 0, 1) == [0, 1]
    assert sent(rules, 2, label="Cat") == []
    assert sent(rules, 3, label="Cat", source="garden") == [3]
    both = opened(Sounds("garden"), 9, 4)
    assert rules.decide(both) == "dogs"  # the first that lets it through gives the name


def test_so_many_within_so_many_minutes_are_needed():
    rules = Rules([RuleSettings("thrice", times=3, minutes=1)])
    assert sent(rules, 0, 30, 59, 61, 200, 201, 300) == [59, 61]
    assert sent(Rules([RuleSettings("thrice", times=3, minutes=1)]), 0, 30, 60) == []


def test_sources_and_labels_are_counted_apart():
    rules = Rules([RuleSettings("twice", times=2, minutes=1)])
    assert sent(rules, 0) == sent(rules, 1, label="Cat") == []
    assert sent(rules, 2, source="garden") == []
    assert sent(rules, 3) == [3]


def test_a_cooldown_begins_with_what_was_let_through():
    rules = Rules([RuleSettings("seldom", cooldown=60)])
    assert sent(rules, 0, 30, 59, 60, 100, 120) == [0, 60, 120]


def test_a_clock_that_is_set_back_does_not_silence_a_rule():
    rules = Rules([RuleSettings("seldom", cooldown=60)])
    assert sent(rules, 5000, 10, 20) == [5000, 10]


def test_an_event_that_is_withdrawn_was_none():
    rules = Rules([RuleSettings("twice", times=2, minutes=10)])
    sounds = Sounds()
    assert rules.decide(opened(sounds, 1, 0)) is None
    assert rules.decide(opened(sounds, 1, 0, state="withdrawn")) is None
    assert rules.decide(opened(sounds, 2, 10)) is None
    assert rules.decide(opened(sounds, 3, 20)) == "twice"


def test_what_becomes_of_an_event_follows_its_opening():
    rules = Rules([RuleSettings("seldom", cooldown=60)])
    sounds, decided = Sounds(), []
    for state in ("opened", "updated", "ended", "closed"):
        for number, at in ((1, 0.0), (2, 10.0)):
            record = sounds.event(state, number, at, at + 1)[0]
            decided.append((number, rules.decide(record)))
    assert decided == [(1, "seldom"), (2, None)] * 4


def test_events_of_a_source_that_is_not_armed_are_kept_back_and_count():
    rules = Rules([RuleSettings("twice", times=2)], disarmed=["kitchen"])
    sounds = Sounds()
    assert not rules.is_armed("kitchen")
    assert rules.decide(opened(sounds, 1, 0)) is None
    assert rules.decide(opened(sounds, 2, 1)) is None
    rules.note_status(sounds.status(2.0, armed=True)[0])
    assert rules.is_armed("kitchen")
    assert rules.decide(opened(sounds, 3, 3)) == "twice"
    rules.note_status(sounds.status(4.0, armed=False)[0])
    assert rules.decide(opened(sounds, 4, 5)) is None


def test_hours_are_those_of_the_wall():
    """Of a day with an event every half hour, those of the night are let through."""
    rules = Rules([RuleSettings("night", between=(Hours.parse("22:00-06:30"),))])
    midnight = datetime(2026, 11, 26).astimezone()
    passed = []
    for number in range(48):
        when = midnight + timedelta(minutes=30 * number)
        record = opened(Sounds(), number, 0.0) | {"time": when.isoformat()}
        if rules.decide(record) is not None:
            passed.append(when.strftime("%H:%M"))
    hours = [f"{h:02}:{m:02}" for h in range(24) for m in (0, 30)]
    assert passed == [t for t in hours if t < "06:30" or t >= "22:00"]


def slow_twin(rule, events):
    """What a rule lets through, from the whole history each time."""
    passed = []
    for index, (time, label) in enumerate(events):
        same = [t for t, other in events[: index + 1] if other == label]
        near = [t for t in same if time - t < 60 * rule.minutes]
        before = [t for t, other in passed if other == label]
        cool = not before or time - before[-1] >= rule.cooldown
        if len(near) >= rule.times and cool:
            passed.append((time, label))
    return passed


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.sampled_from(["Dog", "Cat"])), max_size=40
    ),
    st.integers(1, 4),
    st.sampled_from([0.5, 1.0, 3.0]),
    st.sampled_from([0.0, 30.0, 120.0]),
)
def test_a_rule_agrees_with_one_that_looks_through_everything(
    events, times, minutes, cooldown
):
    events = sorted(set(events))
    rule = RuleSettings("x", times=times, minutes=minutes, cooldown=cooldown)
    rules, sounds = Rules([rule]), Sounds()
    passed = [
        (time, label)
        for number, (time, label) in enumerate(events)
        if rules.decide(opened(sounds, number, time, label)) is not None
    ]
    assert passed == slow_twin(rule, events)


def test_events_that_are_never_settled_do_not_fill_the_memory():
    rules, sounds = Rules([RuleSettings("x", times=3)]), Sounds()
    for number in range(MAX_KNOWN + 500):
        rules.decide(opened(sounds, number, 0.1 * number))
    assert len(rules._decisions) == MAX_KNOWN


@pytest.mark.parametrize("state", ["closed", "ended"])
def test_an_event_that_began_before_the_program_knew_it_is_decided_when_it_comes(state):
    rules = Rules([RuleSettings("all")])
    record = Sounds().event(state, 7, 1.0, 2.0)[0]
    assert rules.decide(record) == "all"


class Remembers:
    """A sink that remembers what it is given."""

    name = "remembers"

    def __init__(self):
        self.records, self.clips = [], []

    def on_record(self, record, update):
        self.records.append((record["state"], update and update.id))

    def on_clip(self, record, update):
        self.clips.append((update.id, record["clip"], record.get("rule")))


def test_a_clip_follows_the_event_that_was_let_through():
    sink = Remembers()
    ruled = RuledSink(sink, Rules([RuleSettings("seldom", cooldown=60)]))
    sounds = Sounds()
    send(ruled, *sounds.lifecycle(1, 0.0, 1.0), *sounds.lifecycle(2, 5.0, 6.0))
    send(ruled, sounds.status(7.0))
    for number in (1, 2, 1):
        record, update = sounds.event("closed", number, 0.0, 1.0, clip="dog.flac")
        ruled.on_clip(record, update)
    assert sink.clips == [(1, "dog.flac", "seldom")]  # once
    states = ["opened", "ended", "closed"]
    assert sink.records == [(state, 1) for state in states] + [("status", None)]
