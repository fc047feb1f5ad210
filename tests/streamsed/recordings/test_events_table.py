"""The events of a recording as a table."""

from tables import shown

from streamsed.events import Event
from streamsed.recordings.outputs import events_table


def test_a_table_shows_every_event_of_a_recording():
    text = shown(
        events_table("a.wav", [Event("Dog", 0.5, 1.25, 0.875), Event("Cat", 2, 3, 0.5)])
    )
    title, header, *rows = text.splitlines()
    assert title.strip() == "a.wav"
    assert header.split() == ["onset", "offset", "duration", "score", "label"]
    assert [row.split() for row in rows] == [
        ["0.500", "1.250", "0.750", "0.88", "Dog"],
        ["2.000", "3.000", "1.000", "0.50", "Cat"],
    ]


def test_no_events_are_said_to_be_none():
    assert shown(events_table("a.wav", [])) == "a.wav: no events\n"


def test_brackets_are_shown_and_not_read_as_markup():
    text = shown(events_table("[red]a.wav", [Event("Dog [bark]", 0.5, 1.25, 0.875)]))
    assert "[red]a.wav" in text
    assert "Dog [bark]" in text
