import io
import time

import pytest
from rich.console import Console

from streamsed import terminal
from streamsed.cli.info import info_table
from streamsed.events import Event
from streamsed.inference.model_file import ModelInfo
from streamsed.recordings.outputs import events_table
from streamsed.terminal import Waiting, say


def shown(renderable):
    console = Console(file=io.StringIO(), width=100)
    console.print(renderable)
    return console.file.getvalue()


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


def test_info_shows_what_the_model_file_says(make_model, tmp_path):
    path = make_model(tmp_path / "m.pt", labels=("Dog [bark]", "Cat"))
    text = shown(info_table(ModelInfo.read(path), path))
    for expected in (
        "tiny",
        "Dog [bark], Cat",
        "step 5.0 s, latency 10.0 s",
        "event F1 (%)",
        "12.5",
        "preset",
        "22 weights",
        "min duration",
        "0.2",
    ):
        assert expected in text


def test_say_keeps_to_one_line_of_stderr(capsys):
    say("one\ntwo   three")
    captured = capsys.readouterr()
    assert captured.err == "streamsed: one two three\n"
    assert captured.out == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("patience", [0.0, 60.0])
def test_a_bar_appears_only_if_one_waits_long(monkeypatch, patience):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(terminal, "PATIENCE", patience)
    with Waiting(100) as waiting:
        time.sleep(0.01)
        waiting.advance(40, "a.wav")
    assert ("of 100 s of audio" in screen.getvalue()) == (patience == 0)


def test_no_bar_goes_into_a_file(capsys, monkeypatch):
    monkeypatch.setattr(terminal, "PATIENCE", 0.0)
    with Waiting(100) as waiting:
        time.sleep(0.01)
        waiting.advance(40, "a.wav")
    assert capsys.readouterr().err == ""
