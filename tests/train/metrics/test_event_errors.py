"""Fates of events, causes of false ones, and announcements: by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsed.events import Event
from streamsed.pipeline.lifecycle import EventUpdate
from train.metrics.announcements import TimedUpdate, announcements, summarise
from train.metrics.criteria import event_counts
from train.metrics.event_errors import CAUSES, FATES, causes, fates


def dog(onset, offset):
    return Event("Dog", onset, offset, 1.0)


def cat(onset, offset):
    return Event("Cat", onset, offset, 1.0)


@pytest.mark.parametrize(
    ("reference", "estimated", "expected"),
    [
        ([dog(1, 2)], [dog(1.1, 2.1)], ["right"]),
        ([dog(1, 2)], [], ["missed"]),
        ([dog(1, 2)], [dog(2, 3)], ["missed"]),  # they only touch
        ([dog(1, 2)], [dog(1.3, 2)], ["wrong onset"]),
        ([dog(1, 2)], [dog(1.3, 9)], ["wrong onset"]),  # and offset
        ([dog(1, 2)], [dog(1, 2.5)], ["wrong offset"]),
        ([dog(1, 11)], [dog(1, 12.9)], ["right"]),  # within 20 %
        ([dog(1, 5)], [dog(1, 2), dog(4, 5)], ["fragmented"]),
        ([dog(1, 5)], [dog(1, 5), dog(4, 5)], ["right"]),
        ([dog(1, 2), dog(3, 4)], [dog(1, 4)], ["merged", "merged"]),
        ([dog(1, 3)], [cat(1, 2)], ["wrong label"]),
        ([dog(1, 3)], [cat(1, 1.9)], ["missed"]),  # covers too little
        ([dog(1, 3), cat(1, 3)], [cat(1, 3)], ["wrong label", "right"]),
    ],
)
def test_every_fate_is_what_its_definition_says(reference, estimated, expected):
    assert fates(reference, estimated) == expected
    assert set(expected) <= set(FATES)


def test_causes_are_found_in_their_order():
    reference, others = [dog(1, 3), cat(5, 6)], [Event("door", 8, 9, 1.0)]
    estimated = [dog(1, 3), dog(2.5, 3.1), dog(5, 6), dog(8.5, 10), cat(20, 21)]
    assert causes(reference, estimated, others) == [
        (cat(20, 21), "the background", ""),
        (dog(2.5, 3.1), "wrong ends", "Dog"),
        (dog(5, 6), "another label's event", "Cat"),
        (dog(8.5, 10), "another sound", "door"),
    ]
    assert {cause for _, cause, _ in causes(reference, estimated, others)} == set(
        CAUSES
    )


@st.composite
def events(draw):
    """Events of two labels, those of one label apart."""
    found = []
    for label in ("Cat", "Dog"):
        edges = sorted(draw(st.sets(st.integers(0, 60), max_size=8)))
        pairs = zip(edges[::2], edges[1::2], strict=False)
        found += [Event(label, a / 4, b / 4, 1.0) for a, b in pairs]
    return sorted(found)


@given(events(), events())
def test_fates_and_causes_agree_with_the_counts_of_f1(reference, estimated):
    counts = event_counts([reference], [estimated], ("Cat", "Dog"))
    found = fates(reference, estimated)
    assert len(found) == len(reference)
    assert set(found) <= set(FATES)
    assert found.count("right") == counts.hits.sum()
    wrong = causes(reference, estimated, [])
    assert len(wrong) == counts.n_estimated.sum() - counts.hits.sum()


def opened(time, event):
    return TimedUpdate(time, EventUpdate("opened", 1, event, ongoing=True))


def test_the_first_announcement_of_an_event_counts():
    reference = [dog(1, 3), dog(6, 8), cat(1, 3)]
    changes = [
        opened(1.5, dog(0.9, 1.4)),
        TimedUpdate(2.0, EventUpdate("updated", 1, dog(1, 2), ongoing=False)),
        opened(2.6, dog(2, 2.5)),  # again
        opened(4.2, dog(3.5, 4.1)),  # there is nothing
        opened(4.5, cat(6, 6.5)),  # not of this label
    ]
    reported = announcements(reference, changes)
    assert reported.delays == [0.5, None, None]
    assert reported.false == [dog(3.5, 4.1), cat(6, 6.5)]
    assert reported.repeated == 1


def test_delays_are_summarised_with_what_they_leave_out():
    assert summarise([0.5, 1.0, 3.0, None]) == {
        "n": 4,
        "never": 0.25,
        "median": 1.0,
        "p90": 2.6,
        "within_1_s": 0.5,
    }
    assert summarise([None])["median"] is None
    assert summarise([])["never"] is None
