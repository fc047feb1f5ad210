"""What a person sees while the program works."""

import io
import time

import pytest

from streamsed import terminal
from streamsed.terminal import Waiting, say


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
